"""Who asked, and by which way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.fields import FIELD_VALUE
from subproxy.core.http.forwarded import (
    Forwarding,
    Peer,
    Trust,
    forwarded_node,
)
from subproxy.core.http.origin import UNIX, Origin


class TrustTests(SynchronousTestCase):
    def test_nobody_is_trusted_by_itself(self) -> None:
        trust = Trust()
        for address in (b"127.0.0.1", b"::1", UNIX, b"", b"x"):
            self.assertFalse(trust.trusts(address))

    def test_networks(self) -> None:
        trust = Trust(["10.0.0.0/8", "2001:db8::/32", "192.0.2.1"])
        for address in (b"10.1.2.3", b"2001:db8::1", b"192.0.2.1", b"::ffff:10.0.0.1"):
            self.assertTrue(trust.trusts(address), address)
            self.assertTrue(trust.trusts(address), address)
        for address in (b"11.0.0.1", b"2001:db9::1", b"192.0.2.2", b"nonsense", b"\xff", UNIX):
            self.assertFalse(trust.trusts(address), address)

    def test_unix_sockets_by_name(self) -> None:
        self.assertTrue(Trust(["unix"]).trusts(UNIX))

    def test_a_network_that_is_named_by_an_address_in_it(self) -> None:
        self.assertTrue(Trust(["10.1.2.3/8"]).trusts(b"10.9.9.9"))

    def test_peers(self) -> None:
        self.assertEqual(Peer(b"192.0.2.1"), Peer(b"192.0.2.1", False, b"http"))
        forwarding = Forwarding(Trust(["10.0.0.0/8", "unix"]))
        self.assertEqual(forwarding.peer(b"::ffff:10.0.0.1"), Peer(b"10.0.0.1", True, b"http"))
        self.assertEqual(forwarding.peer(b"unix", b"https"), Peer(UNIX, True, b"https"))

    def test_nonsense_is_refused_at_once(self) -> None:
        self.assertRaises(ValueError, Trust, ["10.0.0.0/99"])
        self.assertRaises(ValueError, Trust, ["localhost"])


class ForwardingTests(SynchronousTestCase):
    def stamped(
        self, address: bytes, host: bytes = b"a.example", scheme: bytes = b"http"
    ) -> dict[bytes, bytes]:
        forwarding = Forwarding()
        headers: list[tuple[bytes, bytes]] = []
        forwarding.stamp(headers, forwarding.peer(address, scheme), host, b"1.1")
        self.assertEqual(len({name for name, _ in headers}), len(headers))
        return dict(headers)

    def test_all_that_is_told(self) -> None:
        headers: list[tuple[bytes, bytes]] = [(b"A", b"b")]
        client = Forwarding().stamp(headers, Peer(b"192.0.2.1"), b"a.example:80", b"1.1")
        self.assertEqual(client, b"192.0.2.1")
        self.assertEqual(
            headers,
            [
                (b"A", b"b"),
                (b"X-Forwarded-For", b"192.0.2.1"),
                (b"X-Forwarded-Proto", b"http"),
                (b"X-Forwarded-Host", b"a.example:80"),
                (b"Forwarded", b'for=192.0.2.1;host="a.example:80";proto=http'),
                (b"Via", b"1.1 subproxy"),
            ],
        )

    def told_by_trusted(self, host: bytes, *sent: tuple[bytes, bytes]) -> dict[bytes, bytes]:
        headers: list[tuple[bytes, bytes]] = []
        peer = Peer(b"10.0.0.1", True)
        Forwarding(Trust(["10.0.0.0/8"])).stamp_trusted(headers, peer, host, b"2", list(sent))
        self.assertEqual(len({name for name, _ in headers}), len(headers))
        return dict(headers)

    def test_what_a_trusted_peer_told_is_told_in_every_spelling(self) -> None:
        told = {
            b"X-Forwarded-For": b"192.0.2.2, 10.0.0.9, 10.0.0.1",
            b"X-Forwarded-Proto": b"https",
            b"X-Forwarded-Host": b"outer",
            b"X-Forwarded-Port": b"443",
            b"Forwarded": b'for=192.0.2.2;host="outer";proto=https, for=10.0.0.9, for=10.0.0.1',
            b"Via": b"1.0 x, 2 subproxy",
        }
        # What the client itself has sent, and what is malformed, is gone.
        self.assertEqual(
            self.told_by_trusted(
                b"inner",
                (b"X-FORWARDED-FOR", b"192.0.2.1\t,X, 192.0.2.2:81 ,10.0.0.9"),
                (b"x-forwarded-proto", b"https"),
                (b"X-Forwarded-Host", b"outer"),
                (b"X-Forwarded-Port", b"443"),
                (b"forwarded", b"for=192.0.2.7;proto=http"),
                (b"Via", b""),
                (b"Via", b"1.0 x"),
            ),
            told,
        )
        del told[b"X-Forwarded-Port"]
        self.assertEqual(
            self.told_by_trusted(
                b"inner",
                (b"forwarded", b"for=192.0.2.1"),
                (b"Forwarded", b'for="192.0.2.2:81";proto=https;host=outer, for=10.0.0.9;by=_x'),
                (b"Via", b"1.0 x"),
            ),
            told,
        )

    def test_what_it_did_not_tell_is_set(self) -> None:
        self.assertEqual(
            self.told_by_trusted(b"inner"),
            {
                b"X-Forwarded-For": b"10.0.0.1",
                b"X-Forwarded-Proto": b"http",
                b"X-Forwarded-Host": b"inner",
                b"Forwarded": b'for=10.0.0.1;host="inner";proto=http',
                b"Via": b"2 subproxy",
            },
        )
        named = self.told_by_trusted(b"", (b"X-Forwarded-Host", b"outer"))
        self.assertEqual(named[b"X-Forwarded-Host"], b"outer")
        self.assertNotIn(b"X-Forwarded-Host", self.told_by_trusted(b""))

    def test_nodes(self) -> None:
        for address, node in (
            (b"192.0.2.1", b"192.0.2.1"),
            (b"::1", b'"[::1]"'),
            (b"unix", b"unknown"),
            (b"", b"unknown"),
        ):
            self.assertEqual(forwarded_node(address), node)

    def test_ipv6_is_bracketed_and_quoted(self) -> None:
        fields = self.stamped(b"2001:db8::1", b"[::1]:80", b"https")
        self.assertEqual(fields[b"X-Forwarded-For"], b"2001:db8::1")
        self.assertEqual(fields[b"Forwarded"], b'for="[2001:db8::1]";host="[::1]:80";proto=https')

    def test_unix_sockets_have_no_address_to_tell(self) -> None:
        self.assertEqual(
            self.stamped(UNIX)[b"Forwarded"], b'for=unknown;host="a.example";proto=http'
        )

    def test_no_host_no_field(self) -> None:
        fields = self.stamped(b"192.0.2.1", b"")
        self.assertNotIn(b"X-Forwarded-Host", fields)
        self.assertEqual(fields[b"Forwarded"], b"for=192.0.2.1;proto=http")

    def test_via_names_the_version(self) -> None:
        forwarding = Forwarding(pseudonym=b"edge")
        headers: list[tuple[bytes, bytes]] = []
        forwarding.stamp(headers, forwarding.peer(b"192.0.2.1"), b"a", b"1.0")
        self.assertIn((b"Via", b"1.0 edge"), headers)

    def test_the_client_is_the_nearest_that_is_not_trusted(self) -> None:
        forwarding = Forwarding(Trust(["10.0.0.0/8", "2001:db8::/32"]))
        peer = forwarding.peer(b"10.0.0.1")
        for way, client in (
            (b"", b"10.0.0.1"),
            (b"203.0.113.9", b"203.0.113.9"),
            (b"1.1.1.1, 203.0.113.9, 10.0.0.2", b"203.0.113.9"),
            (b"203.0.113.9:5555", b"203.0.113.9"),
            (b"[2001:db9::1]:80", b"2001:db9::1"),
            (b"2001:db9::1", b"2001:db9::1"),
            (b"10.0.0.3, 10.0.0.2", b"10.0.0.3"),
            (b"unknown", b"10.0.0.1"),
            (b"1.1.1.1, _hidden, 10.0.0.2", b"10.0.0.2"),
        ):
            sent = [(b"X-Forwarded-For", way)]
            origin = forwarding.stamp_trusted([], peer, b"a", b"1.1", sent)
            self.assertEqual(origin.client, client, way)
            self.assertEqual(origin, forwarding.origin(sent, peer, b"a"))

    def test_the_scheme_is_that_of_our_own_connection_if_nobody_told(self) -> None:
        forwarding = Forwarding(Trust(["10.0.0.0/8"]))
        peer = forwarding.peer(b"10.0.0.1", b"https")
        self.assertEqual(
            forwarding.stamp_trusted([], peer, b"a", b"1.1", []),
            Origin((b"10.0.0.1",), b"https", b"a"),
        )

    def test_several_lines_of_one_field_are_one_list(self) -> None:
        forwarding = Forwarding(Trust(["10.0.0.0/8"]))
        headers: list[tuple[bytes, bytes]] = []
        forwarding.stamp_trusted(
            headers,
            forwarding.peer(b"10.0.0.1"),
            b"a",
            b"1.1",
            [
                (b"x-forwarded-for", b"1.1.1.1"),
                (b"X-Forwarded-For", b"10.2.2.2"),
                (b"VIA", b"1.0 x"),
            ],
        )
        fields = dict(headers)
        self.assertEqual(fields[b"X-Forwarded-For"], b"1.1.1.1, 10.2.2.2, 10.0.0.1")
        self.assertEqual(fields[b"Via"], b"1.0 x, 1.1 subproxy")

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    [
                        b"X-Forwarded-For",
                        b"X-Forwarded-Proto",
                        b"X-Forwarded-Host",
                        b"Via",
                        b"Forwarded",
                    ]
                ),
                st.binary(max_size=20).map(
                    lambda value: bytes(byte for byte in value if byte in FIELD_VALUE)
                ),
            ),
            max_size=5,
        )
    )
    def test_whatever_a_trusted_peer_sends(self, sent: list[tuple[bytes, bytes]]) -> None:
        forwarding = Forwarding(Trust(["10.0.0.0/8"]))
        headers: list[tuple[bytes, bytes]] = []
        origin = forwarding.stamp_trusted(headers, forwarding.peer(b"10.0.0.1"), b"a", b"1.1", sent)
        self.assertTrue(origin.client.isascii())
        for _, value in headers:
            self.assertEqual(value.translate(None, FIELD_VALUE), b"")
