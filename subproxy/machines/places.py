"""Where an instance of a machine has its files, and who it is by that."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

DEFAULT_FOLDER: Final = "/run/subproxy/machines"

LONGEST_SOCKET: Final = 107
"""Bytes of the path of a socket, at most (C{sockaddr_un} with its zero: C{unix(7)})."""


def default_folder(environment: Mapping[str, str]) -> str:
    """Where machines have their files if nobody says where: what systemd or a login has made."""
    made = environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if made:
        return os.path.join(made, "machines")
    login = environment.get("XDG_RUNTIME_DIR", "")
    return os.path.join(login, "subproxy", "machines") if login else DEFAULT_FOLDER


def folder_of(folder: str, name: str, index: int) -> str:
    """The folder of an instance."""
    return os.path.join(folder, name, str(index))


def device_of(folder: str, name: str, index: int) -> str:
    """The path of the device of an instance."""
    return os.path.join(folder_of(folder, name, index), "vsock")


def identity_of(folder: str, name: str, index: int) -> str:
    """Who an instance is."""
    return f"path:{device_of(folder, name, index)}"


def instance_of_identity(folder: str, identity: str) -> tuple[str, int] | None:
    """The name of the machine, and which of its instances; None if it is none."""
    begin = f"path:{folder}/"
    parts = identity.removeprefix(begin).split("/") if identity.startswith(begin) else []
    if len(parts) != 3 or parts[2] != "vsock" or not parts[1].isdecimal():
        return None
    return parts[0], int(parts[1])


def path_fault(folder: str, name: str, most: int, port: int) -> str | None:
    """Why a machine can't have its sockets in C{folder}; None if it can."""
    longest = f"{device_of(folder, name, most - 1)}_{port}"
    if len(os.fsencode(longest)) <= LONGEST_SOCKET:
        return None
    return f"{longest} is longer than {LONGEST_SOCKET} bytes, which no socket's path may be"
