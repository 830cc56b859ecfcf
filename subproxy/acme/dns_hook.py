"""Records of DNS for challenges (dns-01), by a program of the operator's."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import Final

PATIENCE: Final = 300.0
"""Seconds that the program may take, waiting for its servers included."""


class DnsHookError(Exception):
    """The program has failed; the text says how."""


@dataclass(frozen=True, slots=True)
class DnsHook:
    """
    A program, called as C{PROGRAM add NAME VALUE}, and as C{PROGRAM remove NAME VALUE} when it is
    over. It sees to a TXT record of that name (C{_acme-challenge.blog.example}) and value, and ends
    with status 0 when it can be asked for. Its calls block.
    """

    program: str

    def add(self, name: str, value: str) -> None:
        """
        Let there be a record.

        @raise DnsHookError: there is none.
        """
        self._call("add", name, value)

    def remove(self, name: str, value: str) -> None:
        """
        It is of no more use.

        @raise DnsHookError: it may be there still.
        """
        self._call("remove", name, value)

    def _call(self, what: str, name: str, value: str) -> None:
        try:
            done = subprocess.run(
                [self.program, what, name, value],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=PATIENCE,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DnsHookError(f"{self.program} {what}: {error}") from None
        if done.returncode:
            said = done.stdout.decode("utf-8", "replace").strip()[-400:]
            why = f"status {done.returncode}" + (f": {said}" if said else "")
            raise DnsHookError(f"{self.program} {what}: {why}")
