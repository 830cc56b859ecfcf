"""Reads the tables C{[[machine]]} of a configuration file (L{subproxy.config.machine_keys})."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from subproxy.config.machine_keys import BY_NAME, MACHINE_KEYS
from subproxy.config.shown_value import shown_value
from subproxy.config.sites import Note
from subproxy.config.unknown_key import unknown_key
from subproxy.core.access.claim_conflicts import ClaimConflicts
from subproxy.core.access.claims import Claim, ClaimError
from subproxy.core.access.policy import Guest, Policy
from subproxy.machines.declaration import OWN, Machine
from subproxy.machines.places import identity_of, instance_of_identity
from subproxy.machines.template import PLACE, MachineTemplate, is_template

_FILES: Final = ("kernel", "initramfs", "disk")


def read_machines(tables: Sequence[Mapping[str, Any]], folder: str, note: Note) -> list[Machine]:
    """
    The machines of C{tables}; what is wrong with them goes to C{note}.

    @param folder: where relative paths begin.
    """
    found: list[tuple[int, Machine]] = []
    for index, table in enumerate(tables):
        machine = _read(table, index, folder, note)
        if machine is not None:
            found.append((index, machine))
    named: dict[str, int] = {}
    for index, machine in found:
        if machine.name in named:
            note(index, "name", f"there is a machine {machine.name!r} already")
        named.setdefault(machine.name, index)
    for index, text in template_faults([machine for _, machine in found]):
        note(found[index][0], "name", text)
    others: ClaimConflicts[Machine] = ClaimConflicts()
    for index, machine in found:
        for text in claim_faults(machine, others):
            note(index, "hosts", text)
        for claim in claims_of(machine):
            others.add(claim, machine)
    return [machine for _, machine in found]


def _read(table: Mapping[str, Any], index: int, folder: str, note: Note) -> Machine | None:
    values: dict[str, Any] = {}
    good = True

    def wrong(key: str, text: str) -> None:
        nonlocal good
        good = False
        note(index, key, text)

    vmm = table.get("vmm")
    for key, value in table.items():
        row = BY_NAME.get(key)
        if row is None:
            wrong(key, unknown_key(key, BY_NAME, {}, "[[machine]]"))
            continue
        if vmm in BY_NAME["vmm"].schema["enum"] and vmm not in row.vmms:
            wrong(key, f"{key} is not of a machine whose vmm is {vmm!r}")
        try:
            values[row.field] = row.read(value)
        except ValueError as error:
            wrong(key, f"{key} = {shown_value(value)}: {error}")
    for row in MACHINE_KEYS:
        if row.default == "needed" and row.name not in table and vmm in (*row.vmms, None):
            wrong("", f"the machine has no {row.name}")
    if values.get("snapshot") and values.get("disk_mode") == OWN:
        wrong("snapshot", "what is written to a disk of its own is in no snapshot of a machine")
    if not good:
        return None
    for name in _FILES:
        if values.get(name):
            values[name] = os.path.normpath(os.path.join(folder, values[name]))
    machine = Machine(**values)
    if is_template(machine) and not all(host.startswith("*.") for host in machine.hosts):
        wrong("hosts", "the hosts of a template are such as *.dev.example")
        return None
    try:
        machine = replace(machine, paths=tuple(dict.fromkeys(machine.paths)))
        claims_of(machine)
    except ClaimError as error:
        said = str(error)
        wrong("paths" if said.startswith("path ") else "hosts", said)
        return None
    return machine


def template_faults(machines: Sequence[Machine]) -> Iterator[tuple[int, str]]:
    """Names that two machines could have: the number of a template, and why it can't be."""
    templates = [
        (at, MachineTemplate(each)) for at, each in enumerate(machines) if is_template(each)
    ]
    for at, template in templates:
        for other in machines:
            if not is_template(other) and template.of_name(other.name) is not None:
                yield at, f"the machine {other.name!r} has a name that it could make"
        for before, other_template in templates:
            if before < at and template.meets(other_template):
                yield at, f"it could make a name that {other_template.machine.name!r} makes, too"


def claim_faults(machine: Machine, others: ClaimConflicts[Machine]) -> Iterator[str]:
    """Why it can't claim what it does beside C{others}."""
    for claim in claims_of(machine):
        for there, other, reason in others.of(claim):
            yield f"{claim} {reason} ({there} of machine {other.name!r})"


def claims_of(machine: Machine) -> list[Claim]:
    """
    What a machine may claim.

    @raise ClaimError: what it names is none.
    """
    return list(
        dict.fromkeys(Claim(host, path) for host in machine.hosts for path in machine.paths)
    )


def with_machines(policy: Policy | None, machines: Sequence[Machine], folder: str) -> Policy:
    """
    The policy with what machines may claim: its guests come first, as they stand in the file.

    Without guests nobody but the machines may claim anything.
    """
    policy = policy or Policy(())
    return policy.with_guests(
        Guest(
            tuple(
                identity_of(folder, each.name.replace(PLACE, "*"), index)
                for index in range(each.most)
            ),
            tuple(claims_of(each)),
            policy.default,
            within=_claims_within(each, folder) if is_template(each) else None,
        )
        for each in machines
    )


def _claims_within(machine: Machine, folder: str) -> Callable[[str], Sequence[Claim]]:
    """What each machine of a template may claim of what all of them may."""
    template = MachineTemplate(machine)

    def within(identity: str) -> Sequence[Claim]:
        found = instance_of_identity(folder, identity)
        made = None if found is None else template.of_name(found[0])
        return () if made is None else claims_of(made)

    return within


def guest_claims(policy: Policy | None) -> ClaimConflicts[None]:
    """What guests of C{policy} may claim, as L{guest_faults} wants it."""
    found: ClaimConflicts[None] = ClaimConflicts()
    for guest in (policy and policy.guests) or ():
        for claim in guest.claims:
            found.add(claim, None)
    return found


def guest_faults(machine: Machine, theirs: ClaimConflicts[None]) -> Iterator[str]:
    """What a machine claims that a guest may claim."""
    for claim in claims_of(machine):
        for other, _, reason in theirs.of(claim):
            yield f"machine {machine.name!r}: {claim} {reason} ({other} of a [[guest]])"


def policy_conflicts(
    policy: Policy | None, machines: Sequence[Machine]
) -> Iterator[tuple[int, str]]:
    """The number of each machine that claims what a guest of C{policy} may claim, and what."""
    theirs = guest_claims(policy)
    for index, machine in enumerate(machines):
        for text in guest_faults(machine, theirs):
            yield index, text
