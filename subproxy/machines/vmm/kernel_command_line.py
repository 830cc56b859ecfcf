"""The command line of a machine's kernel: the VMM's words, the operator's, and the application's.

An application's arguments and environment are words C{subproxy.arg=} and C{subproxy.env=}, which
the images of C{subproxy-mkinitramfs} understand (docs/reference/mkinitramfs.md, "Settings").
"""

from __future__ import annotations

import re
from typing import Final

from subproxy.machines.declaration import Machine
from subproxy.machines.vmm.driver import VmmError

LONGEST: Final = 2047
"""Bytes that Linux keeps on x86-64; what is beyond is cut off silently."""

QUICK: Final = ("cryptomgr.notests",)
"""
A kernel that does not test its ciphers when it boots, which nothing in a guest asks for: two fifths
of the instructions until init, with Debian's cloud kernel 6.1 (0.9 of 2.3 thousand million).
"""

_ESCAPED: Final = re.compile(rb"[^\x21\x23\x24\x26-\x7e]")
"""What stands as C{%XX} in a value: blanks, quotation marks, C{%}, all that is not ASCII."""


def kernel_command_line(machine: Machine, *words: str) -> str:
    """
    The command line: those words first, so that the operator's own come after and win.

    @raise VmmError: Linux would cut it off.
    """
    line = " ".join(
        [
            *words,
            *machine.kernel_arguments,
            *(f"subproxy.arg={_encoded(each)}" for each in machine.arguments),
            *(
                f"subproxy.env={_encoded(f'{name}={value}')}"
                for name, value in machine.environment.items()
            ),
        ]
    )
    size = len(line.encode())
    if size > LONGEST:
        raise VmmError(
            f"the kernel's command line has {size} bytes, of which Linux keeps {LONGEST}"
        )
    return line


def _encoded(value: str) -> str:
    return _ESCAPED.sub(lambda found: b"%%%02X" % found[0][0], value.encode()).decode()
