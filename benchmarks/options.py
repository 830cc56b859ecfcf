"""The options that both benchmarks have, and the choice of contenders that can run."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from . import peers
from .build import OUTPUT, ROOT
from .contenders import Contender

PAGE = ROOT / "docs" / "explanation" / "performance.md"
TABLES = ROOT / "benchmarks" / "performance-tables.md"
QUIET_LOAD = 0.5
EVERYBODY = "all"
RESULTS = ROOT / "benchmarks" / "results"


def parser(description: str, contenders: Sequence[str] = (EVERYBODY,)) -> argparse.ArgumentParser:
    """A parser with the common options; C{contenders} are those that are measured usually."""
    it = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    it.add_argument("--rounds", type=int, default=5, help="rounds, interleaved")
    it.add_argument(
        "--contenders",
        default=",".join(contenders),
        help=f"names, with commas between; {EVERYBODY}: all that there are",
    )
    it.add_argument("--server-core", type=int, default=0, help="the core of what is measured")
    it.add_argument("--load-core", type=int, default=1, help="the core of all else")
    it.add_argument("--print", action="store_true", help="print; touch neither pages nor results")
    it.add_argument("--again", type=Path, help="measure nothing: show these raw figures again")
    it.add_argument(
        "--onto",
        type=Path,
        help="add to the raw figures in this file, if it is there, and write them there alone: "
        "a run in pieces, which --again then shows",
    )
    it.add_argument("--page", type=Path, default=PAGE, help="where the summary goes")
    it.add_argument("--tables", type=Path, default=TABLES, help="where tables and plots go")
    it.add_argument("--results", type=Path, default=RESULTS, help="where the raw figures go")
    it.add_argument("--no-install", action="store_true", help="do not install peers")
    it.add_argument("--list", action="store_true", help="list the contenders, and what they lack")
    return it


def publish(
    name: str,
    results: dict[str, Any],
    settings: argparse.Namespace,
    write: Callable[[Path, Path], None],
) -> int:
    """Keeps raw figures, and has both pages written, unless some measurement was invalid.

    The figures of an invalid run go under C{build/}, for whoever looks for the reason.
    Returns the exit status.
    """
    text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    problems: list[str] = results["problems"]
    if problems:
        failed = OUTPUT / f"{name}.failed.json"
        failed.write_text(text)
        for problem in problems:
            print(f"PROBLEM {problem}", file=sys.stderr)
        print(f"nothing written; the figures are in {failed}", file=sys.stderr)
        return 1
    if not settings.print:
        if settings.again is None:
            settings.results.mkdir(parents=True, exist_ok=True)
            (settings.results / f"{name}.json").write_text(text)
        write(settings.page, settings.tables)
    return 0


def integers(text: str) -> list[int]:
    """The value of an option such as C{1,8,64}."""
    return [int(item) for item in text.split(",") if item]


def cores(options: argparse.Namespace) -> tuple[int, int]:
    """The two cores; with one alone they are the same, and the figures worth less."""
    usable = os.sched_getaffinity(0)
    server = options.server_core if options.server_core in usable else min(usable)
    load = options.load_core if options.load_core in usable else max(usable)
    return server, load


def choose(everybody: Sequence[Contender], options: argparse.Namespace) -> list[Contender]:
    """Those of the contenders that are wanted and can run; tells of the others.

    Installs peers first. Raises SystemExit for an unknown name, or if nobody is left.
    """
    names = {contender.name for contender in everybody}
    wanted = names if options.contenders == EVERYBODY else set(options.contenders.split(","))
    if wanted - names:
        raise SystemExit(
            f"unknown: {', '.join(sorted(wanted - names))}; known: {', '.join(sorted(names))}"
        )
    if not options.no_install:
        for item in peers.install(uwsgi=any(name.startswith("uwsgi") for name in wanted)):
            print(f"could not install {item}")
    chosen = []
    for contender in everybody:
        if contender.name not in wanted:
            continue
        missing = contender.missing()
        if missing:
            print(f"{contender.name}: left out, this machine lacks {missing}")
        else:
            chosen.append(contender)
    if options.list:
        for contender in everybody:
            print(f"{contender.name:24} {contender.title:40} {contender.missing() or 'ready'}")
        raise SystemExit(0)
    if os.getloadavg()[0] > QUIET_LOAD:
        print(f"this machine is busy (load {os.getloadavg()[0]:.1f}): trust ratios alone, if those")
    if not chosen:
        raise SystemExit("nobody to measure")
    return chosen
