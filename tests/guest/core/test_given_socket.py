"""Tests of guest.core.given_socket."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from guest.core.given_socket import let_go
from tests.rigs.event_loops import RUNNERS


class Leaving(asyncio.Protocol):
    def __init__(self) -> None:
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        transport.close()

    def connection_lost(self, reason: Exception | None) -> None:
        self.over.set_result(None)


class LetGoTests(SynchronousTestCase):
    def number_is_free(self, run: Callable[..., Any], protocol: Any) -> bool:
        """Whether the number that a given socket had is its own no more, behind the transport."""
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        number = ours.fileno()

        async def main() -> None:
            loop = asyncio.get_running_loop()
            transport, made = await loop.create_unix_connection(protocol, sock=ours)
            let_go(ours, transport)
            transport.close()
            await made.over

        run(main())
        self.assertRaises(OSError, os.fstat, number)
        return ours.fileno() == -1

    def test_closed_at_once(self) -> None:
        """Whoever gets the number next keeps it."""
        for run in RUNNERS:
            self.assertTrue(self.number_is_free(run, Leaving))

    def test_closed_later(self) -> None:
        class Staying(Leaving):
            def connection_made(self, transport: Any) -> None:
                pass

        for run in RUNNERS:
            self.assertTrue(self.number_is_free(run, Staying))
