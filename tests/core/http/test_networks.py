"""Tests of subproxy.core.http.networks."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.networks import (
    NetworkIntersection,
    NetworkSet,
    address_number,
    plain_address,
)
from subproxy.core.http.origin import UNIX


class AddressTests(SynchronousTestCase):
    def test_mapped_and_scoped_addresses(self) -> None:
        self.assertEqual(plain_address(b"::ffff:192.0.2.1"), b"192.0.2.1")
        self.assertEqual(plain_address(b"::FFFF:192.0.2.1"), b"192.0.2.1")
        self.assertEqual(plain_address(b"fe80::1%eth0"), b"fe80::1")
        for plain in b"::1", b"::ffff:1:2", b"2001:db8::192.0.2.1", b"192.0.2.1":
            self.assertEqual(plain_address(plain), plain)

    def test_numbers(self) -> None:
        self.assertEqual(address_number(b"10.0.0.1"), (4, 0x0A000001))
        self.assertEqual(address_number(b"::ffff:10.0.0.1"), (4, 0x0A000001))
        self.assertEqual(address_number(b"2001:db8::1"), (6, (0x20010DB8 << 96) + 1))
        for nothing in b"", b"unix", b"10.0.0", b"10.0.0.256", b"\xff", b"[::1]", b"_hidden":
            self.assertIsNone(address_number(nothing))


class IntersectionTests(SynchronousTestCase):
    def test_what_is_in_all_of_them(self) -> None:
        found = NetworkIntersection([NetworkSet(["10.0.0.0/8"]), NetworkSet(["10.1.0.0/16"])])
        self.assertIn(b"10.1.2.3", found)
        self.assertNotIn(b"10.2.2.3", found)


class NetworkSetTests(SynchronousTestCase):
    def test_what_is_in_it(self) -> None:
        found = NetworkSet(["unix", "10.0.0.0/8", "10.1.2.3/16", "192.0.2.1", "2001:db8::/32"])
        for address in b"10.9.9.9", b"192.0.2.1", b"2001:db8:1::", b"::ffff:10.0.0.1", UNIX:
            self.assertIn(address, found)
            self.assertIn(address, found)
        for address in b"11.0.0.1", b"192.0.2.2", b"2001:db9::", b"nonsense", b"", b"\xff":
            self.assertNotIn(address, found)

    def test_a_long_spelling_is_looked_up_each_time(self) -> None:
        """It is not remembered, and no less in it."""
        found = NetworkSet(["fe80::/10"])
        long = b"fe80::1%" + b"e" * 100
        for _ in range(2):
            self.assertIn(long, found)
            self.assertNotIn(long.replace(b"fe80", b"2001"), found)

    def test_what_is_no_bytes(self) -> None:
        self.assertNotIn("10.0.0.1", NetworkSet(["10.0.0.0/8"]))

    def test_nothing(self) -> None:
        for address in b"127.0.0.1", b"::1", UNIX:
            self.assertNotIn(address, NetworkSet())

    def test_everything(self) -> None:
        found = NetworkSet(["0.0.0.0/0"])
        self.assertIn(b"203.0.113.7", found)
        self.assertNotIn(b"2001:db8::1", found)

    def test_a_mapped_network_is_one_of_ipv4(self) -> None:
        found = NetworkSet(["::ffff:10.0.0.0/104", "::ffff:192.0.2.1"])
        for address in b"10.9.9.9", b"10.200.9.9", b"192.0.2.1":
            self.assertIn(address, found)
        for address in b"11.0.0.0", b"192.0.2.0":
            self.assertNotIn(address, found)

    def test_networks_of_ipv6_end_at_their_last_bit(self) -> None:
        found = NetworkSet(["2001:db8::1", "2001:db8:0:2::/64"])
        for address in b"2001:db8::1", b"2001:db8:0:2::", b"2001:db8:0:2:ffff::":
            self.assertIn(address, found)
        for address in b"2001:db8::", b"2001:db8::2", b"2001:db8:0:3::":
            self.assertNotIn(address, found)

    def test_nonsense(self) -> None:
        for name in "10.0.0.0/99", "localhost", "":
            self.assertRaises(ValueError, NetworkSet, [name])

    def test_equal(self) -> None:
        one, other = NetworkSet(["10.0.0.0/8"]), NetworkSet(["10.0.0.0/8"])
        self.assertEqual(one, other)
        self.assertEqual(hash(one), hash(other))
        self.assertNotEqual(one, NetworkSet(["10.0.0.0/9"]))
        self.assertNotEqual(one, "10.0.0.0/8")

    @given(
        st.lists(st.tuples(st.ip_addresses(), st.integers(0, 128)), max_size=8),
        st.ip_addresses(),
    )
    def test_as_the_standard_library_has_it(
        self, networks: list[tuple[object, int]], it: object
    ) -> None:
        names = []
        for address, length in networks:
            version = ip_address(str(address)).version
            names.append(f"{address}/{length % (33 if version == 4 else 129)}")
        plain = ip_address(plain_address(str(it).encode()).decode())
        expected = any(plain in ip_network(name, strict=False) for name in names)
        mapped = any(name.startswith("::ffff:") for name in names)
        if not mapped:
            self.assertEqual(str(it).encode() in NetworkSet(names), expected)

    def test_what_is_remembered_is_bounded(self) -> None:
        found = NetworkSet(["10.0.0.0/8"])
        known = []
        for number in range(3000):
            self.assertNotIn(b"192.0.%d.%d" % divmod(number, 256), found)
            known.append(len(found._known))
        self.assertEqual(max(known), 1024)
        self.assertNotIn(b"x" * 65, found)
        self.assertNotIn(b"y" * 64, found)
        self.assertEqual(max(map(len, found._known)), 64)
