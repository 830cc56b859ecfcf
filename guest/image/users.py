"""Who a program runs as: names of users and groups, looked up where the program will be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from guest.image.rootfs import Rootfs


class UserError(ValueError):
    """A user or a group that isn't there."""


@dataclass(frozen=True)
class ProgramUser:
    """
    A user, by numbers.

    @ivar groups: further groups.
    @ivar home: the home folder.
    """

    user: int
    group: int
    groups: tuple[int, ...] = ()
    home: str = "/"

    def __str__(self) -> str:
        """C{1000:1000}, and further groups behind commas."""
        return f"{self.user}:{','.join(map(str, (self.group, *self.groups)))}"


def find_user(wanted: str, root: Rootfs) -> ProgramUser:
    """
    Whom a container's C{USER} or C{USER:GROUP} means, names or numbers; empty: user 0.

    As container engines read it: a number need not be in C{/etc/passwd}, and has group 0 then. Who
    names no group has all those of C{/etc/group} that name the user.

    @raise UserError: a name isn't there.
    """
    name, colon, group = wanted.partition(":")
    name = name or "0"
    for fields in _lines(root, "/etc/passwd", 7):
        if fields[0] == name or (fields[2] == name and _is_number(name)):
            known, number, own, home = fields[0], _number(fields[2]), _number(fields[3]), fields[5]
            break
    else:
        if not _is_number(name):
            raise UserError(f"it runs as {name}, whom its /etc/passwd doesn't know")
        known, number, own, home = None, _number(name), 0, "/"
    if colon and group:
        return ProgramUser(number, _group(group, root), home=home or "/")
    further = {
        _number(fields[2])
        for fields in _lines(root, "/etc/group", 4)
        if known is not None and known in fields[3].split(",")
    }
    return ProgramUser(number, own, tuple(sorted(further - {own})), home or "/")


def _group(wanted: str, root: Rootfs) -> int:
    for fields in _lines(root, "/etc/group", 4):
        if fields[0] == wanted:
            return _number(fields[2])
    if not _is_number(wanted):
        raise UserError(f"it runs in the group {wanted}, which its /etc/group doesn't know")
    return _number(wanted)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _number(text: str) -> int:
    if not _is_number(text) or int(text) >= 2**32 - 1:
        raise UserError(f"{text!r} is no number of a user or a group")
    return int(text)


def _lines(root: Rootfs, path: str, count: int) -> Iterator[list[str]]:
    found = root.lookup(path)
    if found is None or not found.is_file:
        return
    for line in found.data.decode(errors="replace").splitlines():
        fields = line.split(":")
        if len(fields) >= count:
            yield fields
