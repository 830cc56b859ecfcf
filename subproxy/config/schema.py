"""A JSON schema of the configuration file, for editors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from subproxy.config.configuration import SECTIONS
from subproxy.config.machine_keys import machine_schema
from subproxy.config.setting import Setting
from subproxy.config.site_keys import KEYS
from subproxy.config.toml_text import SECTION_HELP, about
from subproxy.core.access.policy import MOST_UPGRADES, UPGRADE_PATTERN, UPGRADES, Quotas

DIALECT = "https://json-schema.org/draft/2020-12/schema"

QUOTA_HELP = {
    "routes": "Routes registered at a time.",
    "connections": "Connections open at a time, of every kind.",
    "exchanges": "Exchanges in flight at a time.",
    "buffer": "Bytes that the proxy holds for a virtual machine: a number, or such as 16 MiB.",
    "registrations": "Registrations a second.",
    "tunnels": "Tunnels open at a time, such as WebSockets; they count as no exchanges.",
}


def configuration_schema() -> dict[str, Any]:
    """The schema of a configuration file, as JSON has it."""
    properties: dict[str, Any] = {
        name: _table(SECTION_HELP[name], {each.key: _setting(each) for each in rows.values()})
        for name, rows in SECTIONS.items()
    }
    strings = {"type": "string", "minLength": 1}
    several = {"anyOf": [strings, {"type": "array", "items": strings, "minItems": 1}]}
    quotas = {name: _quota(name, value) for name, value in asdict(Quotas()).items()}
    claims = {
        "identity": {"description": "Which virtual machines; * stands for any text.", **several},
        "hosts": {"description": "Hosts that they may claim.", **several},
        "paths": {"description": "Paths that they may claim.", "default": "/", **several},
    }
    quotas["upgrades"] = {
        "description": "Protocols that they may change to, as Upgrade names them.",
        "default": sorted(each.decode() for each in UPGRADES),
        "type": "array",
        "maxItems": MOST_UPGRADES,
        "items": {"type": "string", "pattern": UPGRADE_PATTERN},
    }
    quotas["passthrough"] = {
        "description": "Whether they may have the TLS of clients as it is, and hold the keys.",
        "default": False,
        "type": "boolean",
    }
    guest = _table("Who may claim what.", {**claims, **_without_defaults(quotas)})
    guest["required"] = ["identity", "hosts"]
    properties["default"] = _table("Quotas of every guest that has none of its own.", quotas)
    properties["guest"] = {"type": "array", "items": guest}
    properties["site"] = {"type": "array", "items": _site()}
    properties["machine"] = {"type": "array", "items": _machine()}
    return {
        "$schema": DIALECT,
        "title": "The configuration of subproxy",
        **_table("Read by twistd subproxy --config.", properties),
    }


def _site() -> dict[str, Any]:
    keys = {each.name: {"description": each.help.replace("`", ""), **each.schema} for each in KEYS}
    site = _table("Rules for hosts and paths.", keys)
    site["required"] = ["hosts"]
    site["dependentRequired"] = {each.name: [each.needs] for each in KEYS if each.needs}
    return site


def _machine() -> dict[str, Any]:
    machine = _table("A machine that is started when it is asked for.", machine_schema())
    machine["required"] = ["name", "vmm", "hosts"]
    return machine


def _table(description: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "description": description,
        "type": "object",
        "additionalProperties": False,
        "properties": dict(properties),
    }


def _setting(setting: Setting) -> dict[str, Any]:
    one = dict(setting.kind.schema())
    if setting.repeats:
        one = {"anyOf": [one, {"type": "array", "items": one}]}
    found: dict[str, Any] = {"description": about(setting), **one}
    if setting.default is not None:
        found["default"] = _default(setting, setting.default)
    return found


def _default(setting: Setting, default: str) -> object:
    """The default as the file has it: a number, a truth, or the text itself."""
    value = setting.parse(default)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    # A mode is a number in the program, and a string in the file.
    return default if setting.kind.schema().get("type") == "string" else value


def _quota(name: str, default: int) -> dict[str, Any]:
    number: dict[str, Any] = {"type": "integer", "minimum": 1}
    size = {"type": "string", "pattern": "^0*[1-9][0-9]* *(B|KiB|MiB|GiB)?$"}
    kind = {"anyOf": [number, size]} if name == "buffer" else number
    return {"description": QUOTA_HELP[name], "default": default, **kind}


def _without_defaults(quotas: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Those of a guest: what it does not say is said by C{[default]}."""
    return {
        name: {key: value for key, value in each.items() if key != "default"}
        for name, each in quotas.items()
    }
