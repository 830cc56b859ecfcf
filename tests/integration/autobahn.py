"""
Autobahn|Testsuite, as it is on the package index: a client that plays cases of RFC 6455 and 7692.

It runs on Python 2.7 or PyPy 2 alone: without one whoever wants it is skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from twisted.trial.unittest import SkipTest

from tests.rigs.paths import ROOT

SUITE = "autobahntestsuite==25.10.1"
FOLDER = ROOT / ".cache" / SUITE
PARTS = tuple(f"{part}.*" for part in (*range(1, 8), 10))
"""All but sizes (part 9) and compression (12 and 13)."""

CASES = 247
"""So many these are."""

COMPRESSED = (
    *("12.1.1", "12.1.2", "12.1.10", "12.2.5", "12.3.8", "12.4.1", "12.5.3"),
    *("13.1.1", "13.3.5", "13.5.9", "13.7.1"),
)
"""Some of those with compression: each has a thousand messages."""

RUN = (
    "import sys; sys.argv = ['wstest', '-m', 'fuzzingclient', '-s', sys.argv[1]];"
    "from autobahntestsuite.wstest import run; run()"
)
FINE = {"OK", "INFORMATIONAL"}


def interpreter() -> str:
    """A Python that the suite runs on, with pip."""
    names = ["python2.7", "pypy", "pypy2"]
    found = [path for name in names if (path := shutil.which(name)) is not None]
    found += map(str, Path.home().glob(".pyenv/versions/2.7*/bin/python"))
    for path in found:
        done = subprocess.run([path, "-m", "pip", "--version"], capture_output=True, check=False)
        if done.returncode == 0:
            return path
    raise SkipTest("neither Python 2.7 nor PyPy 2 with pip")


def install(python: str) -> None:
    """The suite, as it is on the index, into a folder of its own."""
    if (FOLDER / "zope" / "__init__.py").exists():
        return
    shutil.rmtree(FOLDER, ignore_errors=True)
    command = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, "--target", str(FOLDER), SUITE], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SkipTest(f"no package index: {done.stderr[-300:]}")
    # Namespaces need a site-packages of their own, which a target is not.
    (FOLDER / "zope" / "__init__.py").touch()


def played(folder: Path, port: int, path: str, cases: Sequence[str]) -> dict[str, tuple[str, str]]:
    """
    How a server on this machine behaved, and how it closed, by case.

    @param folder: an empty one will be made in it, for what the suite reports.
    """
    python = interpreter()
    install(python)
    report = folder / f"report-{port}"
    spec = folder / f"spec-{port}.json"
    said = {
        "outdir": str(report),
        "servers": [{"agent": "one", "url": f"ws://127.0.0.1:{port}/{path}"}],
        "cases": list(cases),
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    spec.write_text(json.dumps(said))
    done = subprocess.run(
        [python, "-c", RUN, str(spec)],
        env={**os.environ, "PYTHONPATH": str(FOLDER)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(done.stderr[-2000:])
    found = json.loads((report / "index.json").read_text())["one"]
    return {case: (each["behavior"], each["behaviorClose"]) for case, each in found.items()}
