"""
A folder of machines: one a file, C{NAME.toml}, which has a C{[[machine]]} and nothing else.

Who is made by the API is kept so, and an operator may put files there. One that can't be used is
left out, with a line that says why: the others are as good as before.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from subproxy.config.configuration import parse_configuration
from subproxy.config.configuration_error import ConfigurationError
from subproxy.config.machines import (
    claim_faults,
    claims_of,
    guest_claims,
    guest_faults,
    template_faults,
)
from subproxy.config.toml_text import toml_key, toml_value
from subproxy.core.access.claim_conflicts import ClaimConflicts
from subproxy.core.access.policy import Policy
from subproxy.core.printable import printable
from subproxy.machines.declaration import Machine
from subproxy.machines.places import path_fault
from subproxy.machines.template import is_template

SUFFIX: Final = ".toml"

LONGEST: Final = 65_536
"""Bytes of a file."""

FILES: Final = ("kernel", "initramfs", "disk")


_NOT_OF_THE_FILE: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO})
"""Errors that say nothing of what a file holds: another look may read it."""


class MachineFileError(Exception):
    """
    A machine that can't be had.

    @ivar lines: why, for a person.
    """

    def __init__(self, *lines: str) -> None:
        self.lines = [printable(line) for line in lines]
        super().__init__("; ".join(self.lines))


def file_of(folder: str, name: str) -> str:
    """Where a machine is kept."""
    return os.path.join(folder, f"{name}{SUFFIX}")


def machine_text(table: Mapping[str, Any]) -> str:
    """
    The file of a machine, of the keys and values of its table.

    @raise MachineFileError: there is no such file.
    """
    try:
        lines = [f"{toml_key(key)} = {toml_value(value)}" for key, value in table.items()]
    except ValueError as error:
        raise MachineFileError(str(error)) from None
    except RecursionError:
        raise MachineFileError("a value is nested too deep") from None
    return "\n".join(["[[machine]]", *lines, ""])


def parse_machine(text: str, path: str) -> Machine:
    """
    The machine that the text of a file is.

    @raise MachineFileError: it is none, or one of another name.
    """
    try:
        found = parse_configuration(text, path)
    except ConfigurationError as error:
        raise MachineFileError(*error.lines()) from None
    if len(found.machines) != 1 or found.values or found.policy or found.sites:
        raise MachineFileError(f"{path}: it has to be one [[machine]], and nothing else")
    [machine] = found.machines
    if path != file_of(os.path.dirname(path), machine.name):
        raise MachineFileError(
            f"{path}: machine {machine.name!r} belongs in {machine.name}{SUFFIX}"
        )
    return machine


def read_file(path: str) -> str:
    """
    What is in a file.

    @raise OSError: it can't be read.
    @raise MachineFileError: it is too long, or no text.
    """
    with open(path, "rb") as file:
        data = file.read(LONGEST + 1)
    if len(data) > LONGEST:
        raise MachineFileError(f"{path}: more than {LONGEST} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise MachineFileError(f"{path}: not UTF-8: {error.reason}") from None


class MachineRules:
    """
    What a machine of the folder has to agree with.

    @param machines: those of the configuration file, and of the folder so far.
    @param policy: what guests may claim, where there is one.
    @param folder: where machines have their sockets.
    @param port: what guests dial.
    """

    def __init__(
        self, machines: Sequence[Machine], policy: Policy | None, folder: str, port: int
    ) -> None:
        self._names: dict[str, Machine] = {}
        self._claims: ClaimConflicts[Machine] = ClaimConflicts()
        self._templates: list[Machine] = []
        self._guests = guest_claims(policy)
        self._folder = folder
        self._port = port
        for each in machines:
            self._take(each)

    def add(self, machine: Machine) -> None:
        """
        It is one of them from now on.

        @raise MachineFileError: it can't be.
        """
        name = machine.name
        faults = []
        if name in self._names:
            faults.append(f"there is a machine {name!r} already")
        faults += claim_faults(machine, self._claims)
        faults += guest_faults(machine, self._guests)
        faults += self._name_faults(machine)
        long = path_fault(self._folder, name, machine.most, self._port)
        if long is not None:
            faults.append(long)
        if faults:
            raise MachineFileError(*faults)
        self._take(machine)

    def _take(self, machine: Machine) -> None:
        self._names[machine.name] = machine
        if is_template(machine):
            self._templates.append(machine)
        for claim in claims_of(machine):
            self._claims.add(claim, machine)

    def _name_faults(self, machine: Machine) -> list[str]:
        """Names that both it and another machine could have."""
        beside = self._names.values() if is_template(machine) else self._templates
        return list(dict.fromkeys(text for _, text in template_faults([*beside, machine])))


def read_machine_files(
    folder: str, rules: MachineRules
) -> tuple[tuple[Machine, ...], tuple[str, ...]]:
    """
    The machines of a folder, and why what else is there is left out, a line each.

    @raise OSError: nobody can tell what is there, for want of a descriptor or a permission, say:
        that is not the same as nothing, which would end what runs.
    """
    machines: list[Machine] = []
    lines: list[str] = []
    try:
        names = sorted(each for each in os.listdir(folder) if each.endswith(SUFFIX))
    except FileNotFoundError:
        return (), ()
    for name in names:
        path = os.path.join(folder, name)
        try:
            machine = parse_machine(read_file(path), path)
            rules.add(machine)
        except OSError as error:
            if error.errno in _NOT_OF_THE_FILE:
                raise
            lines.append(printable(f"{path}: {error.strerror}"))
        except MachineFileError as error:
            lines += [each if each.startswith(path) else f"{path}: {each}" for each in error.lines]
        else:
            machines.append(machine)
    return tuple(machines), tuple(lines)
