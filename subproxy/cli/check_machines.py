"""What C{subproxy check} says of machines."""

from __future__ import annotations

from collections.abc import Iterator

from subproxy.config.configuration import MACHINE, Configuration
from subproxy.config.machine_keys import MACHINE_KEYS
from subproxy.config.toml_text import toml_value


def machine_lines(configuration: Configuration) -> Iterator[str]:
    """Each machine as TOML has it, with where each key comes from."""
    for index, machine in enumerate(configuration.machines):
        line = configuration.lines.table(MACHINE, index)
        yield f"[[{MACHINE}]]{' ' * 29}# {configuration.path}:{line}"
        for each in MACHINE_KEYS:
            value = getattr(machine, each.field)
            if value in ("", (), {}) or machine.vmm not in each.vmms:
                continue
            line = configuration.lines.key(each.name, MACHINE, index)
            said = line != configuration.lines.table(MACHINE, index)
            where = f"{configuration.path}:{line}" if said else "default"
            yield f"{f'{each.name} = {_shown(value)}':40}  # {where}"
        yield ""


def _shown(value: object) -> str:
    if value is None:
        return "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return toml_value(list(value) if isinstance(value, tuple) else value)
