"""The admin listener as an operator asks it: over its UNIX socket, and by C{subproxy}."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.integration.harness import ROOT


def page(admin: Path, path: str, method: str = "GET") -> bytes:
    """The body of a page."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(admin))
        client.sendall(f"{method} {path} HTTP/1.0\r\n\r\n".encode())
        whole = b"".join(iter(lambda: client.recv(65536), b""))
    return whole.partition(b"\r\n\r\n")[2]


def api(admin: Path, path: str, method: str = "GET") -> Any:
    """What a page of JSON says."""
    return json.loads(page(admin, path, method))


def metric(admin: Path, name: str) -> float:
    """One number of the page of metrics."""
    found = page(admin, "/metrics").decode()
    for line in found.splitlines():
        if line.startswith(f"subproxy_{name} "):
            return float(line.split()[1])
    raise AssertionError(f"no metric {name}:\n{found}")


def command(admin: Path | str, *words: str) -> str:
    """What C{subproxy} prints; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "subproxy", f"--admin={admin}", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=60,
    )
    if done.returncode:
        raise AssertionError(f"{words} failed:\n{done.stderr}")
    return done.stdout
