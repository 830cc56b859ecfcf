"""Values of a JSON document, each of the kind that it must be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class JsonError(ValueError):
    """A document that is not as its specification says."""


def parse_json(data: bytes, what: str) -> Any:
    """
    A document.

    @param what: its name, for people.
    @raise JsonError: it is none.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise JsonError(f"{what} is no JSON: {error}") from error


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """An object; null is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise JsonError(f"{what} is no object")
    return value


def array(value: Any, what: str) -> list[Any]:
    """An array; null is an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise JsonError(f"{what} is no array")
    return value


def text(value: Any, what: str) -> str:
    """A string; null is an empty one."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise JsonError(f"{what} is no string")
    return value


def texts(value: Any, what: str) -> tuple[str, ...]:
    """An array of strings; null is an empty one."""
    return tuple(text(each, f"an entry of {what}") for each in array(value, what))
