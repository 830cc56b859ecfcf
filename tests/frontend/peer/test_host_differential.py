"""One conversation of two hosts with each engine of TLS: what both are told is the same."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionLost
from twisted.trial.unittest import SynchronousTestCase

from tests.frontend.peer.host_tls_case import (
    HostEnd,
    HostLine,
    compiled_engine,
    host_files,
    twisted_engine,
)
from tests.rigs.examples import examples
from tests.rigs.tls_rig import Authority

DATA = st.integers(1, 70_000).map(lambda size: bytes([size & 255]) * size)
ENDS = st.sampled_from(["one", "two"])

STEPS = st.one_of(
    st.tuples(st.just("write"), ENDS, DATA),
    st.tuples(st.just("several"), ENDS, st.lists(DATA, max_size=4)),
    st.tuples(st.just("move"), ENDS, st.integers(1, 30_000)),
    st.tuples(st.sampled_from(["pump", "turn", "damaged", "lose", "abort", "cut"]), ENDS),
)

AUTHORITY = Authority()
PEMS = [AUTHORITY.issue(name) for name in ("kvm-1", "kvm-2")]


class Conversation:
    """What happens to two hosts with one engine, and what comes of it."""

    def __init__(self, folder: str, engine: Any) -> None:
        one, two = (
            (host_files(folder, AUTHORITY, pem, f"host-{number}"), engine)
            for number, pem in enumerate(PEMS)
        )
        self.line = HostLine(one, two)
        self.line.pump()
        self.less: set[str] = set()
        self.either: set[str] = set()

    def step(self, what: str, name: str, *values: Any) -> None:
        line = self.line
        end: HostEnd = getattr(line, name)
        other = line.two if end is line.one else line.one
        match what:
            case "write":
                end.inner.transport.write(values[0])
            case "several":
                end.inner.transport.writeSequence(values[0])
            case "move":
                line.clock.advance(0)
                said = end.transport.take()
                size = values[0]
                for at in range(0, len(said), size):
                    self.hear(other, said[at : at + size])
            case "pump":
                line.pump()
            case "turn":
                line.clock.advance(0)
            case "damaged":
                line.clock.advance(0)
                data = bytearray(end.transport.take())
                if data:
                    data[-1] ^= 1
                    self.either.add("two" if name == "one" else "one")
                self.hear(other, bytes(data))
            case "lose":
                self.less.add(name)
                end.inner.transport.loseConnection()
                line.pump()
            case "abort":
                self.either |= {"one", "two"}
                if not end.transport.gone:
                    end.inner.transport.abortConnection()
                    line.pump()
            case "cut":
                line.pump()
                for each in (line.one, line.two):
                    each.transport.lose(ConnectionLost())

    def hear(self, end: HostEnd, data: bytes) -> None:
        if data and not end.transport.gone:
            end.transport.protocol.dataReceived(data)

    def seen(self) -> dict[str, tuple[bytes, bool, bool]]:
        """What each end knows when all has moved: what it has heard, and whether it is over."""
        self.line.pump()
        return {
            name: (end.inner.heard, bool(end.inner.ends), end.transport.gone)
            for name, end in (("one", self.line.one), ("two", self.line.two))
        }


class DifferentialTests(SynchronousTestCase):
    @settings(max_examples=examples(60), deadline=None)
    @given(st.lists(STEPS, max_size=12))
    def test_any_conversation(self, steps: list[tuple[Any, ...]]) -> None:
        """
        Once all has moved, both ends know the same.

        Who closes listens no more, as with TCP; Twisted's hears what was under way. What was
        written in the same turn as a reset has left before it or has not: here what is large,
        Twisted's whatever was not held back. A damaged record is lost as a whole, and what is in
        one is an engine's own affair.
        """
        folder = self.mktemp()
        lines = [Conversation(folder, make()) for make in (twisted_engine, compiled_engine)]
        for step in steps:
            for line in lines:
                line.step(*step)
        reference, compiled = (line.seen() for line in lines)
        for name in lines[1].less | lines[1].either:
            theirs, (ours, *ended) = reference[name][0], compiled[name]
            either = name in lines[1].either and ours.startswith(theirs)
            self.assertTrue(either or theirs.startswith(ours))
            compiled[name] = (theirs, *ended)
        self.assertEqual(reference, compiled)
