"""How a setting is written in its class: a field with all that is known of it."""

from __future__ import annotations

from dataclasses import field
from typing import Any, TypeVar

from subproxy.config.setting import WORDS, SettingKind

T = TypeVar("T")


def _field(kind: SettingKind[object], default: Any, row: dict[str, Any]) -> Any:
    row.setdefault("key", "")
    row.setdefault("word", WORDS.get(kind.unit, "N"))
    return field(default=default, metadata={"kind": kind, **row})


def one(kind: SettingKind[T], default: str, help: str, group: str, section: str, **row: Any) -> T:
    """A setting that has a default."""
    row |= {"default": default, "help": help, "group": group, "section": section}
    found: T = _field(kind, kind.parse(default), row)
    return found


def maybe(kind: SettingKind[T], help: str, group: str, section: str, **row: Any) -> T | None:
    """A setting that has none."""
    row |= {"default": None, "help": help, "group": group, "section": section}
    found: T | None = _field(kind, None, row)
    return found


def many(kind: SettingKind[T], help: str, group: str, section: str, **row: Any) -> tuple[T, ...]:
    """A setting that may be said more than once."""
    row |= {"default": None, "help": help, "group": group, "section": section, "repeats": True}
    found: tuple[T, ...] = _field(kind, (), row)
    return found
