"""Tests for L{guest.minimal}: the vectors, and what they don't reach."""

from __future__ import annotations

import select
import socket
import threading
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from guest import minimal
from tests import guest_vectors as vectors

DEADLINE = 10.0
SILENCE = 0.03


def application(method: bytes, target: bytes, headers: Any, body: Any) -> Any:
    """What the vectors ask for."""
    match target:
        case b"/echo":
            return 200, [], body.read()
        case b"/stream":
            return 200, [], body
        case b"/wait":
            threading.Event().wait(DEADLINE)
            return 200, [], b""
        case b"/break":
            return 200, [], breaking()
    return minimal.hello_app(method, target, headers, body)


def breaking() -> Any:
    yield b"half"
    raise RuntimeError("on purpose")


class SessionPeer:
    """A L{minimal.Session} at the other end of a socket pair."""

    def __init__(self, routes: Any = ((rb"blog\.example", rb"/.*"),)) -> None:
        self.ours, theirs = socket.socketpair()
        hello = {b"application": b"vectors", b"instance": b"1", b"worker": 0}
        self.session = minimal.Session(theirs, hello, list(routes), application)
        self.ended = False
        self.outcome: Any = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.outcome = self.session.run()

    def write(self, data: bytes) -> None:
        try:
            self.ours.sendall(data)
        except OSError:
            self.ended = True

    def read(self, patient: bool) -> bytes:
        data = b""
        wait = DEADLINE if patient else SILENCE
        while not self.ended and select.select([self.ours], [], [], wait)[0]:
            try:
                more = self.ours.recv(1 << 20)
            except ConnectionResetError:
                more = b""
            self.ended = not more
            data += more
            wait = 0.001
        return data

    def stop(self) -> None:
        self.session.drain()

    def is_over(self) -> bool:
        return self.ended

    def close(self) -> None:
        self.ours.close()
        self._thread.join(DEADLINE)


class VectorTests(SynchronousTestCase):
    """It passes the vectors."""

    def test_valid_frames(self) -> None:
        for each in vectors.load("frames")["valid"]:
            decoder = minimal.Frames(each.get("limit", 262_144))
            decoder.feed(vectors.octets(each["bytes"]))
            self.assertEqual(vectors.as_json(decoder.next()), each["value"], each["name"])

    def test_invalid_frames(self) -> None:
        for each in vectors.load("frames")["invalid"]:
            decoder = minimal.Frames(each.get("limit", 262_144))
            decoder.feed(vectors.octets(each["bytes"]))
            for _ in range(each.get("valid_before", 0)):
                self.assertIsNotNone(decoder.next(), each["name"])
            error = self.assertRaises(minimal.Broken, decoder.next)
            self.assertEqual(error.code, b"frame", each["name"])

    def test_incomplete_frames(self) -> None:
        for each in vectors.load("frames")["incomplete"]:
            decoder = minimal.Frames(262_144)
            decoder.feed(vectors.octets(each["bytes"]))
            self.assertIsNone(decoder.next(), each["name"])

    def test_messages(self) -> None:
        found = vectors.load("messages")
        for kind in ("valid", "ignored", "invalid"):
            for each in found[kind]:
                if each["sender"] != "proxy":
                    continue
                decoder = minimal.Frames(262_144)
                decoder.feed(vectors.octets(each["bytes"]))
                frame = decoder.next()
                if kind == "invalid":
                    error = self.assertRaises(minimal.Broken, minimal.parse, frame)
                    self.assertEqual(error.code.decode(), each["error"], each["name"])
                else:
                    known = minimal.parse(frame) is not None
                    self.assertEqual(known, kind == "valid", each["name"])

    def test_sessions(self) -> None:
        self.patch(minimal, "say", lambda line: None)
        self.patch(minimal.traceback, "print_exc", lambda: None)
        self.patch(minimal, "LINGER", 0.3)
        failed = []
        for each in vectors.sessions():
            limits = {key.encode(): value for key, value in each.get("guest", {}).items()}
            with mock.patch.dict(minimal.LIMITS, limits):
                for bytewise in (False, True):
                    peer = SessionPeer()
                    try:
                        vectors.Conversation(each, peer, bytewise).run()
                    except AssertionError as error:
                        failed.append((each["name"], bytewise, str(error)[:300]))
                    finally:
                        peer.close()
        self.assertEqual(failed, [])
