"""The kernel floor: the same bytes over io_uring from C, no upstream and nothing else."""

from __future__ import annotations

import shutil

from ..build import program
from ..rig import Rig, free_port
from .base import Contender, Server


class Floor(Contender):
    """See C{native/floor.c}."""

    name = "floor"
    title = "kernel floor (no upstream)"
    proxies = False

    def missing(self) -> str | None:
        return None if shutil.which("cc") or shutil.which("gcc") else "a C compiler (gcc)"

    def start(self, rig: Rig) -> Server:
        port = free_port()
        process = rig.spawn([program("floor"), str(port)], counted=True)
        rig.wait_for_answer(port)
        return Server(port, process, rig)
