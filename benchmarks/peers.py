"""Installs the peers: Debian's nginx and HAProxy, and uWSGI from PyPI in a venv of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from .build import ROOT

VENV = ROOT / ".venv-uwsgi"
DEBIAN = {"nginx": "nginx-light", "haproxy": "haproxy", "cc": "gcc libc6-dev"}


def uwsgi_program() -> Path:
    """Where uWSGI is, or would be; C{UWSGI} in the environment names another."""
    return Path(os.environ.get("UWSGI", VENV / "bin" / "uwsgi"))


def install_debian() -> list[str]:
    """Installs the missing Debian packages, when root; returns what is missing still."""
    wanted = [packages for tool, packages in DEBIAN.items() if not shutil.which(tool)]
    if not wanted:
        return []
    if os.geteuid() or not shutil.which("apt-get"):
        return wanted
    names = " ".join(wanted).split()
    # nginx's package starts the daemon, which may find port 80 taken: nobody wants it here.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-yq", *names]):
        if subprocess.run(command, env=environment, check=False).returncode:
            break
    return [packages for tool, packages in DEBIAN.items() if not shutil.which(tool)]


def install_uwsgi() -> list[str]:
    """Makes the venv and installs uWSGI, which compiles for a minute."""
    if uwsgi_program().exists():
        return []
    commands = (
        [sys.executable, "-m", "venv", str(VENV)],
        [str(VENV / "bin" / "pip"), "install", "--quiet", "uwsgi"],
    )
    for command in commands:
        if subprocess.run(command, check=False).returncode:
            return ["uwsgi (pip install uwsgi, needs gcc and python3-dev)"]
    return []


def install(*, uwsgi: bool = True) -> list[str]:
    """Installs all peers; returns what could not be installed."""
    missing = install_debian()
    return missing + (install_uwsgi() if uwsgi else [])
