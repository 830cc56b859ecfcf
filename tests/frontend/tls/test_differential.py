"""One conversation with all engines: what HTTP is told, and what the client gets, is the same."""

from __future__ import annotations

import ssl
from typing import Any
from unittest import SkipTest

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.tls.python_engine import PythonEngine
from tests.rigs.examples import examples
from tests.rigs.tls_line import Line

DATA = st.integers(1, 40000).map(lambda size: bytes([size & 255]) * size)

STEPS = st.one_of(
    st.tuples(st.just("say"), DATA, st.integers(0, 5000)),
    st.tuples(st.just("write"), DATA),
    st.tuples(
        st.sampled_from(
            [
                "pause",
                "resume",
                "turn",
                "close notify",
                "fin",
                "lose",
                "half close",
                "abort",
                "gone",
            ]
        )
    ),
    st.tuples(st.just("damaged"), DATA),
)


class Conversation:
    """What happens to one engine, and what comes of it."""

    def __init__(self, engine: Any) -> None:
        self.line = Line(engine)
        self.line.shake()
        self.inner = self.line.inner
        self.transport = self.inner.transport
        self.over = False

    def step(self, what: str, *values: Any) -> None:
        line = self.line
        match what:
            case "say":
                data = self.sealed(values[0])
                size = values[1] or len(data) or 1
                for at in range(0, len(data), size):
                    self.feed(data[at : at + size])
            case "damaged":
                data = bytearray(self.sealed(values[0]))
                if data:
                    data[-1] ^= 1
                self.feed(bytes(data))
            case "write":
                self.transport.write(values[0])
            case "pause":
                self.transport.pauseProducing()
            case "resume":
                self.transport.resumeProducing()
            case "turn":
                line.clock.advance(0)
            case "close notify":
                self.feed(line.client.close())
            case "fin":
                if not self.over:
                    line.server.readConnectionLost()
                    self.over = self.over or "lost" in self.inner.events
            case "lose":
                self.transport.loseConnection()
            case "half close":
                self.transport.loseWriteConnection()
            case "abort":
                self.transport.abortConnection()
            case "gone":
                if not self.over:
                    line.server.connectionLost(Failure(ConnectionDone()))
                    self.over = True

    def sealed(self, data: bytes) -> bytes:
        try:
            return self.line.client.send(data)
        except ssl.SSLError:
            return b""  # the client has been told that it is over

    def feed(self, data: bytes) -> None:
        if data and not self.over and not self.line.transport.aborted:
            self.line.server.dataReceived(data)

    def seen(self) -> Any:
        """All that can be seen from outside; how data is cut is nobody's business."""
        line = self.line
        try:
            line.client.feed(line.take())
            fault = ""
        except ssl.SSLError as error:
            fault = str(error.reason)
        told: list[Any] = []
        for each in self.inner.events:
            if isinstance(each, bytes) and told and isinstance(told[-1], bytes):
                told[-1] += each
            else:
                told.append(each)
        return {
            "told": told,
            "received": line.client.received,
            "closed": line.client.closed,
            "fault": fault,
            "state": None if self.over else line.server.state,
            "transport": (
                line.transport.disconnecting,
                line.transport.halfClosed,
                line.transport.aborted,
                line.transport.producerState,
            ),
            "counts": line.counts,
            "open": len(line.http.connections),
        }


class DifferentialTests(SynchronousTestCase):
    @settings(max_examples=examples(200), deadline=None)
    @given(st.lists(STEPS, max_size=12))
    def test_any_conversation(self, steps: list[tuple[Any, ...]]) -> None:
        try:
            from subproxy.frontend.tls.system_engine import SystemEngine
            from subproxy.frontend.tls.wheel_engine import WheelEngine
        except ImportError as error:
            raise SkipTest(str(error))
        if not hasattr(self, "engines"):
            self.engines = [PythonEngine(), SystemEngine(), WheelEngine()]
        sides = [Conversation(each) for each in self.engines]
        for step in steps:
            for side in sides:
                side.step(*step)
            reference, *compiled = (side.seen() for side in sides)
            for each in compiled:
                self.assertEqual(reference, each)
