"""The vectors of tests/vectors, run on L{guest.twisted.subscriber}."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from guest.twisted.data_connection import DataPool, GuestDataConnection
from subproxy.wire.errors import TooLarge
from subproxy.wire.limits import Limits
from tests.guest.twisted.test_data_connection import Proxy, Wire
from tests.rigs import vector_runner as vectors
from tests.rigs.guest_application import MemoryGuest


class SessionVectorTests(SynchronousTestCase):
    """A subscription holds every conversation."""

    def test_sessions(self) -> None:
        failed: list[Any] = []
        for each in vectors.load("sessions.json")["sessions"]:
            for split in (False, True):
                guest = MemoryGuest(
                    limits=Limits(**each.get("guest", {})), concurrency=each.get("concurrency", 0)
                )
                try:
                    vectors.Run(each, guest, split).run()
                except AssertionError as error:
                    failed.append((each["name"], split, str(error)[:300]))
        self.flushLoggedErrors(RuntimeError, TooLarge)
        self.assertEqual(failed, [])

    def test_data_connections(self) -> None:
        """And those of which parts go over data connections."""
        failed: list[Any] = []
        for each in vectors.load("data.json")["sessions"]:
            for split in (False, True):
                guest = BulkGuest(concurrency=each.get("concurrency", 0))
                try:
                    vectors.DataRun(each, guest, split).run()
                except AssertionError as error:
                    failed.append((each["name"], split, str(error)[:300]))
        self.flushLoggedErrors()
        self.assertEqual(failed, [])


class BulkLine:
    """A data connection in memory (tests.rigs.vector_runner.Line)."""

    def __init__(self, connection: GuestDataConnection) -> None:
        self._connection = connection
        assert isinstance(connection.transport, Wire)
        self._wire = connection.transport

    def send(self, data: bytes) -> None:
        self._connection.dataReceived(data)

    def receive(self) -> bytes:
        data: bytes = self._wire.value()
        self._wire.clear()
        return data

    def end(self) -> None:
        self._connection.connectionLost(Failure(ConnectionDone()))

    def closed(self) -> bool:
        return bool(self._wire.disconnecting)


class BulkGuest(MemoryGuest):
    """A guest that dials data connections in memory."""

    def __init__(self, **options: Any) -> None:
        super().__init__(prepare=self.offer, **options)

    def offer(self, factory: Any) -> None:
        self.proxy = Proxy()
        factory.data = DataPool(self.proxy, self.clock)

    def lines(self) -> list[BulkLine]:
        return [BulkLine(each) for each in self.proxy.lines]
