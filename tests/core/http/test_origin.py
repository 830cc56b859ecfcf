"""Who asked first: what trusted proxies said, in two spellings, read as one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.fields import FIELD_VALUE
from subproxy.core.http.forwarded import Forwarding, Trust, origin_fields
from subproxy.core.http.normalise import host_fault
from subproxy.core.http.origin import MAX_ELEMENT, MAX_HOPS, UNIX, Headers, Origin, read_origin

FOR, PROTO, HOST = b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Forwarded-Host"
PORT, FORWARDED = b"X-Forwarded-Port", b"Forwarded"
PEER = b"10.0.0.1"


def read(*sent: tuple[bytes, bytes], host: bytes = b"a.example", trust: str = "") -> Origin:
    trusted = Trust(["10.0.0.0/8", "2001:db8::/32", *trust.split()])
    return read_origin(list(sent), PEER, b"http", host, trusted.trusts)


class OriginTests(SynchronousTestCase):
    def test_who_says_nothing_is_the_client(self) -> None:
        nothing = Origin((PEER,), b"http", b"a.example")
        self.assertEqual(read(), nothing)
        for name in (FOR, PROTO, HOST, PORT, FORWARDED):
            self.assertEqual(read((name, b"")), nothing)
            self.assertEqual(read((name, b" , \t,")), nothing)
        self.assertEqual(read(host=b"").host, b"")

    def test_x_forwarded(self) -> None:
        origin = read(
            (FOR, b"203.0.113.9"), (PROTO, b"https"), (HOST, b"front.example"), (PORT, b"443")
        )
        way = (b"203.0.113.9", PEER)
        self.assertEqual(origin, Origin(way, b"https", b"front.example", b"443"))
        self.assertEqual(origin.client, b"203.0.113.9")

    def test_forwarded(self) -> None:
        origin = read((FORWARDED, b'for=203.0.113.9;proto=https;by=10.0.0.1;host="front.example"'))
        self.assertEqual(origin, Origin((b"203.0.113.9", PEER), b"https", b"front.example"))

    def test_each_without_the_rest(self) -> None:
        self.assertEqual(read((PROTO, b"https")), Origin((PEER,), b"https", b"a.example"))
        self.assertEqual(read((HOST, b"x")), Origin((PEER,), b"http", b"x"))
        self.assertEqual(read((FORWARDED, b"proto=https")), Origin((PEER,), b"https", b"a.example"))
        self.assertEqual(read((FORWARDED, b"host=x")), Origin((PEER,), b"http", b"x"))
        self.assertEqual(read((FOR, b"1.2.3.4")), Origin((b"1.2.3.4", PEER), b"http", b"a.example"))

    def test_x_forwarded_wins_whole(self) -> None:
        """nginx sets the one and passes the other on as the client sent it."""
        forged = (FORWARDED, b"for=6.6.6.6;proto=https;host=evil")
        for sent, expected in (
            ((FOR, b"203.0.113.9"), Origin((b"203.0.113.9", PEER), b"http", b"a.example")),
            ((PROTO, b"http"), Origin((PEER,), b"http", b"a.example")),
            ((HOST, b"front"), Origin((PEER,), b"http", b"front")),
            ((FOR, b"nonsense"), Origin((PEER,), b"http", b"a.example")),
        ):
            for order in ([sent, forged], [forged, sent]):
                self.assertEqual(read(*order), expected)
        # A port alone does not make it that spelling, and is not mixed into the other.
        self.assertEqual(
            read((PORT, b"8443"), forged), Origin((b"6.6.6.6", PEER), b"https", b"evil")
        )

    def test_the_client_is_the_nearest_that_is_not_trusted(self) -> None:
        for way, expected in (
            (b"203.0.113.9", [b"203.0.113.9"]),
            (b"1.1.1.1, 203.0.113.9, 10.0.0.2", [b"203.0.113.9", b"10.0.0.2"]),
            (b"10.0.0.3,10.0.0.2", [b"10.0.0.3", b"10.0.0.2"]),
            (b"192.0.2.9, 10.0.0.4 ,\t2001:db8::1", [b"192.0.2.9", b"10.0.0.4", b"2001:db8::1"]),
            (b"unknown", []),
            (b"1.1.1.1, _hidden, 10.0.0.2", [b"10.0.0.2"]),
            (b"1.1.1.1,, ,10.0.0.2", [b"1.1.1.1", b"10.0.0.2"]),
        ):  # fmt: skip
            self.assertEqual(read((FOR, way)).way, (*expected, PEER), way)
            elements = b", ".join(
                b'for="[%b]"' % each.strip() if b":" in each else b"for=" + each.strip()
                for each in way.split(b",")
                if each.strip()
            )
            self.assertEqual(read((FORWARDED, elements)).way, (*expected, PEER), elements)

    def test_several_lines_are_one_list(self) -> None:
        for names in ([FOR, b"x-forwarded-for"], [FORWARDED, b"FORWARDED"]):
            values = [b"1.1.1.1", b"10.0.0.2"]
            if names[0] == FORWARDED:
                values = [b"for=" + value for value in values]
            sent = list(zip(names, values, strict=True))
            self.assertEqual(read(*sent).way, (b"1.1.1.1", b"10.0.0.2", PEER))

    def test_spellings_of_addresses(self) -> None:
        for text, address in (
            (b"192.0.2.1:80", b"192.0.2.1"),
            (b"192.0.2.1:65535", b"192.0.2.1"),
            (b"[2001:DB9:0::1]:80", b"2001:db9::1"),
            (b"[2001:db9::1]", b"2001:db9::1"),
            (b"2001:db9::1", b"2001:db9::1"),
            (b"::ffff:192.0.2.1", b"192.0.2.1"),
            (b"::FFFF:c000:201", b"192.0.2.1"),
            (b"fe80::1%eth0", b"fe80::1"),
            (b"192.0.2.1:_hidden", b"192.0.2.1"),
        ):
            self.assertEqual(read((FOR, text)).client, address, text)
            self.assertEqual(read((FORWARDED, b'for="%b"' % text)).client, address, text)
            self.assertEqual(read((FORWARDED, b"For=%b;proto=http" % text)).client, address, text)

    def test_what_is_no_address(self) -> None:
        for text in (
            b"localhost", b"192.0.2", b"192.0.2.256", b"01.2.3.4", b"1.2.3.4:x", b"1.2.3.4:123456",
            b"[1.2.3.4]", b"[::1", b"[::1]80", b"[::1]x:80", b"[::1]:x", b"::g", b"unknown",
            b"_a", b"\xff", b"1.2.3.4 5.6.7.8", b"<script>", b"1.2.3.4/8", b"unix", b"unix:",
        ):  # fmt: skip
            self.assertEqual(read((FOR, text)).way, (PEER,), text)
            self.assertEqual(read((FOR, b"1.1.1.1, " + text)).way, (PEER,), text)
            self.assertEqual(read((FORWARDED, b'for=1.1.1.1, for="%b"' % text)).way, (PEER,), text)

    def test_unix_sockets_on_the_way(self) -> None:
        for text in (b"unix", b"unix:"):
            way = (b"1.1.1.1", UNIX, PEER)
            self.assertEqual(read((FOR, b"1.1.1.1, " + text), trust="unix").way, way)

    def test_schemes(self) -> None:
        for text, scheme in (
            (b"https", b"https"), (b"HTTPS", b"https"), (b"wss", b"https"), (b"ws", b"http"),
            (b"http", b"http"), (b"ftp", b"http"), (b"https://", b"http"), (b"on", b"http"),
        ):  # fmt: skip
            self.assertEqual(read((PROTO, text)).scheme, scheme, text)
            self.assertEqual(read((FORWARDED, b'proto="%b"' % text)).scheme, scheme, text)

    def test_a_scheme_without_tls_behind_a_proxy_that_has_tls(self) -> None:
        for sent in ((PROTO, b"http"), (PROTO, b"ws"), (FORWARDED, b"proto=ws")):
            origin = read_origin([sent], PEER, b"https", b"a", Trust(["10.0.0.0/8"]).trusts)
            self.assertEqual(origin.scheme, b"http", sent)

    def test_hosts(self) -> None:
        for text in (b"x.example", b"X.Example:8080", b"[::1]:80", b"xn--bcher-kva.example"):
            self.assertEqual(read((HOST, text)).host, text)
            self.assertEqual(read((FORWARDED, b'host="%b"' % text)).host, text)
        for text in (b"a b", b"a/b", b"u@a", b"a:x", b"a:99999", b"<b>", b"\xff", b"[::1", b"a?b"):
            self.assertEqual(read((HOST, text)).host, b"a.example")
            self.assertEqual(read((FORWARDED, b'host="%b"' % text)).host, b"a.example")

    def test_ports(self) -> None:
        for port, host, expected in (
            (b"443", b"a", b"443"),
            (b"8443", b"a:8443", b"8443"),
            (b"8443", b"[::1]:8443", b"8443"),
            (b"8443", b"[::1]", b"8443"),
            (b"443", b"a:8443", b""),  # the host says otherwise
            (b"443", b"[::1]:8443", b""),
            (b"65535", b"a", b"65535"),
            (b"0", b"a", b""),
            (b"65536", b"a", b""),
            (b"0443", b"a", b""),
            (b"443x", b"a", b""),
            (b"-1", b"a", b""),
            (b"111111", b"a", b""),
            (b"1" * 5000, b"a", b""),
        ):
            self.assertEqual(read((PORT, port), (HOST, host)).port, expected)
            self.assertEqual(read((PORT, port), host=host).port, expected)

    def test_lists_of_schemes_go_with_the_way(self) -> None:
        """From the right: what a client sent stands at the left."""
        way = (FOR, b"6.6.6.6, 203.0.113.9, 10.0.0.2")
        for schemes, scheme in (
            (b"https", b"https"),
            (b"https, http", b"https"),
            (b"http, https, http", b"https"),
            (b"https, http, https", b"http"),
        ):
            self.assertEqual(read(way, (PROTO, schemes)).scheme, scheme, schemes)
        hosts = read(way, (HOST, b"evil, front, inner"))
        self.assertEqual(hosts.host, b"front")
        self.assertEqual(read(way, (HOST, b"evil,X.fronT.X\t, inner")).host, b"X.fronT.X")
        self.assertEqual(read((HOST, b" X.front.X\t")).host, b"X.front.X")
        self.assertEqual(read((PROTO, b"https, http")).scheme, b"http")

    def test_the_elements_of_forwarded_that_are_believed(self) -> None:
        """Of the client's own element nothing, of the hops the one nearest to it."""
        origin = read(
            (FORWARDED, b"for=6.6.6.6;proto=https;host=evil"),
            (FORWARDED, b"for=203.0.113.9;proto=https;host=front, for=10.0.0.2;proto=http;host=in"),
        )
        way = (b"203.0.113.9", b"10.0.0.2", PEER)
        self.assertEqual(origin, Origin(way, b"https", b"front"))
        origin = read((FORWARDED, b"for=203.0.113.9, for=10.0.0.2;proto=https;host=in"))
        self.assertEqual(origin, Origin(way, b"https", b"in"))
        # Whose client is hidden is believed about all else.
        origin = read((FORWARDED, b"for=6.6.6.6, for=unknown;proto=https;host=front"))
        self.assertEqual(origin, Origin((PEER,), b"https", b"front"))

    def test_what_a_client_wrote_in_front_is_of_no_use_to_it(self) -> None:
        for forged in (
            b'for="',
            b'for="6.6.6.6',
            b'"',
            b'a="\\',
            b";;;",
            b"=",
            b',"',
            b'for="x", "',
        ):
            origin = read((FORWARDED, forged + b", for=203.0.113.9;proto=https"))
            self.assertEqual(origin.way, (b"203.0.113.9", PEER), forged)
            self.assertEqual(origin.scheme, b"https")

    def test_malformed_elements_end_the_way(self) -> None:
        for bad in (
            b"for", b"for=", b'for="1.1.1.1', b"for=1.1.1.1;for=1.1.1.1", b"=1.1.1.1",
            b"for = 1.1.1.1", b"for=1.1.1.1 proto=http", b'for="1.1.1.1\\""', b"1.1.1.1",
            b'for="1.1.1.1"x', b"for=1.1.1.1" + b";a" + b"=" + b"b" * MAX_ELEMENT,
        ):  # fmt: skip
            origin = read((FORWARDED, b"for=2.2.2.2, %b, for=10.0.0.2" % bad))
            self.assertEqual(origin.way, (b"10.0.0.2", PEER), bad)

    def test_white_space_and_empty_pairs(self) -> None:
        for text in (
            b"for=1.1.1.1;proto=https", b" ;for=1.1.1.1;; proto=https; ",
            b"for=1.1.1.1;proto=https;by=X",
            b'FOR="1.1.1.1" ; Proto=HTTPS', b", for=1.1.1.1;secret=x;by=_y;proto=https ,, ",
        ):  # fmt: skip
            origin = read((FORWARDED, text))
            self.assertEqual((origin.client, origin.scheme), (b"1.1.1.1", b"https"), text)

    def test_a_comma_in_a_quoted_string_ends_nothing(self) -> None:
        origin = read((FORWARDED, b'for=1.1.1.1;x="a, b;c=d";proto=https'))
        self.assertEqual((origin.client, origin.scheme), (b"1.1.1.1", b"https"))

    def test_the_way_is_bounded(self) -> None:
        """However long a list is, and whoever is trusted."""
        hops = b", ".join([b"10.0.0.%d" % (number % 250) for number in range(5000)])
        self.assertEqual(len(read((FOR, hops)).way), 33)
        for count in (31, 32):
            few = b",".join(hops.split(b", ")[:count])
            self.assertEqual(len(read((FOR, few)).way), count + 1)
        elements = b", ".join([b"for=10.0.0.%d" % (number % 250) for number in range(3000)])
        self.assertEqual(len(read((FORWARDED, elements)).way), 33)

    def test_the_longest_element(self) -> None:
        """1,024 bytes of one proxy's word are read, and not one more."""
        element = b"for=1.1.1.1;a=" + b"b" * 1010
        self.assertEqual(read((FORWARDED, element)).client, b"1.1.1.1")
        self.assertEqual(read((FORWARDED, element + b"b")).client, PEER)

    def test_what_it_costs_grows_with_the_length_alone(self) -> None:
        """Counted in steps, not in time, by how many pieces of it are looked at."""
        looked = 0

        def trusts(address: bytes) -> bool:
            nonlocal looked
            looked += 1
            return True

        for value in (
            b",".join([b"10.0.0.2"] * 3000),
            b'for="' * 6000,
            b";" * 30_000,
            b'"' * 30_001,
        ):
            for name in (FOR, PROTO, HOST, PORT, FORWARDED):
                looked = 0
                read_origin([(name, value)], PEER, b"http", b"a", trusts)
                self.assertLessEqual(looked, MAX_HOPS)

    @given(
        st.lists(
            st.tuples(
                st.sampled_from([FOR, PROTO, HOST, PORT, FORWARDED, b"X-Other"]),
                st.one_of(
                    st.text('for=prothsby;,"[]:._-%\\ 0123456789', max_size=60).map(str.encode),
                    st.binary(max_size=30).map(
                        lambda value: bytes(byte for byte in value if byte in FIELD_VALUE)
                    ),
                    st.sampled_from(
                        [b"for=1.1.1.1;proto=https", b"https", b"1.1.1.1, 10.0.0.2", b"443", b"x:1"]
                    ),
                ),
            ),
            max_size=6,
        ),
        st.sampled_from([b"a.example", b"[::1]:80", b""]),
    )
    def test_whatever_is_sent_all_spellings_agree(self, sent: Headers, host: bytes) -> None:
        origin = read(*sent, host=host)
        self.assertEqual(origin.way[-1], PEER)
        fields = dict(origin_fields(origin))
        self.assertEqual(fields[FOR].split(b", ")[0], origin.client)
        self.assertEqual(fields[PROTO], origin.scheme)
        self.assertIn(origin.scheme, (b"http", b"https"))
        self.assertEqual(fields.get(HOST, b""), origin.host)
        self.assertTrue(not origin.host or host_fault(origin.host) is None)
        # Read again, by somebody who trusts us and whom we trust: nothing is lost or added.
        forwarding = Forwarding(Trust(["0.0.0.0/0", "::/0"]))
        for keep in ((FOR, PROTO, HOST, PORT), (FORWARDED,)):
            told = [(name, value) for name, value in fields.items() if name in keep]
            again = read_origin(told, b"192.0.2.1", b"http", host, forwarding.trust.trusts)
            self.assertEqual(again.way, (*origin.way, b"192.0.2.1"))
            self.assertEqual((again.scheme, again.host), (origin.scheme, origin.host))
