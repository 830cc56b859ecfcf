"""C{--reload}: starts the program again when one of its files has changed. For development."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from guest.cli.options import SCRIPT
from guest.core.statuses import complain

EVERY = 0.5
"""Seconds between two looks."""

_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages"})
CHILD = "SUBPROXY_GUEST_RELOADED"
"""The environment variable that a child has."""


def stamps(folder: Path) -> dict[str, int]:
    """When each Python file below C{folder} was changed; hidden folders are left out."""
    return {str(path): number for path, number in _files(folder)}


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    for root, folders, files in os.walk(folder):
        folders[:] = [
            each
            for each in folders
            if not each.startswith(".")
            and each not in _SKIPPED
            and not (Path(root) / each / "pyvenv.cfg").exists()
        ]
        for name in files:
            if name.endswith(".py"):
                path = Path(root) / name
                try:
                    yield path, path.stat().st_mtime_ns
                except OSError:
                    continue


class RestartOnChange:
    """
    Runs a command, and runs it again when a file has changed, or waits for that if it fails.

    @ivar status: what the process will exit with.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._command = list(command)
        self._folder = folder
        self._sleep = sleep
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self.status = 0

    def run(self) -> int:
        """Run until SIGTERM or SIGINT, which the child gets too."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._signal)
        seen = stamps(self._folder)
        self._start()
        while not self._stopping:
            self._sleep(EVERY)
            now = stamps(self._folder)
            if now != seen and not self._stopping:
                changed = sorted(set(now.items()) ^ set(seen.items()))
                complain(f"{os.path.relpath(changed[0][0], self._folder)} has changed: reloading")
                seen = now
                self._end()
                self._start()
        self._end()
        return self.status

    def _signal(self, number: int, frame: object) -> None:
        self._stopping = True
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)

    def _start(self) -> None:
        if not self._stopping:
            self._child = subprocess.Popen(self._command, env={**os.environ, CHILD: "1"})
            if self._stopping:  # just now: it has not heard of it
                self._child.terminate()

    def _end(self) -> None:
        child = self._child
        if child is not None:
            if child.poll() is None and not self._stopping:
                child.terminate()
            status = child.wait()
            self.status = 0 if status < 0 else status


def own_command(called: str) -> list[str]:
    """
    What runs the guest as it was run: C{subproxy-guest} by its path, else C{-m guest}.

    With C{-m} a C{guest.py} in the current folder would take its place.

    @param called: the first word of the command line, as C{sys.argv} has it.
    """
    if os.path.basename(called) == SCRIPT:
        return [sys.executable, called]
    return [sys.executable, "-m", "guest"]


def reload_main(arguments: Sequence[str]) -> int:
    """Run the guest with these arguments, again and again."""
    return RestartOnChange([*own_command(sys.argv[0]), *arguments], Path.cwd()).run()
