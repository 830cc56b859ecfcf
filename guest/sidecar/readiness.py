"""Whether the program takes requests yet."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat

from guest.sidecar.connection import ProgramConnection, ProgramGone
from guest.sidecar.dialler import ProgramDialler
from guest.sidecar.fields import request_head
from guest.sidecar.response_reader import AnswerHead

FIRST = 0.02
"""Seconds from the first question to the second; the next waits are longer by half each..."""

LONGEST = 0.5
"""...up to so many."""

PATIENCE = 5.0
"""Seconds that the answer to one question may take."""


class ReadinessProbe:
    """
    Asks a program whether it is ready: by a connection, or by a request too.

    @param path: the target of a C{GET} whose answer is a status from 200 to 399 when the program is
        ready; None: it is ready when it takes connections.
    @param host: the C{Host} of that request.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        dialler: ProgramDialler,
        path: str | None,
        host: bytes,
    ) -> None:
        self._loop = loop
        self._dialler = dialler
        self._path = path
        self._host = host
        self.address = dialler.address
        self.last = ""
        """What the program lacked when it was last asked, for a person."""

    async def taken(self) -> bool:
        """
        Whether somebody takes connections there now.

        The file of a UNIX socket that a program has left behind, as Node's do when they are killed,
        is removed: the next one could not listen there.
        """
        try:
            connection = await self._dial()
        except OSError as error:
            if error.errno == errno.ECONNREFUSED:
                self._remove_socket()
            return False
        connection.abort()
        return True

    def _remove_socket(self) -> None:
        path = self.address.path
        with contextlib.suppress(OSError):  # then the program says what is wrong
            if path and not path.startswith("\0") and stat.S_ISSOCK(os.lstat(path).st_mode):
                os.unlink(path)

    async def ready(self) -> None:
        """Returns when the program is ready."""
        delay = FIRST
        while not await self.check():
            await asyncio.sleep(delay)
            delay = min(LONGEST, 1.5 * delay)

    async def check(self) -> bool:
        """Whether it is, by one question."""
        try:
            connection = await self._dial()
        except OSError as error:
            self.last = f"nothing listens at {self._dialler.address} ({error.strerror or error})"
            return False
        try:
            if self._path is not None:
                return await asyncio.wait_for(self._ask(connection, self._path), PATIENCE)
        except asyncio.TimeoutError:
            self.last = f"{self._path} got no answer within {PATIENCE:g} s"
            return False
        except ProgramGone as error:
            self.last = f"{self._path} got no answer: {error}"
            return False
        finally:
            connection.abort()
        return True

    async def _dial(self) -> ProgramConnection:
        return await self._dialler.dial(
            self._loop, lambda: ProgramConnection(self._loop, lambda _: None)
        )

    async def _ask(self, connection: ProgramConnection, path: str) -> bool:
        connection.begin(b"GET")
        agent = [(b"User-Agent", b"subproxy-guest"), (b"Accept", b"*/*")]
        connection.write(request_head(b"GET", path.encode(), agent, authority=self._host))
        while True:
            event = await connection.next()
            if isinstance(event, AnswerHead) and event.status >= 200:
                self.last = f"{path} answered {event.status}"
                return event.status < 400
