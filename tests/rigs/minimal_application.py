"""An application for L{guest.minimal}: what the vectors ask for, and faults."""

from __future__ import annotations

import threading
from typing import Any

from guest import minimal

DEADLINE = 10.0


def application(method: bytes, target: bytes, headers: Any, body: Any) -> Any:
    """What the vectors ask for."""
    match target:
        case b"/echo":
            return 200, [], body.read()
        case b"/stream":
            return 200, [], body
        case b"/wait":
            threading.Event().wait(DEADLINE)
            return 200, [], b""
        case b"/break":
            return 200, [], breaking()
        case b"/nonsense":
            return None
        case b"/str":
            return 200, [("a", "b")], b""
        case b"/dict":
            return 200, {b"a": b"b"}, b""
        case b"/big":
            return 200, [], bytes(100_000)
        case b"/fields":
            return 200, [(b"x", b"x" * 2000)], b"hello\n"
    return minimal.hello_app(method, target, headers, body)


def breaking() -> Any:
    yield b"half"
    raise RuntimeError("on purpose")
