"""Whether a program takes requests."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import socket

from guest.sidecar.address import ProgramAddress
from guest.sidecar.dialler import ProgramDialler
from guest.sidecar.readiness import ReadinessProbe
from tests.rigs.program_case import ProgramCase

REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")


class ProbeCase(ProgramCase):
    path: str | None = None

    def setUp(self) -> None:
        super().setUp()
        self.probe = ReadinessProbe(self.loop, self.dialler, self.path, b"a:1")  # type: ignore[arg-type]


class ConnectTests(ProbeCase):
    def test_it_listens(self) -> None:
        self.assertTrue(self.run_until(self.probe.check()))
        self.assertTrue(self.line.aborted)
        self.assertEqual(self.line.take(), b"")

    def test_it_does_not(self) -> None:
        self.dialler.refusal = REFUSED
        self.assertFalse(self.run_until(self.probe.check()))
        self.assertEqual(self.probe.last, "nothing listens at 127.0.0.1:3000 (Connection refused)")

    def test_taken(self) -> None:
        self.assertTrue(self.run_until(self.probe.taken()))
        self.assertTrue(self.line.aborted)
        self.dialler.refusal = REFUSED
        self.assertFalse(self.run_until(self.probe.taken()))

    def test_a_socket_that_was_left_behind(self) -> None:
        """It is removed where nobody listens, and nothing else is: no file, no live socket."""
        path = self.mktemp()
        dialler = ProgramDialler(ProgramAddress("", 0, path))
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)
        probe = ReadinessProbe(loop, dialler, None, b"localhost")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path)
            listening.listen()
            self.assertTrue(loop.run_until_complete(probe.taken()))
            self.assertTrue(os.path.exists(path))
        self.assertFalse(loop.run_until_complete(probe.taken()))
        self.assertFalse(os.path.exists(path))
        self.assertFalse(loop.run_until_complete(probe.taken()))
        with open(path, "w"):
            self.assertFalse(loop.run_until_complete(probe.taken()))
        self.assertTrue(os.path.exists(path))

    def test_it_is_asked_until_it_does(self) -> None:
        """Often at first, twice a second later."""
        times = []

        async def check() -> bool:
            times.append(self.loop.time() - 1000)
            return times[-1] > 5

        self.probe.check = check  # type: ignore[method-assign]
        self.run_until(self.probe.ready())
        waits = [round(b - a, 3) for a, b in itertools.pairwise(times)]
        self.assertEqual(waits[:3], [0.02, 0.03, 0.045])
        self.assertEqual(waits[-1], 0.5)
        self.assertLess(times[-1], 5.6)


class RequestTests(ProbeCase):
    path = "/healthz"

    def check(self, *answer: bytes | None) -> bool:
        task = self.loop.create_task(self.probe.check())
        self.advance()
        self.program(*answer)
        return self.run_until(asyncio.wait_for(task, 10))

    def test_what_is_asked(self) -> None:
        self.assertTrue(self.check(b"HTTP/1.1 204 No Content\r\n\r\n"))
        self.assertEqual(
            self.line.take(),
            b"GET /healthz HTTP/1.1\r\nHost: a:1\r\nUser-Agent: subproxy-guest\r\n"
            b"Accept: */*\r\n\r\n",
        )
        self.assertTrue(self.line.aborted)

    def test_which_answers_do(self) -> None:
        for status, ready in ((200, True), (302, True), (399, True), (404, False), (503, False)):
            text = b"HTTP/1.1 103 E\r\n\r\nHTTP/1.1 %d OK\r\nContent-Length: 0\r\n\r\n" % status
            self.assertIs(self.check(text), ready)
            self.assertEqual(self.probe.last, f"/healthz answered {status}")

    def test_no_answer(self) -> None:
        self.assertFalse(self.check(None))
        self.assertIn("/healthz got no answer: the program closed", self.probe.last)
        self.assertFalse(self.check())
        self.assertEqual(self.probe.last, "/healthz got no answer within 5 s")
        self.assertTrue(self.line.aborted)
