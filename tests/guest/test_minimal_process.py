"""L{guest.minimal} as a process: its options, its workers, and how it stays subscribed."""

from __future__ import annotations

import errno
import os
import queue
import re
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from guest import minimal
from subproxy.wire.frames import FrameDecoder, encode
from tests.rigs.minimal_application import DEADLINE, application


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
        self.assertEqual(said[2], "--worker=x: a number is needed")

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
            with self.assertRaisesRegex(ValueError, "neither vsock:CID:PORT nor unix:PATH"):
                minimal.dial(wrong)
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
        # No fork: Python 3.12 warns of that where there are threads.
        pid = os.posix_spawnp("true", ["true"], os.environ)
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

    def test_it_comes_back_at_once_after_a_drain(self) -> None:
        """A long answer is finished where it is, while the next proxy has the route already."""
        listener = self.listen()
        self.start()
        first = self.connected(listener)
        first.sendall(encode([b"request", 1, b"POST", b"/", [], {}, None]) + encode([b"drain"]))
        second = self.connected(listener)
        second.sendall(encode([b"ping", b"1"]))
        self.expect(second, b"pong")
        self.stay.stop()
        self.expect(second, b"drain")
        second.sendall(encode([b"bye"]))
        self.expect(second, b"bye")
        self.assertTrue(self.thread.is_alive())
        first.sendall(encode([b"end", 1]))
        self.expect(first, b"response")
        first.sendall(encode([b"bye"]))
        self.assertEqual(self.ended(), 0)

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
