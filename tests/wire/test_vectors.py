"""Tests of tests/vectors/ against subproxy.wire: what a stranger's implementation is held to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from subproxy.wire.connection import Broken, WireConnection
from subproxy.wire.errors import FrameError, HelloError, MessageError
from subproxy.wire.frames import FrameDecoder, decode, encode
from subproxy.wire.messages import parse
from subproxy.wire.states import Role, Side
from tests.rigs.vector_runner import Run, as_json, from_json, load
from tests.rigs.wire_guest import VectorGuest


def splits(data: str) -> Iterable[list[bytes]]:
    """C{data} whole, and byte by byte."""
    raw = data.encode("latin-1")
    yield [raw]
    yield [raw[i : i + 1] for i in range(len(raw))]


def decoded(parts: list[bytes], limit: int = 262_144) -> list[Any]:
    """The frames of these reads, as JSON."""
    decoder = FrameDecoder(limit)
    frames = []
    for part in parts:
        decoder.feed(part)
        while (frame := decoder.next()) is not None:
            frames.append(as_json(frame))
    return frames


class FrameVectorTests(SynchronousTestCase):
    def test_valid(self) -> None:
        """Each decodes to its value, and its value encodes to as many bytes of the same value."""
        for case in load("frames.json")["valid"]:
            for parts in splits(case["bytes"]):
                self.assertEqual([case["value"]], decoded(parts), case["name"])
            again = encode(from_json(case["value"]))
            self.assertEqual(len(case["bytes"]), len(again), case["name"])
            self.assertEqual(case["value"], as_json(decode(again)), case["name"])

    def test_encoding(self) -> None:
        """Where there are no two keys whose order is free, a value has one encoding."""
        for case in load("frames.json")["valid"]:
            if "}" not in case["bytes"]:
                expected = case["bytes"].encode("latin-1")
                self.assertEqual(expected, encode(from_json(case["value"])), case["name"])

    def test_invalid(self) -> None:
        """Each is refused, without another byte."""
        for case in load("frames.json")["invalid"]:
            self.assertEqual("frame", case["error"])
            for parts in splits(case["bytes"]):
                decoder = FrameDecoder(case.get("limit", 262_144))
                before = 0
                with self.assertRaises(FrameError, msg=case["name"]):
                    for part in parts:
                        decoder.feed(part)
                        while decoder.next() is not None:
                            before += 1
                self.assertEqual(case.get("valid_before", 0), before, case["name"])

    def test_incomplete(self) -> None:
        """None gives a frame or an error."""
        for case in load("frames.json")["incomplete"]:
            for parts in splits(case["bytes"]):
                self.assertEqual([], decoded(parts), case["name"])


class MessageVectorTests(SynchronousTestCase):
    def test_valid(self) -> None:
        """Each is a message, and its frame begins with the same elements."""
        for case in load("messages.json")["valid"]:
            frame = decode(case["bytes"].encode("latin-1"))
            self.assertEqual(case["value"], as_json(frame))
            message = parse(frame)
            assert message is not None, case["name"]
            shared = min(len(frame), len(message.frame()))
            self.assertEqual(frame[:shared], message.frame()[:shared], case["name"])

    def test_ignored(self) -> None:
        """Each is a frame, and no message of this version."""
        for case in load("messages.json")["ignored"]:
            self.assertIsNone(parse(decode(case["bytes"].encode("latin-1"))), case["name"])

    def test_invalid(self) -> None:
        """Each is a frame, and refused with its error."""
        for case in load("messages.json")["invalid"]:
            frame = decode(case["bytes"].encode("latin-1"))
            error = self.assertRaises(MessageError, parse, frame)
            self.assertEqual(case["error"], error.code.decode(), case["name"])
            refusal = error.refusal.decode() if isinstance(error, HelloError) else None
            self.assertEqual(case.get("refusal"), refusal, case["name"])

    def test_invalid_hello_on_a_connection(self) -> None:
        """A proxy answers with refused and bye."""
        for case in load("messages.json")["invalid"]:
            if "refusal" in case:
                proxy = WireConnection(Role.PROXY)
                proxy.feed(case["bytes"].encode("latin-1"))
                self.assertIsInstance(proxy.next_event(), Broken)
                refused, bye = decoded([proxy.data_to_send()])
                self.assertEqual(["refused", 0, case["refusal"]], refused[:3], case["name"])
                self.assertEqual(["bye", case["error"]], bye[:2], case["name"])
                self.assertIs(Side.DONE, proxy.ours)


class SessionVectorTests(SynchronousTestCase):
    def _sessions(self, split: bool) -> None:
        sessions = load("sessions.json")["sessions"]
        for session in sessions:
            if any(step[0] == "silence" for step in session["steps"]):
                continue  # this guest has no clock
            try:
                Run(session, VectorGuest(session.get("guest")), split).run()
            except AssertionError as error:
                self.fail(f"{session['name']}: {error}")
        self.assertGreater(len(sessions), 50)

    def test_whole(self) -> None:
        """Every session holds when each send arrives whole."""
        self._sessions(False)

    def test_byte_by_byte(self) -> None:
        """Every session holds when each send arrives one byte at a time."""
        self._sessions(True)

    def test_names_are_unique(self) -> None:
        """A name stands for one session."""
        names = [session["name"] for session in load("sessions.json")["sessions"]]
        self.assertEqual(len(names), len(set(names)))
