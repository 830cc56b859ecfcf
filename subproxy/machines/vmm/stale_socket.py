"""Unix sockets that a VMM has left behind, or will make."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from subproxy.machines.places import LONGEST_SOCKET
from subproxy.machines.vmm.driver import VmmError


def make_way(path: Path) -> None:
    """
    Let a socket be made there: remove one that nobody listens on.

    @raise VmmError: somebody does, the path is too long, or what is there is no socket.
    """
    size = len(os.fsencode(path))
    if size > LONGEST_SOCKET:
        raise VmmError(f"a socket's path of {size} bytes, of at most {LONGEST_SOCKET}: {path}")
    try:
        found = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if not stat.S_ISSOCK(os.fstat(found).st_mode):
                raise VmmError(f"{path} is there, and is no socket")
            if _alive(found):
                raise VmmError(f"{path} is in use by another process")
        finally:
            os.close(found)
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise VmmError(f"{path}: {error.strerror}") from None


def _alive(found: int) -> bool:
    """
    Whether somebody listens: a full backlog counts, too.

    @param found: a descriptor of the socket's place, which nobody can put another one into.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(f"/proc/self/fd/{found}")
        except ConnectionRefusedError:
            return False
        except BlockingIOError:
            pass
    return True
