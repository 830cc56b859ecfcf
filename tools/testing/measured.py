"""What was measured of branches: a file of each process, in the folder of the sources."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PREFIX = ".coverage."
"""Of the name of each file, as coverage.py finds them."""


class Combining:
    """
    Makes one file of those that there are, while other tests run.

    A thousand of them take 16 s of a processor, which one core would do behind all tests while the
    other waited. This has only what nobody else wants: some of those tests measure.

    @param root: where they are.
    @param name: of the one, which is there as one more; no other is called so.
    @param before: is waited for first: two at a time would take each other's files.
    """

    def __init__(self, root: Path, name: str, before: Combining | None = None) -> None:
        if before is not None:
            before.wait()
        files = sorted(root.glob(f"{PREFIX}*"))
        self._child: subprocess.Popen[bytes] | None = None
        if files:
            command = [sys.executable, "-m", "coverage", "combine", "-q"]
            self._child = subprocess.Popen(
                [*command, f"--data-file={root / PREFIX}{name}", *files],
                cwd=root,
                stdin=subprocess.DEVNULL,
            )
            os.sched_setscheduler(self._child.pid, os.SCHED_IDLE, os.sched_param(0))

    def wait(self) -> bool:
        """Wait for its end; whether all went well."""
        return self._child is None or not self._child.wait()
