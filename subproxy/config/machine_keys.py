"""
What a C{[[machine]]} may say, in one table: the reader, the schema, C{subproxy init} and the
reference are made of it. Each row is a field of L{subproxy.machines.declaration.Machine}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from subproxy.config import machine_values as values
from subproxy.config import site_values
from subproxy.config.site_keys import STRING, STRINGS, Schema
from subproxy.machines.declaration import ACCELERATIONS, DISK_MODES, VMMS, Machine
from subproxy.machines.vmm.snapshot_support import ABLE

A_DAY: Final = 86400.0
A_YEAR: Final = 365 * A_DAY

_TIME: Final[Schema] = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": values.DURATION_PATTERN},
    ]
}
_SIZE: Final[Schema] = {
    "anyOf": [
        {"type": "integer", "minimum": 1},
        {"type": "string", "pattern": values.SIZE_PATTERN},
    ]
}
_LIST: Final[Schema] = {"type": "array", "items": {"type": "string"}}


@dataclass(frozen=True)
class MachineKey:
    """
    One key.

    @ivar name: its name in the file; the field's, with dashes.
    @ivar kind: what its values are, for a person.
    @ivar read: makes the value; raises C{ValueError}.
    @ivar schema: what a JSON schema says of it.
    @ivar help: what it does, a sentence or two.
    @ivar example: a value in TOML.
    @ivar default: what is in force without it, for a person.
    @ivar vmms: of which machines it is.
    """

    name: str
    kind: str
    read: Callable[[object], object]
    schema: Schema
    help: str
    example: str
    default: str = "none"
    vmms: tuple[str, ...] = VMMS

    @property
    def field(self) -> str:
        """The field that it is."""
        return self.name.replace("-", "_")


_REAL: Final = tuple(each for each in VMMS if each != "process")

MACHINE_KEYS: Final[tuple[MachineKey, ...]] = (
    MachineKey(
        "name",
        "string",
        values.name,
        {"type": "string", "pattern": values.NAME_PATTERN},
        "What it is called: small letters, digits and dashes, at most 32. One with `{1}` is a "
        "template: its hosts are such as `*.dev.example`, and each name of one label has a "
        "machine. `{1}` stands for it in files, arguments, environment and command, too.",
        '"blog"',
        default="needed",
    ),
    MachineKey(
        "vmm",
        ", ".join(f'`"{each}"`' for each in VMMS),
        values.one_of(VMMS),
        {"enum": list(VMMS)},
        "What runs it. A process is no virtual machine, and confined by nothing: for demos.",
        '"qemu"',
        default="needed",
    ),
    MachineKey(
        "hosts",
        "string or array",
        site_values.strings,
        STRINGS,
        "Hosts that it serves, as in `[[guest]]`; nobody else may claim them.",
        '["blog.example", "*.blog.example"]',
        default="needed",
    ),
    MachineKey(
        "paths",
        "string or array",
        site_values.strings,
        STRINGS,
        "Paths: each covers itself and what is below.",
        '"/"',
        default='`"/"`',
    ),
    MachineKey(
        "kernel",
        "string",
        values.path,
        STRING,
        "The file of its kernel; a relative path begins at the folder of this file.",
        '"hello.vmlinuz"',
        default="needed",
        vmms=_REAL,
    ),
    MachineKey(
        "initramfs",
        "string",
        values.path,
        STRING,
        "The file of its initramfs, which `subproxy-mkinitramfs` makes.",
        '"hello.img"',
        vmms=_REAL,
    ),
    MachineKey(
        "disk",
        "string",
        values.path,
        STRING,
        "The file of a disk.",
        '"data.img"',
        vmms=_REAL,
    ),
    MachineKey(
        "disk-mode",
        ", ".join(f'`"{each}"`' for each in DISK_MODES),
        values.one_of(DISK_MODES),
        {"enum": list(DISK_MODES)},
        "Whether it may write to a copy of its own, which ends with it.",
        '"read-only"',
        default='`"read-only"`',
        vmms=_REAL,
    ),
    MachineKey(
        "memory",
        'whole number of bytes, or a size such as `"256M"`',
        values.memory,
        _SIZE,
        "Its memory, 16 MiB to 1 TiB.",
        '"256M"',
        default='`"256M"`',
        vmms=_REAL,
    ),
    MachineKey(
        "cpus",
        "whole number, 1 to 64",
        site_values.count(1, 64),
        {"type": "integer", "minimum": 1, "maximum": 64},
        "Its processors.",
        "1",
        default="`1`",
        vmms=_REAL,
    ),
    MachineKey(
        "acceleration",
        ", ".join(f'`"{each}"`' for each in ACCELERATIONS),
        values.one_of(ACCELERATIONS),
        {"enum": list(ACCELERATIONS)},
        "Whether QEMU uses `/dev/kvm`; auto: where it can.",
        '"auto"',
        default='`"auto"`',
        vmms=("qemu",),
    ),
    MachineKey(
        "kernel-arguments",
        "array of strings",
        values.texts,
        _LIST,
        "More arguments of the kernel.",
        '["quiet"]',
        vmms=_REAL,
    ),
    MachineKey(
        "arguments",
        "array of strings",
        values.texts,
        _LIST,
        "Arguments of the application.",
        '["--verbose"]',
        vmms=_REAL,
    ),
    MachineKey(
        "environment",
        "table of strings",
        values.environment,
        {"type": "object", "additionalProperties": {"type": "string"}},
        "The environment of the application.",
        '{ LANG = "C.UTF-8" }',
    ),
    MachineKey(
        "command",
        "array of strings",
        values.command,
        {**_LIST, "minItems": 1},
        "The program of a process, and its arguments; in these `{listener}` is the socket that it "
        "has to dial.",
        '["python3", "-m", "guest", "hello:App", "--proxy=unix:{listener}"]',
        default="needed",
        vmms=("process",),
    ),
    MachineKey(
        "user",
        "string",
        values.text,
        STRING,
        "The user that it runs as, where the proxy is root.",
        '"blog"',
        default="that of the proxy",
    ),
    MachineKey(
        "idle",
        'number of seconds, or such as `"5m"`, or `false`',
        values.idle,
        {"anyOf": [{"const": False}, *_TIME["anyOf"]]},
        "Time without a request, tunnel or event stream after which an instance is stopped; "
        "false: it is not.",
        '"5m"',
        default='`"5m"`',
    ),
    MachineKey(
        "most",
        "whole number, 1 to 64",
        site_values.count(1, 64),
        {"type": "integer", "minimum": 1, "maximum": 64},
        "Instances at a time.",
        "3",
        default="`1`",
    ),
    MachineKey(
        "scale-after",
        'number of seconds, or such as `"500ms"`',
        values.duration(0.0, A_DAY),
        _TIME,
        "Time that a request waits, while all instances are busy, until another one is started.",
        "0.5",
        default="`0.5`",
    ),
    MachineKey(
        "start-timeout",
        'number of seconds, or such as `"1m"`',
        values.duration(0.1, A_DAY),
        _TIME,
        "Time that it has to register, and that requests wait for it.",
        "30",
        default="`30`",
    ),
    MachineKey(
        "stop-timeout",
        'number of seconds, or such as `"1m"`',
        values.duration(0.0, A_DAY),
        _TIME,
        "Time that it has to end when it is told to, until it is killed.",
        "10",
        default="`10`",
    ),
    MachineKey(
        "snapshot",
        "`true` or `false`",
        site_values.flag,
        {"type": "boolean"},
        "Experimental: when it is idle it is frozen to a file, as large as its memory, and later "
        "starts go on from that.",
        "true",
        default="`false`",
        vmms=ABLE,
    ),
    MachineKey(
        "console",
        'whole number of bytes, or a size such as `"1 MiB"`',
        values.console,
        _SIZE,
        "How much of its console is kept, twice.",
        '"1 MiB"',
        default='`"1 MiB"`',
    ),
)
"""Every key, in the order of the reference."""

BY_NAME: Final[Mapping[str, MachineKey]] = {each.name: each for each in MACHINE_KEYS}

assert {each.field for each in MACHINE_KEYS} == {each.name for each in fields(Machine)}


def machine_schema() -> dict[str, Any]:
    """What a JSON schema says of one machine."""
    return {
        each.name: {"description": each.help.replace("`", ""), **each.schema}
        for each in MACHINE_KEYS
    }
