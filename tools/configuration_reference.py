"""
Writes what is made of the table of settings: the configuration file's reference and its schema.

Run it after a change of the table: C{python -m tools.configuration_reference}. A test compares.
"""

from __future__ import annotations

import json
from pathlib import Path

from subproxy.config.configuration import SECTIONS
from subproxy.config.machine_keys import MACHINE_KEYS
from subproxy.config.schema import configuration_schema
from subproxy.config.setting import (
    Choice,
    Count,
    Flag,
    HttpLimit,
    Number,
    Octal,
    Processes,
    Setting,
    Text,
)
from subproxy.config.site_keys import KEYS
from subproxy.config.toml_text import SECTION_HELP, example
from subproxy.core.sites.site_rules import EACH_TIME
from subproxy.machines.declaration import VMMS

DOCS = Path(__file__).resolve().parent.parent / "docs" / "reference"

HEAD = """\
# Configuration

<!-- made by python -m tools.configuration_reference -->

What a [configuration file](proxy.md#the-configuration-file) may hold: every option of
[twistd subproxy](proxy.md) by section and key, and the policy. `subproxy init` writes a file that
has all of them; [a JSON schema](subproxy.schema.json) tells editors. Where a
[reload](proxy.md#reload) does not say "at once", a new value needs a hand-over (SIGUSR2).

"""

POLICY = """\
## [default] and [[guest]]

The policy, as `--policy` has it ([example](../../examples/policy.toml)). A reload puts it in force
at once.

| key | type | default | |
| --- | --- | --- | --- |
| `identity` | string or array | | of `[[guest]]`: which virtual machines; `*` stands for any text |
| `hosts` | string or array | | of `[[guest]]`: hosts that they may claim |
| `paths` | string or array | `"/"` | of `[[guest]]`: paths that they may claim |
"""


SITES = """\
## [[site]]

Rules for hosts and paths ([what they do](sites.md)). A reload puts them in force at once. Where a
rule is asked at each request, the request is not for the compiled path.

| key | type | default | each request | |
| --- | --- | --- | --- | --- |
"""


MACHINES = """\
## [[machine]]

Machines that the proxy starts when they are asked for ([how](../howto/machines.md)). A reload puts
them in force: those that have changed are replaced.

| key | type | default | of | |
| --- | --- | --- | --- | --- |
"""


def kind(setting: Setting) -> str:
    """The type of a key, with its range."""
    match setting.kind:
        case Number(low=low, high=high):
            found = f"number, {low:g} to {high:g}"
        case Count(low=low, high=high):
            found = f"whole number, {low} to {high}"
        case HttpLimit(row=row):
            whole = "whole number" if isinstance(row.default, int) else "number"
            found = f"{whole} from 0"
        case Processes(most=most):
            return f'`"auto"`, or whole number, 1 to {most}'
        case Flag():
            return "`true` or `false`"
        case Octal():
            return "string, octal"
        case Choice(words=words):
            return ", ".join(f'`"{word}"`' for word in words)
        case Text(port=True):
            found = "string or port"
        case _:
            found = "string"
    if setting.kind.unit not in ("", "port"):
        found += f"; {setting.kind.unit}"
    return f"{found}; or array" if setting.repeats else found


def row(setting: Setting) -> str:
    """The line of a key."""
    default = setting.otherwise if setting.default is None else f"`{example(setting)}`"
    default = default.replace("](#", "](proxy.md#")
    if default == "see below":
        default = "see [listeners](proxy.md#listeners)"
    reload = "at once" if setting.reload else ""
    text = " ".join(setting.help.split()).replace("|", "\\\\|")
    cells = (f"`{setting.key}`", kind(setting), default, reload, f"`--{setting.option}`", text)
    return f"| {' | '.join(cells)} |\n".replace("*", "\\*")


def page() -> str:
    """The reference."""
    parts = [HEAD]
    for name, rows in SECTIONS.items():
        parts.append(f"## [{name}]\n\n{SECTION_HELP[name]}\n\n")
        parts.append("| key | type | default | reload | option | |\n")
        parts.append("| --- | --- | --- | --- | --- | --- |\n")
        parts += [*map(row, rows.values()), "\n"]
    parts.append(POLICY)
    quotas = configuration_schema()["properties"]["default"]["properties"]
    for name, each in quotas.items():
        if name == "upgrades":
            default = ", ".join(f'"{protocol}"' for protocol in each["default"])
            parts.append(f"| `{name}` | array | `[{default}]` | {each['description']} |\n")
            continue
        kind = "whole number from 1"
        if name == "buffer":
            kind += ', or a size such as `"16 MiB"`'
        elif each.get("type") == "boolean":
            kind = "`true` or `false`"
        default = json.dumps(each["default"])
        parts.append(f"| `{name}` | {kind} | `{default}` | {each['description']} |\n")
    parts.append(f"\n{SITES}")
    for key in KEYS:
        asked = "asked" if key.rule in EACH_TIME else ""
        cells = (f"`{key.name}`", key.kind, key.default or "none", asked, key.help)
        parts.append(f"| {' | '.join(cells)} |\n")
    parts.append(f"\n{MACHINES}")
    for each in MACHINE_KEYS:
        of = "all" if each.vmms == VMMS else ", ".join(each.vmms)
        cells = (f"`{each.name}`", each.kind, each.default, of, each.help)
        parts.append(f"| {' | '.join(cells)} |\n")
    return "".join(parts)


def files() -> dict[Path, str]:
    """All that is made, by its path."""
    schema = json.dumps(configuration_schema(), indent=1) + "\n"
    return {DOCS / "configuration.md": page(), DOCS / "subproxy.schema.json": schema}


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
