"""What is special in RE2's syntax: one table for all who read patterns."""

from __future__ import annotations

from typing import Final

META: Final = frozenset(rb"\.^$|?*+()[]{}")
"""Bytes that stand for themselves only after a backslash (or where RE2 is lenient)."""

REPEATS: Final = frozenset(b"?*+{")
"""What makes the character before it more or less than one."""

WORD: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
"""Bytes that a backslash gives a meaning to; before all other ASCII it takes it away."""
