"""
Templates of machines: one declaration, and a machine for each name that is asked for.

C{hosts = ["*.dev.example"]} with C{name = "dev-{1}"} makes the machine C{dev-blog} of
C{blog.dev.example}: C{{1}} stands for the one label that C{*} does.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from subproxy.machines.declaration import Machine

PLACE: Final = "{1}"

NAME: Final = re.compile("[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
"""The name of a machine, which becomes one of a folder."""

_LABEL: Final = re.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def is_template(machine: Machine) -> bool:
    """Whether it stands for many."""
    return PLACE in machine.name


class MachineTemplate:
    """
    See above.

    @ivar machine: what is declared.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._before, _, self._after = machine.name.partition(PLACE)
        self._suffixes = [host.removeprefix("*") for host in machine.hosts]

    def of_host(self, host: str) -> Machine | None:
        """The machine of a host, in lower case; None: it is none of this template's."""
        for suffix in self._suffixes:
            if host.endswith(suffix) and (found := self._of(host[: -len(suffix)])) is not None:
                return found
        return None

    def of_name(self, name: str) -> Machine | None:
        """The machine of that name; None: it is none of this template's."""
        before, after = self._before, self._after
        if len(name) <= len(before) + len(after):
            return None
        if not (name.startswith(before) and name.endswith(after)):
            return None
        return self._of(name[len(before) : len(name) - len(after)])

    def meets(self, other: MachineTemplate) -> bool:
        """Whether both may make a machine of the same name."""
        return (
            self._before.startswith(other._before) or other._before.startswith(self._before)
        ) and (self._after.endswith(other._after) or other._after.endswith(self._after))

    def _of(self, label: str) -> Machine | None:
        name = self.machine.name.replace(PLACE, label)
        if not _LABEL.fullmatch(label) or not NAME.fullmatch(name):
            return None

        def filled(text: str) -> str:
            return text.replace(PLACE, label)

        machine = self.machine
        return replace(
            machine,
            name=name,
            hosts=tuple(label + suffix for suffix in self._suffixes),
            kernel=filled(machine.kernel),
            initramfs=filled(machine.initramfs),
            disk=filled(machine.disk),
            arguments=tuple(map(filled, machine.arguments)),
            environment={key: filled(value) for key, value in machine.environment.items()},
            kernel_arguments=tuple(map(filled, machine.kernel_arguments)),
            command=tuple(map(filled, machine.command)),
        )
