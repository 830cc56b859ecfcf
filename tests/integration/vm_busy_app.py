"""The application of the guests in test_vm_failures: two requests at a time, and some that last."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import __main__

BOOT = Path("/proc/sys/kernel/random/boot_id").read_bytes()
HELD = 10.0

__main__.THREADS = 2


def events() -> Iterator[bytes]:
    """One after the other, without end."""
    while True:
        yield b"data: tick\n\n"
        time.sleep(0.2)


def app(method, target, headers, body):
    """Says which boot it is: at once, later, again and again, or never."""
    if target == b"/held":
        time.sleep(HELD)
    elif target == b"/events":
        return 200, [(b"content-type", b"text/event-stream")], events()
    elif target == b"/crash":
        os._exit(9)
    return 200, [], BOOT
