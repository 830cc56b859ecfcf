"""
A program that speaks HTTP, with the files that it needs: what its machine is told to run.

What can be seen to fail there is refused here: a program that isn't there, or is for another
processor, or whose loader is missing.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass

from guest.image.container import ContainerImage
from guest.image.elf import ElfError, interpreter, is_elf
from guest.image.rootfs import Rootfs, folder
from guest.image.users import ProgramUser, UserError, find_user

SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""C{PATH} where none is given."""

HOSTS = b"127.0.0.1 localhost\n::1 localhost\n"

_SCRIPT = re.compile(rb"#![ \t]*([^\s]+)")


class ProgramError(ValueError):
    """A program that would not run."""


@dataclass(frozen=True)
class Program:
    """
    What runs in a machine.

    @ivar root: the files of the machine.
    @ivar command: the program, and its arguments.
    @ivar to: where it listens, C{http://HOST:PORT} or C{unix:PATH}.
    @ivar environment: C{NAME=VALUE} each.
    @ivar folder: where it runs.
    @ivar user: who it runs as; None: root.
    """

    root: Rootfs
    command: tuple[str, ...]
    to: str
    environment: tuple[str, ...] = ()
    folder: str = "/"
    user: ProgramUser | None = None

    def settings(self) -> dict[str, list[str]]:
        """The settings with which its init runs it (C{guest.image.arguments})."""
        settings = {"to": [self.to], "folder": [self.folder]}
        if self.user is not None:
            settings["user"] = [str(self.user)]
        return settings | {"env": list(self.environment), "run": list(self.command)}


def program_of_folder(root: Rootfs, command: Sequence[str], to: str | None) -> Program:
    """
    A program in a folder that is its root.

    @raise ProgramError: it would not run, or it isn't said where it listens.
    """
    if not command:
        raise ProgramError("what is to run? With --root a program and its arguments follow --")
    if to is None:
        raise ProgramError("--to says where the program listens: --to=http://127.0.0.1:3000")
    return _prepared(Program(root, tuple(command), to))


def program_of_container(
    image: ContainerImage, arguments: Sequence[str] | None, to: str | None
) -> Program:
    """
    The program of a container image.

    @param arguments: in the place of its own; None: its own.
    @param to: where it listens; None: as its C{EXPOSE} says.
    @raise ProgramError: it would not run, or it isn't said where it listens.
    """
    config = image.config
    command = (*config.entry_point, *(config.arguments if arguments is None else arguments))
    if not command:
        raise ProgramError("the container image has no command: one follows --")
    if to is None:
        if len(config.ports) != 1:
            exposed = f"exposes the ports {config.ports}" if config.ports else "exposes no port"
            raise ProgramError(f"--to says where it listens: the container image {exposed}")
        to = f"http://127.0.0.1:{config.ports[0]}"
    try:
        user = find_user(config.user, image.root)
    except UserError as error:
        raise ProgramError(f"the container image: {error}") from error
    for path in (*config.volumes, config.folder):
        image.root.make_folders(path)
    environment = config.environment
    if not any(each.startswith("HOME=") for each in environment):
        environment = (*environment, f"HOME={user.home}")
    where = posixpath.join("/", config.folder)
    return _prepared(Program(image.root, command, to, environment, where, user))


def _prepared(program: Program) -> Program:
    """Put in what the machine brings along for every program, and look whether it would run."""
    root = program.root
    for path in ("proc", "sys", "dev"):
        if root.exactly([path]) is None:
            root.put(path, folder())
    hosts = root.lookup("/etc/hosts")
    if hosts is None or not hosts.data.strip():  # engines put theirs over an empty one
        root.put_file("etc/hosts", HOSTS)
    searched = [each[5:] for each in program.environment if each.startswith("PATH=")]
    found = find_program(root, program.command[0], (searched or [SEARCHED])[-1], program.folder)
    if found is None:
        raise ProgramError(f"{program.command[0]}: no such program in there")
    _check(root, found)
    return program


def find_program(root: Rootfs, name: str, searched: str, where: str) -> str | None:
    """The path of a program, as C{execvp} finds it; None: there is none."""
    if "/" in name:
        places = [posixpath.join(where, name)]
    else:
        places = [posixpath.join(where, each, name) for each in searched.split(":")]
    for place in places:
        found = root.lookup(place)
        if found is not None and found.is_file and found.mode & 0o111:
            return place
    return None


def _check(root: Rootfs, path: str, depth: int = 0) -> None:
    found = root.lookup(path)
    if found is None or not found.is_file:
        raise ProgramError(f"{path} isn't in there, and it is what runs the program")
    script = _SCRIPT.match(found.data)
    if script and depth < 4:
        _check(root, script[1].decode(errors="surrogateescape"), depth + 1)
    elif is_elf(found.data):
        try:
            loader = interpreter(found.data)
        except ElfError as error:
            raise ProgramError(f"{path}: {error}") from error
        if loader is not None and root.lookup(loader) is None:
            raise ProgramError(f"{path} isn't static, and its loader {loader} isn't in there")
