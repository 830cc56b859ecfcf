"""What is told while there is no subscription."""

from __future__ import annotations

import errno

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionLost
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from guest.core.errors import ProxySilent, SubscriptionRefused
from guest.core.outage import (
    CLOSED,
    FIRST_REMINDER,
    LONGEST_REMINDER,
    Outage,
    advice,
    system_says,
)


class WordsTests(SynchronousTestCase):
    """One line, in the system's words."""

    def test_table(self) -> None:
        for error, words in (
            (ConnectError(errno.ENOENT), "No such file or directory"),
            (Refused(errno.ECONNREFUSED, "x"), "Connection refused"),
            (OSError(errno.EACCES, "x"), "Permission denied"),
            (ConnectError(string=Failure(ConnectionDone())), CLOSED),
            (
                ConnectError(string=Failure(OSError(errno.ECONNRESET, ""))),
                "Connection reset by peer",
            ),
            (ConnectionLost(), CLOSED),
            (ConnectError(string="odd"), "An error occurred while connecting: odd"),
            (ProxySilent("nothing came"), "nothing came"),
            (SubscriptionRefused("policy", "not\nyou"), "not you (policy)"),
            (ValueError(), "ValueError"),
        ):
            self.assertEqual(system_says(error), words)

    def test_advice(self) -> None:
        """By where, and by the number."""
        for where, number, word in (
            ("unix:/x/vm.sock_12345", errno.ENOENT, "--vsock=/x/vm.sock and --vsock-port=12345"),
            ("unix:/x/vm.sock", errno.ENOENT, "PATH_12345"),
            ("unix:/x/vm.sock_1:timeout=3", errno.ENOENT, "--vsock=/x/vm.sock and"),
            ("unix:/x", errno.ECONNREFUSED, "is the proxy running"),
            ("unix:/x/vm.sock", errno.ECONNREFUSED, "PATH_12345"),
            ("unix:/x/vm.sock_12345", errno.ECONNREFUSED, "nobody listens there any more"),
            ("unix:/x", errno.EACCES, "--vsock-mode"),
            ("unix:/x", errno.EIO, ""),
            ("vsock:2:12345", errno.EAFNOSUPPORT, "this kernel has no vsock"),
            ("vsock:2:12345", errno.ENODEV, "no vsock device"),
            ("vsock:2:12345", errno.EACCES, "/dev/vsock"),
            ("vsock:2:777", errno.ECONNRESET, "nobody listens on port 777"),
            ("vsock:777", errno.ETIMEDOUT, "nobody listens on port 777"),
            ("vsock:2:777", 0, "--vsock-mode"),
            ("tcp:host:1", errno.ECONNREFUSED, "is the proxy running"),
            ("tcp:host:1", errno.EIO, ""),
        ):
            said = advice(where, ConnectError(number or None))
            self.assertNotIn("\n", said)
            (self.assertIn if word else self.assertEqual)(word, said)

    @given(st.text(), st.integers(0, 200))
    def test_one_line_always(self, text: str, number: int) -> None:
        for error in (ConnectError(number or None, text), OSError(number, text), ValueError(text)):
            self.assertNotIn("\n", system_says(error))


class OutageTests(SynchronousTestCase):
    def test_once_then_at_growing_intervals(self) -> None:
        """However often is dialled."""
        outage = Outage()
        told = [
            (now / 10, text)
            for now in range(20_000)
            if (text := outage.failed(now / 10, "cannot reach it; look there")) is not None
        ]
        self.assertEqual([at for at, _ in told], [0, 10, 40, 130, 400, 1000, 1600])
        self.assertEqual(
            told[0][1], "cannot reach it; look there; dialling again until it is there"
        )
        self.assertEqual(told[1][1], "still cannot reach it; 101 dials in 10 s")
        self.assertEqual((FIRST_REMINDER, LONGEST_REMINDER), (10, 600))

    def test_another_reason_is_told(self) -> None:
        """Each once: two that take turns are no line a dial."""
        outage = Outage()
        told = [outage.failed(now, "ab"[now % 2]) for now in range(8)]
        self.assertEqual([text[0] if text else "" for text in told], ["a", "b"] + [""] * 6)

    def test_its_end(self) -> None:
        """It is told, and the next outage begins anew."""
        outage = Outage()
        self.assertIsNone(outage.over(1))
        outage.failed(5, "a")
        outage.failed(6, "a")
        self.assertEqual(outage.over(7), "subscribed, after 2 dials in 2 s")
        self.assertIsNone(outage.over(8))
        self.assertIn("a;", outage.failed(9, "a") or "")
