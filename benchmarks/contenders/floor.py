"""The kernel floor: the same bytes over io_uring from C, no upstream and nothing else."""

from __future__ import annotations

import shutil

from ..build import program
from ..rig import HOST, Rig, free_port
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


class GuestFloor(Contender):
    """See C{native/guest_floor.c}."""

    proxies = False

    def __init__(self, guests: int) -> None:
        self.name = f"floor-{guests}"
        self.title = f"kernel floor, {guests:,} guests in turn"
        self._guests = guests

    def missing(self) -> str | None:
        return Floor().missing()

    def start(self, rig: Rig) -> Server:
        port, where, count = free_port(), rig.path("guests.sock"), str(self._guests)
        process = rig.spawn([program("guest_floor"), str(port), where, count], counted=True)
        rig.wait_for_socket("guests.sock")
        rig.spawn([program("guest"), where, HOST, count, "1"])
        rig.wait_for_answer(port)
        return Server(port, process, rig)
