"""Tests for L{guest.minimal}: the vectors, and what they don't reach."""

from __future__ import annotations

import errno
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from guest import minimal
from subproxy.wire.frames import FrameDecoder, encode
from tests.rigs import vector_runner as vectors
from tests.rigs.minimal_application import DEADLINE, application
from tests.rigs.strategies_guest import frames

SILENCE = 0.005


class SessionGuest:
    """A L{minimal.Session} at the other end of a socket pair (tests.rigs.vector_runner.Guest)."""

    def __init__(self, concurrency: int = 0) -> None:
        self.ours, theirs = socket.socketpair()
        hello = {b"application": b"vectors", b"instance": b"1", b"worker": 0}
        hello[b"concurrency"] = concurrency
        routes = [(rb"blog\.example", rb"/.*")]
        self.session = minimal.Session(theirs, hello, routes, application)
        self.ended = False
        self.stopping = False
        self.outcome: Any = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.outcome = self.session.run()

    def send(self, data: bytes) -> None:
        try:
            self.ours.sendall(data)
        except OSError:
            self.ended = True

    def receive(self) -> bytes:
        data = self._read()
        return vectors.received(self, data) if self.stopping else data

    def _read(self) -> bytes:
        data = b""
        wait = SILENCE
        while not self.ended and select.select([self.ours], [], [], wait)[0]:
            try:
                more = self.ours.recv(1 << 20)
            except ConnectionResetError:
                more = b""
            self.ended = not more
            data += more
            wait = 0.001
        return data

    def frames(self) -> list[Any]:
        """What it says in the next moment, decoded."""
        return vectors.decoded(self.receive())

    def closed(self) -> bool:
        return self.ended or self.session.ours == "done"

    def stop(self) -> None:
        self.stopping = True
        self.session.drain()

    def wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.ended:
            time.sleep(SILENCE)

    def join(self) -> None:
        self._thread.join(DEADLINE)

    def close(self) -> None:
        self.ours.close()
        self.join()


class PatientRun(vectors.Run):
    """Waits for what threads have to say."""

    def _patiently(self, function: Callable[..., Any], *arguments: Any) -> Any:
        end = time.monotonic() + DEADLINE
        while True:
            try:
                return function(*arguments)
            except AssertionError:
                if time.monotonic() > end:
                    raise

    def take(self, belongs: Any) -> list[Any]:
        found: list[Any] = self._patiently(super().take, belongs)
        return found

    def do_over(self) -> None:
        self._patiently(super().do_over)


class VectorTests(SynchronousTestCase):
    """It passes the vectors."""

    def setUp(self) -> None:
        self.patch(minimal, "say", lambda line: None)
        self.patch(minimal.traceback, "print_exc", lambda: None)
        self.patch(minimal, "LINGER", 0.3)

    def test_valid_frames(self) -> None:
        for each in vectors.load("frames.json")["valid"]:
            for size in (1, 1 << 20):
                decoder = fed(each, size)
                self.assertEqual(vectors.as_json(decoder.next()), each["value"], each["name"])

    def test_invalid_frames(self) -> None:
        for each in vectors.load("frames.json")["invalid"]:
            decoder = fed(each, 1 << 20)
            for _ in range(each.get("valid_before", 0)):
                self.assertIsNotNone(decoder.next(), each["name"])
            error = self.assertRaises(minimal.Broken, decoder.next)
            self.assertEqual(error.code, b"frame", each["name"])

    def test_incomplete_frames(self) -> None:
        for each in vectors.load("frames.json")["incomplete"]:
            self.assertIsNone(fed(each, 1 << 20).next(), each["name"])

    def test_messages(self) -> None:
        found = vectors.load("messages.json")
        for kind in ("valid", "ignored", "invalid"):
            for each in found[kind]:
                if each["sender"] != "proxy":
                    continue
                frame = fed(each, 1 << 20).next()
                if each.get("revision", 2) > 2:
                    # It takes no notice of what it has not announced, right or wrong.
                    known = minimal.parse(frame) is not None
                    self.assertEqual(known, frame[0] != b"move", each["name"])
                elif kind == "invalid":
                    error = self.assertRaises(minimal.Broken, minimal.parse, frame)
                    self.assertEqual(error.code.decode(), each["error"], each["name"])
                else:
                    known = minimal.parse(frame) is not None
                    self.assertEqual(known, kind == "valid", each["name"])

    def test_sessions(self) -> None:
        failed = []
        for each in vectors.load("sessions.json")["sessions"]:
            limits = {key.encode(): value for key, value in each.get("guest", {}).items()}
            with mock.patch.dict(minimal.LIMITS, limits):
                for split in (False, True):
                    guest = SessionGuest(each.get("concurrency", 0))
                    try:
                        PatientRun(each, guest, split).run()
                    except AssertionError as error:
                        failed.append((each["name"], split, str(error)[:300]))
                    finally:
                        guest.close()
        self.assertEqual(failed, [])


def fed(case: Any, size: int) -> minimal.Frames:
    decoder = minimal.Frames(case.get("limit", 262_144))
    data = case["bytes"].encode("latin-1")
    for start in range(0, len(data), size):
        decoder.feed(data[start : start + size])
        if size == 1 and start < len(data) - 1:
            assert decoder.next() is None
    return decoder


class FrameTests(SynchronousTestCase):
    """Its frames are those of the wire."""

    @given(frames)
    def test_both_encode_alike(self, frame: Any) -> None:
        decoder = minimal.Frames(262_144)
        decoder.feed(minimal.encode(frame))
        ours = FrameDecoder(262_144)
        ours.feed(minimal.encode(frame))
        self.assertEqual(decoder.next(), frame)
        self.assertEqual(ours.next(), frame)

    @given(st.binary(max_size=60))
    def test_bytes_that_are_anything(self, data: bytes) -> None:
        decoder = minimal.Frames(1000)
        decoder.feed(data)
        try:
            while decoder.next() is not None:
                pass
        except minimal.Broken:
            pass

    def test_a_str_is_no_value(self) -> None:
        self.assertRaises(TypeError, minimal.encode, "text")


class SessionTests(SynchronousTestCase):
    """What the vectors don't ask for."""

    def setUp(self) -> None:
        self.said: list[str] = []
        self.patch(minimal, "say", self.said.append)
        self.traces: list[int] = []
        self.patch(minimal.traceback, "print_exc", lambda: self.traces.append(1))
        self.guest = SessionGuest()
        self.addCleanup(self.guest.close)
        self.welcome()

    def welcome(self, **info: int) -> None:
        more = {key.encode(): value for key, value in info.items()}
        self.guest.send(encode([b"welcome", {b"version": 1, **more}]))
        end = time.monotonic() + DEADLINE
        while self.guest.session.theirs == "idle" and time.monotonic() < end:
            time.sleep(SILENCE)

    def request(self, number: int, method: bytes, target: bytes) -> None:
        self.guest.send(encode([b"request", number, method, target, [], {}, b""]))

    def wait_for(self, verb: bytes) -> Any:
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            for frame in self.guest.frames():
                if frame[0] == verb:
                    return frame
        self.fail(f"no {verb!r}")

    def test_head_has_the_length_but_no_body(self) -> None:
        self.request(1, b"HEAD", b"/")
        frame = self.wait_for(b"response")
        self.assertEqual((frame[3][-1], frame[5]), ([b"content-length", b"6"], b""))

    def test_fields_may_be_a_dictionary(self) -> None:
        self.request(1, b"GET", b"/dict")
        self.assertEqual(self.wait_for(b"response")[3], [[b"a", b"b"]])

    def test_a_result_that_is_none_is_answered_with_500(self) -> None:
        for number, target in enumerate((b"/nonsense", b"/str"), 1):
            self.request(number, b"GET", target)
            frame = self.wait_for(b"response")
            self.assertEqual((frame[2], frame[5]), (500, b"500 Internal Server Error\n"))
            self.assertEqual(len(self.traces), number)

    def test_nobody_can_have_what_is_printed(self) -> None:
        """Also where the disk is full that has the output, there is an answer."""
        full = mock.Mock(side_effect=OSError(errno.ENOSPC, "No space left on device"))
        self.patch(minimal.traceback, "print_exc", full)
        self.request(1, b"GET", b"/nonsense")
        self.assertEqual(self.wait_for(b"response")[2], 500)
        full.assert_called()
        with mock.patch("builtins.print", full):
            minimal.say("a line")

    def test_a_long_body_is_streamed_under_credit(self) -> None:
        self.request(1, b"GET", b"/big")
        size = 0
        end = time.monotonic() + DEADLINE
        while size < 100_000 and time.monotonic() < end:
            for frame in self.guest.frames():
                if frame[0] == b"body":
                    size += len(frame[2])
                    self.assertLessEqual(len(frame[2]), minimal.BODY_CHUNK)
                    self.guest.send(encode([b"credit", 1, len(frame[2])]))
        self.assertEqual(size, 100_000)

    def test_a_silent_proxy_is_given_up(self) -> None:
        self.guest.close()
        self.guest = SessionGuest()
        self.addCleanup(self.guest.close)
        self.welcome(timeout=50)
        self.guest.join()
        self.assertEqual(self.guest.outcome, "lost")
        self.assertIn("the connection broke: timed out", self.said)

    def test_replaced(self) -> None:
        self.guest.send(encode([b"bye", b"replaced", b"a newer instance is here"]))
        self.guest.join()
        self.assertEqual(self.guest.outcome, "replaced")

    def test_restored(self) -> None:
        """Another epoch than before: it takes nothing new, and another instance is to come."""
        with self.guest.session.lock:
            self.guest.session.on_welcome({b"epoch": b"two"})
        self.assertFalse(self.guest.session.restored)
        with (
            mock.patch.object(minimal, "reseed") as reseed,
            mock.patch.object(minimal, "correct_clock") as correct,
            self.guest.session.lock,
        ):
            self.guest.session.on_welcome({b"epoch": b"one"})
        reseed.assert_called_once_with(b"one")
        correct.assert_called_once_with()
        self.assertTrue(self.guest.session.restored)
        self.wait_for(b"drain")

    def test_an_instance(self) -> None:
        """Copies with the same random numbers are told apart by the salt."""
        with mock.patch("os.urandom", lambda size: b"x" * size):
            self.assertNotEqual(minimal.new_instance(b"one"), minimal.new_instance(b"two"))
            self.assertEqual(len(minimal.new_instance()), 16)

    def test_come_again(self) -> None:
        self.guest.send(encode([b"bye", b"again", b""]))
        self.guest.join()
        self.assertEqual(self.guest.outcome, "again")

    def test_too_fast(self) -> None:
        """It asks again for a route that came too fast."""
        with mock.patch.object(minimal, "TOO_FAST", 0.0):
            self.guest.send(encode([b"refused", 1, b"too-fast", b"later"]))
            self.assertEqual(
                self.wait_for(b"register"), [b"register", 1, rb"blog\.example", b"/.*"]
            )

    def test_a_head_that_is_longer_than_the_proxy_takes(self) -> None:
        """Another answer takes its place, and the connection stays."""
        for number, headers in enumerate(
            ([(b"a", b"x" * 1000), (b"b", b"x" * 1000)], [(b"a", b"b")] * 129), 1
        ):
            self.guest.session.peer[b"frame"] = 1024 if number == 1 else 262_144
            self.guest.session.app = lambda *_, h=headers: (200, h, b"")
            self.request(number, b"GET", b"/")
            self.assertEqual(self.wait_for(b"response")[:3], [b"response", number, 500])

    def test_a_response_that_the_proxy_refuses(self) -> None:
        """Its reason is told, though the exchange is over; other aborts are everyday."""
        self.request(1, b"GET", b"/")
        self.wait_for(b"response")
        self.guest.send(encode([b"abort", 1, b"protocol", b"600 is no status"]))
        self.guest.send(encode([b"abort", 1, b"client", b"client left"]))
        self.guest.send(encode([b"ping", b"x"]))
        self.wait_for(b"pong")
        self.assertEqual(self.said, ["the proxy refuses response 1: 600 is no status"])

    def test_refused(self) -> None:
        self.guest.send(encode([b"refused", 0, b"policy", b"not you"]))
        self.guest.send(encode([b"bye", b"refused", b""]))
        self.guest.join()
        self.assertEqual(self.guest.outcome, "refused")
        self.assertIn("refused: not you (policy)", self.said)

    def test_drained_by_the_proxy(self) -> None:
        self.guest.send(encode([b"drain"]))
        self.wait_for(b"bye")
        self.guest.send(encode([b"bye"]))
        self.guest.join()
        self.assertEqual(self.guest.outcome, "drained")

    def test_registrations_are_printed(self) -> None:
        self.guest.send(encode([b"registered", 1]))
        self.guest.send(encode([b"ping", b"x"]))
        self.wait_for(b"pong")
        self.assertEqual(self.said, [r"registered host=blog\.example path=/.*"])
