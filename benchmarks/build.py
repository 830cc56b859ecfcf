"""Compiles the measuring programs of C{native/} with the machine's C compiler."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent / "native"
ROOT = Path(__file__).parent.parent
OUTPUT = ROOT / "build" / "benchmarks"

LIBRARIES = {"tls_clients": ("-lssl", "-lcrypto")}
"""What a program links with, beside the C library."""


class NoCompiler(Exception):
    """There is no C compiler: nothing can be measured without the load generator."""


def program(name: str) -> str:
    """The path of a compiled program of C{native/}, compiled again if its source is newer."""
    source = SOURCES / f"{name}.c"
    target = OUTPUT / name
    newest = max(path.stat().st_mtime for path in (source, *SOURCES.glob("*.h")))
    if target.exists() and target.stat().st_mtime >= newest:
        return str(target)
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise NoCompiler("no C compiler: install gcc and libc6-dev")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    command = [compiler, "-O2", "-Wall", "-Wextra", "-o", str(target), str(source)]
    command += LIBRARIES.get(name, ())
    subprocess.run(command, check=True)
    return str(target)
