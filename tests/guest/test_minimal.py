"""Tests for L{guest.minimal}: the vectors, and what they don't reach."""

from __future__ import annotations

import errno
import os
import queue
import re
import select
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from guest import minimal
from subproxy.wire.frames import FrameDecoder, encode
from tests.rigs import vector_runner as vectors
from tests.rigs.strategies_guest import frames

DEADLINE = 10.0
SILENCE = 0.005


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
        case b"/nonsense":
            return None
        case b"/str":
            return 200, [("a", "b")], b""
        case b"/dict":
            return 200, {b"a": b"b"}, b""
        case b"/big":
            return 200, [], bytes(100_000)
        case b"/fields":
            return 200, [(b"x", b"x" * 2000)], b"hello\n"
    return minimal.hello_app(method, target, headers, body)


def breaking() -> Any:
    yield b"half"
    raise RuntimeError("on purpose")


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
                if kind == "invalid":
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


class ProcessTests(SynchronousTestCase):
    """What is round a session."""

    def test_each_path_is_of_the_host_before_it(self) -> None:
        options = minimal.parse_options(["--host=a", "--host", "b", "--path=/c", "--path=/d"])
        self.assertEqual(options.routes, [(b"a", b"/.*"), (b"b", b"/d")])

    def test_options(self) -> None:
        options = minimal.parse_options(
            ["x.py", "--name=n", "--worker=3", "--module=/a", "--module=/b"]
        )
        self.assertEqual((options.app, options.name, options.worker), ("x.py", "n", 3))
        self.assertEqual((options.proxy, options.modules), ("vsock:2:12345", ["/a", "/b"]))

    def test_bad_usage(self) -> None:
        said: list[str] = []
        self.patch(minimal, "say", said.append)
        for arguments in (["--path=/x"], ["--nonsense"], ["--worker=x"], ["a.py", "b.py"]):
            self.assertEqual(minimal.main(arguments), 2)
        self.assertEqual(len(said), 4)
        self.assertIn("which --host is --path=/x for?", said[0])

    def test_without_routes_everything_is_served(self) -> None:
        stay = minimal.Stay(minimal.parse_options(["--worker=0"]), application)
        self.assertEqual(stay.routes, [(b".*", b"/.*")])

    def test_worker_numbers_of_one_application_differ(self) -> None:
        name = os.urandom(8).hex()
        first, held = minimal.free_worker(name)
        second, also_held = minimal.free_worker(name)
        self.assertEqual((first, second), (0, 1))
        held.close()
        third, again_held = minimal.free_worker(name)
        self.assertEqual(third, 0)
        also_held.close()
        again_held.close()

    def test_addresses_that_are_none(self) -> None:
        for where in ("tcp:localhost:1", "vsock:2", "vsock:a:b", ""):
            self.assertRaises(ValueError, minimal.dial, where)

    def test_a_missing_application(self) -> None:
        said: list[str] = []
        self.patch(minimal, "say", said.append)
        self.assertEqual(minimal.main(["--proxy=unix:/nowhere", "/no/such/app.py"]), 3)
        self.assertIn("cannot load /no/such/app.py", said[0])

    def test_help(self) -> None:
        with mock.patch("builtins.print") as printed:
            self.assertRaises(SystemExit, minimal.main, ["--help"])
        printed.assert_called_once_with(minimal.__doc__)

    def test_version(self) -> None:
        """That of the distribution, though it is one file that may be anywhere."""
        with mock.patch("builtins.print") as printed:
            self.assertRaises(SystemExit, minimal.main, ["--version"])
        project = (Path(minimal.__file__).parents[1] / "pyproject.toml").read_text()
        release = re.search(r'^version = "(.*)"$', project, re.M)
        assert release is not None
        printed.assert_called_once_with(f"subproxy minimal {release[1]}")

    def test_an_application_that_cannot_be_loaded(self) -> None:
        said: list[str] = []
        self.patch(minimal, "say", said.append)
        path = self.mktemp()
        self.assertEqual(minimal.main([path]), 3)
        self.assertIn(f"cannot load {path}: ", said[0])

    def test_an_application_is_the_function_app_of_a_file(self) -> None:
        path = self.mktemp()
        with open(path, "w") as file:
            file.write("def app(method, target, headers, body): return __name__\n")
        self.patch(minimal.sys, "path", [])
        self.assertEqual(minimal.load(path)(b"", b"", [], None), "application")
        self.assertEqual(minimal.sys.path, [os.path.dirname(os.path.realpath(path))])

    def test_what_cannot_be_dialled(self) -> None:
        for wrong in "tcp:127.0.0.1:1", "vsock:2", "vsock:x:1", "nonsense":
            self.assertRaises(ValueError, minimal.dial, wrong)
        self.assertRaises(OSError, minimal.dial, f"unix:{self.mktemp()}")

    def test_workers_stand_beside_each_other(self) -> None:
        name = f"test-{os.getpid()}"
        first, held = minimal.free_worker(name)
        second, other = minimal.free_worker(name)
        self.assertEqual((first, second), (0, 1))
        held.close()
        third, again = minimal.free_worker(name)
        self.assertEqual(third, 0)
        with mock.patch.object(minimal, "range", create=True, return_value=[]):
            self.assertRaises(ValueError, minimal.free_worker, name)
        other.close()
        again.close()

    def test_orphans_are_reaped(self) -> None:
        pid = os.fork()
        if not pid:
            os._exit(0)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        minimal.reap()
        self.assertRaises(ChildProcessError, os.waitpid, pid, 0)
        minimal.reap()


class StayTests(SynchronousTestCase):
    """It stays subscribed; the proxy is a socket of the test's."""

    def setUp(self) -> None:
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.path = os.path.join(folder, "proxy")
        self.said: queue.Queue[str] = queue.Queue()
        self.patch(minimal, "say", self.said.put)
        self.patch(minimal, "LINGER", 0.3)
        options = minimal.Options()
        options.proxy, options.worker = f"unix:{self.path}", 0
        self.stay = minimal.Stay(options, application)
        self.status: list[int] = []
        self.thread = threading.Thread(target=lambda: self.status.append(self.stay.run()))

    def start(self) -> None:
        self.thread.start()
        self.addCleanup(self.thread.join, DEADLINE)
        self.addCleanup(self.stay.stop)

    def ended(self) -> int:
        self.thread.join(DEADLINE)
        (status,) = self.status
        return status

    def listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.settimeout(DEADLINE)
        listener.bind(self.path)
        listener.listen()
        return listener

    def connected(self, listener: socket.socket) -> socket.socket:
        """A connection that has been greeted and welcomed."""
        connection, _ = listener.accept()
        self.addCleanup(connection.close)
        connection.settimeout(DEADLINE)
        self.expect(connection, b"hello")
        connection.sendall(encode([b"welcome", {b"version": 1}]))
        return connection

    def expect(self, connection: socket.socket, verb: bytes) -> Any:
        decoder = FrameDecoder(9_999_999)
        while True:
            frame = decoder.next()
            if frame is None:
                data = connection.recv(65536)
                self.assertTrue(data, f"the guest left without {verb.decode()}")
                decoder.feed(data)
            elif frame[0] == verb:
                return frame

    def test_it_waits_for_a_proxy(self) -> None:
        """It says once whom it dials, why in vain, and what to look at."""
        self.start()
        said = self.said.get(timeout=DEADLINE)
        self.assertEqual(
            said,
            f"cannot reach unix:{self.path}: No such file or directory; is the proxy running, "
            "with --vsock=PATH, of which this is PATH_PORT?",
        )
        listener = self.listen()
        listener.accept()[0].close()
        self.assertIn("without a welcome", self.said.get(timeout=DEADLINE))
        self.connected(listener)
        self.stay.stop()
        self.assertTrue(self.said.empty())

    def test_a_proxy_that_does_not_greet(self) -> None:
        """Its silence is told, and it is dialled again."""
        self.patch(minimal, "GREETING", 0.05)
        listener = self.listen()
        self.start()
        silent, _ = listener.accept()
        self.addCleanup(silent.close)
        self.assertIn("no welcome came in", self.said.get(timeout=DEADLINE))
        again, _ = listener.accept()
        again.close()

    def test_complaints_grow_rarer(self) -> None:
        """A line a dial would be no help."""
        now = [0.0]
        self.patch(minimal, "time", SimpleNamespace(monotonic=lambda: now[0]))
        times = []
        for now[0] in range(1500):
            self.stay.complain(OSError(errno.ENOENT, "nothing there"))
            while not self.said.empty():
                self.said.get()
                times.append(now[0])
        self.assertEqual(times, [0, 10, 40, 130, 400, 1000])

    def test_hints(self) -> None:
        for where, number, word in (
            ("unix:/x", errno.EACCES, "--vsock-mode"),
            ("vsock:2:1", errno.EAFNOSUPPORT, "no vsock"),
            ("vsock:2:1", errno.ENODEV, "no vsock device"),
            ("vsock:2:1", errno.ECONNRESET, "is the proxy running"),
        ):
            self.assertIn(word, minimal.hint(where, OSError(number, "")))

    def test_it_comes_back_after_a_drain_until_it_is_replaced(self) -> None:
        listener = self.listen()
        self.start()
        first = self.connected(listener)
        first.sendall(encode([b"drain"]))
        self.expect(first, b"bye")
        first.sendall(encode([b"bye"]))
        second = self.connected(listener)
        second.sendall(encode([b"bye", b"replaced", b""]))
        self.assertEqual(self.ended(), 5)

    def test_a_copy_becomes_another_instance(self) -> None:
        """Our id has come again, and not from us."""
        listener = self.listen()
        self.start()
        before = self.stay.hello[b"instance"]
        first = self.connected(listener)
        first.sendall(encode([b"bye", b"again", b""]))
        self.connected(listener)
        self.assertNotEqual(self.stay.hello[b"instance"], before)
        self.stay.stop()

    def test_it_does_not_come_back_when_it_is_refused(self) -> None:
        listener = self.listen()
        self.start()
        connection = self.connected(listener)
        connection.sendall(encode([b"refused", 0, b"policy", b"not you"]))
        connection.sendall(encode([b"bye", b"refused", b""]))
        self.assertEqual(self.ended(), 4)

    def test_told_to_stop(self) -> None:
        """It drains, and ends well; also before it has got anywhere."""
        listener = self.listen()
        self.start()
        connection = self.connected(listener)
        connection.sendall(encode([b"registered", 1, {}]))
        self.assertIn("registered", self.said.get(timeout=DEADLINE))
        self.stay.stop()
        self.expect(connection, b"drain")
        connection.sendall(encode([b"unregistered", 1]))
        self.expect(connection, b"bye")
        connection.sendall(encode([b"bye"]))
        self.assertEqual(self.ended(), 0)
        self.assertEqual(self.stay.run(), 0)

    def test_told_to_stop_before_it_is_welcome(self) -> None:
        """There is nothing to drain: it says bye."""
        listener = self.listen()
        self.start()
        connection, _ = listener.accept()
        self.addCleanup(connection.close)
        connection.settimeout(DEADLINE)
        self.expect(connection, b"hello")
        self.stay.stop()
        self.expect(connection, b"bye")
        connection.sendall(encode([b"bye"]))
        self.assertEqual(self.ended(), 0)
