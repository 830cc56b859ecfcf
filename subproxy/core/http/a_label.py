"""The ASCII spelling of a label of a host that was written in another script.

A client sends C{xn--bcher-kva}, never C{bücher} (RFC 5890 section 2.3.2.1). This is for advice
to a person alone: the punycode of the label in lower case and in Unicode's form C, which is what
browsers send for names that are in use.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MAX_LABEL: Final = 63
"""Bytes of a label."""

_LABEL: Final = re.compile(r"[\w-]+")


def a_label(label: str) -> str | None:
    """Return the A-label of C{label}, None if it has none."""
    plain = unicodedata.normalize("NFC", label.lower())
    if len(plain) > MAX_LABEL:
        return None
    made = "xn--" + plain.encode("punycode").decode("ascii")
    return made if len(made) <= MAX_LABEL else None


def advice(source: bytes) -> str:
    """Say how to write the first label of the host pattern C{source} that is not ASCII."""
    text = source.decode("utf-8", "replace")
    for match in _LABEL.finditer(text):
        label = match[0]
        made = None if label.isascii() else a_label(label)
        if made is not None:
            return f"for {label} write {made}"
    return "write a name of another script as its A-label, xn--..."
