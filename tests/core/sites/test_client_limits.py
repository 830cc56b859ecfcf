"""Tests of subproxy.core.sites.client_limits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.token_bucket import TokenBucket
from subproxy.core.sites.client_limits import (
    ClientLimits,
    ConnectionLimit,
    RateLimit,
    client_key,
)


class ClientKeyTests(SynchronousTestCase):
    def test_who_is_one_client(self) -> None:
        """An IPv4 address, and 64 bits of IPv6; a name of a trusted proxy is itself."""
        self.assertEqual(client_key(b"2001:db8::1"), client_key(b"2001:db8:0:0:ffff::9"))
        self.assertNotEqual(client_key(b"2001:db8::1"), client_key(b"2001:db8:0:1::1"))
        self.assertNotEqual(client_key(b"192.0.2.1"), client_key(b"192.0.2.2"))
        self.assertEqual(client_key(b"unix"), b"unix")


class RateTests(SynchronousTestCase):
    def test_a_burst_and_then_the_rate(self) -> None:
        clients = ClientLimits()
        limit = RateLimit("a", 2.0, 3)
        self.assertEqual([clients.take(limit, b"x", 10.0) for _ in range(4)], [0, 0, 0, 0.5])
        self.assertEqual(clients.take(limit, b"x", 10.25), 0.25)
        self.assertEqual(clients.take(limit, b"x", 10.5), 0)
        self.assertGreater(clients.take(limit, b"x", 10.5), 0)
        self.assertEqual([clients.take(limit, b"x", 99.0) > 0 for _ in range(4)], [0, 0, 0, 1])

    def test_clients_and_scopes_are_apart(self) -> None:
        clients = ClientLimits()
        for limit in RateLimit("a", 1.0, 1), RateLimit("b", 1.0, 1):
            for client in b"x", b"y", 7:
                self.assertEqual(clients.take(limit, client, 0.0), 0)
                self.assertEqual(clients.take(limit, client, 0.0), 1.0)

    @given(
        st.sampled_from([0.01, 1 / 3, 1.0, 7.0, 100.0]),
        st.integers(1, 5),
        st.lists(st.integers(0, 400).map(lambda n: n / 100), max_size=40),
    )
    def test_as_a_bucket_of_tokens(self, rate: float, burst: int, gaps: list[float]) -> None:
        clients, limit = ClientLimits(), RateLimit("a", rate, burst)
        bucket = TokenBucket(rate, burst, 0.0)
        now = 0.0
        for gap in gaps:
            now += gap
            wait = bucket.wait(now)
            if 0 < wait < 1e-6:
                return  # sums of floats: either is right
            self.assertEqual(clients.take(limit, b"x", now) == 0, bucket.take(now))

    def test_what_is_known_is_bounded(self) -> None:
        """Who was here last is kept, also if it is always refused."""
        clients, limit = ClientLimits(10), RateLimit("a", 0.01, 1)
        clients.take(limit, b"busy", 0.0)
        for number in range(1000):
            self.assertEqual(clients.take(limit, number, 0.0), 0)
            self.assertGreater(clients.take(limit, b"busy", 0.0), 0)
            self.assertLessEqual(clients.known, 10)
        self.assertEqual(clients.take(limit, 1, 0.0), 0)


class ConnectionTests(SynchronousTestCase):
    def test_so_many_at_a_time(self) -> None:
        clients, limit = ClientLimits(), ConnectionLimit("a", 2)
        self.assertEqual([clients.begin(limit, b"x") for _ in range(3)], [True, True, False])
        self.assertTrue(clients.begin(limit, b"y"))
        self.assertTrue(clients.begin(ConnectionLimit("b", 2), b"x"))
        self.assertEqual(clients.under_way, 4)
        clients.end(limit, b"x")
        self.assertTrue(clients.begin(limit, b"x"))
        self.assertFalse(clients.begin(limit, b"x"))

    def test_nothing_is_left_behind(self) -> None:
        clients, limit = ClientLimits(), ConnectionLimit("a", 2)
        for number in range(1000):
            clients.begin(limit, number)
            clients.end(limit, number)
        self.assertEqual((clients.under_way, clients._open), (0, {}))
        self.assertRaises(KeyError, clients.end, limit, b"x")
