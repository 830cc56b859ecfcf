"""Untrusted text made printable: for logs, tables, JSON, metric labels and error messages.

What a guest or a client has chosen may hold control characters that forge a line of a log or
steer a terminal, and letters that only look like others. Whoever shows such text to a person
shows C{printable} of it, whatever the sink. (The access log quotes its fields, which takes more:
see C{subproxy.telemetry.log_format.escaped}.)
"""

from __future__ import annotations


def printable(text: bytes | str, *, unambiguous: bool = False) -> str:
    r"""Return C{text} with escapes for all that is not printable ASCII: one line, without controls.

    A byte becomes C{\xHH}; a character of a C{str} becomes C{\xHH}, C{\uHHHH} or
    C{\UHHHHHHHH}. A backslash stays as it is, so that patterns can be read, and so that
    what is printable already does not change. With C{unambiguous} it is doubled, so that
    no two texts look alike: for names that must tell things apart.
    """
    shown = text.decode("latin-1") if isinstance(text, bytes) else text
    if unambiguous:
        shown = shown.replace("\\", "\\\\")
    if shown.isascii() and shown.isprintable():
        return shown
    return "".join([each if " " <= each <= "~" else _escaped(ord(each)) for each in shown])


def _escaped(code: int) -> str:
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
