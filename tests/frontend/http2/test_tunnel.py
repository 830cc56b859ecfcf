"""Extended CONNECT (RFC 8441): what is a tunnel, what is none, and what the guest sees."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from subproxy.core.access.policy import Quotas
from subproxy.core.http.upgrade import websocket_key
from subproxy.frontend.http2.frames import ErrorCode, Http2Setting
from subproxy.wire import messages as m
from tests.rigs.examples import examples
from tests.rigs.http2_client import GET, Headers
from tests.rigs.http2_tunnels import CONNECT, PATHS, StreamLine, StreamTunnelCase, accept


class StreamOpeningTests(StreamTunnelCase):
    def test_websocket(self) -> None:
        """The guest sees what it sees of HTTP/1.1, the client what RFC 8441 has."""
        for fast in PATHS:
            line = self.line(fast)
            line.ask()
            [[verb, number, method, target, fields, info, body]] = line.told()
            self.assertEqual(
                (verb, number, method, target, body), (b"request", 1, b"GET", b"/chat", None)
            )
            self.assertEqual((info[b"tunnel"], info[b"version"]), (b"websocket", b"2"))
            self.assertIn([b"sec-websocket-key", websocket_key(info[b"id"])], fields)
            self.assertIn([b"sec-websocket-protocol", b"chat, superchat"], fields)
            self.assertIn([b"origin", b"http://a.example"], fields)
            self.assertEqual(fields[0], [b"Host", b"a.example"])
            self.assertFalse([name for name, _ in fields if name[:1] == b":"])
            line.say(accept())
            head = line.client.head(1)
            self.assertEqual(head[b":status"], b"200")
            self.assertEqual(head[b"sec-websocket-protocol"], b"chat")
            self.assertIn(b"date", head)
            for name in (b"upgrade", b"connection", b"sec-websocket-accept", b"content-length"):
                self.assertNotIn(name, head)
            self.assertEqual(line.seen(), [])

    def test_what_the_guest_may_not_say(self) -> None:
        """Its own accept key; and another status that accepts is 200."""
        for fast in PATHS:
            line = self.line(fast)
            line.ask()
            fields = [(b"Sec-WebSocket-Accept", b"x"), (b"Content-Length", b"3"), (b"X", b"y")]
            line.say(m.Response(1, 204, fields, {}, None))
            head = line.client.head(1)
            self.assertEqual((head[b":status"], head[b"x"]), (b"200", b"y"))
            self.assertNotIn(b"sec-websocket-accept", head)
            line.say(m.Body(1, b"hello"))
            self.assertEqual(line.client.bodies[1], b"hello")

    def test_a_key_of_the_clients_means_nothing(self) -> None:
        line = self.line(False)
        line.ask([*CONNECT, (b"sec-websocket-key", b"mine")])
        [frame] = line.told()
        keys = [value for name, value in frame[4] if name == b"sec-websocket-key"]
        self.assertEqual(keys, [websocket_key(frame[5][b"id"])])

    def test_the_setting(self) -> None:
        """Said where there may be tunnels; elsewhere C{:protocol} is no field of HTTP/2."""
        for fast in PATHS:
            for said in (True, False):
                line = self.line(fast, web_sockets=said)
                found = dict(line.client.h2.remote_settings)
                self.assertEqual(
                    found.get(Http2Setting.ENABLE_CONNECT_PROTOCOL, 0), int(said), (fast, said)
                )
            line.ask()
            self.assertEqual(line.client.told[1], [("reset", ErrorCode.PROTOCOL_ERROR)])
            self.assertEqual(line.told(), [])

    def test_refused(self) -> None:
        """An answer like any other, but none that would accept."""
        for response, status, body in (
            (m.Response(1, 404, [], {}, b"no"), b"404", b"no"),
            (m.Response(1, 200, [], {}, b"no"), b"501", b"did not change"),
            (m.Response(1, 200, [], {}, b""), b"501", b"did not change"),
            (m.Response(1, 204, [], {}, b""), b"501", b"did not change"),
            (m.Response(1, 302, [(b"Location", b"/")], {}, b""), b"302", b""),
        ):
            for fast in PATHS:
                line = self.line(fast)
                line.ask()
                line.say(response)
                self.assertEqual(line.client.status(1), status)
                self.assertIn(body, line.client.bodies.get(1, b""))
                self.assertEqual(line.seen()[-1], "end")
                self.assertEqual(len(line.lines()), 1)
                # What it still sends is thrown away, and what it asks next is served.
                line.send(b"x" * 100, ended=True)
                line.ask(GET, True, 3)
                self.assertEqual(line.told()[-1][1], 2)

    def test_nobody_takes_it(self) -> None:
        """Of HTTP/1.1 it would be a request like any other: this is none."""
        line = self.line(False, tunnel=None)
        line.ask()
        self.assertEqual((line.client.status(1), line.told()), (b"501", []))
        site = '[[site]]\nhosts = ["a.example"]\nupgrade = ["echo/1"]\n'
        line = self.line(False, sites=site)
        line.ask()
        self.assertEqual((line.client.status(1), line.told()), (b"501", []))
        site = '[[site]]\nhosts = ["a.example"]\norigins = ["https://a.example"]\n'
        line = self.line(False, sites=site)
        line.ask()
        self.assertEqual((line.client.status(1), line.told()), (b"403", []))
        line = self.line(False)
        line.ask([(name, value.replace(b"websocket", b"connect-udp")) for name, value in CONNECT])
        self.assertEqual((line.client.status(1), line.told()), (b"501", []))

    def test_the_quota(self) -> None:
        line = self.opened(False)
        line.side.world.registrar.policy.default = Quotas(tunnels=1)
        line.ask(number=3)
        self.assertEqual(line.client.status(3), b"503")

    def test_faults(self) -> None:
        """What is no handshake is told before a guest is asked."""
        plain = [pair for pair in CONNECT if pair[0] != b":protocol"]
        for fields, ended, status in (
            ([pair for pair in CONNECT if pair[0] != b"sec-websocket-version"], False, b"426"),
            ([*CONNECT, (b"sec-websocket-version", b"13")], False, b"426"),
            ([*CONNECT, (b"content-length", b"5")], False, b"400"),
            ([(n, v.replace(b"websocket", b"a b")) for n, v in CONNECT], False, b"400"),
            ([(n, v.replace(b"/chat", b"/%00")) for n, v in CONNECT], False, b"400"),
            ([(n, v.replace(b"/chat", b"*")) for n, v in CONNECT], False, b"400"),
            (CONNECT, True, b"400"),
            (plain, False, b"405"),
            ([pair for pair in plain if pair[0] not in (b":scheme", b":path")], False, b"405"),
        ):
            for fast in PATHS:
                line = self.line(fast)
                line.ask(fields, ended)
                self.assertEqual((line.client.status(1), line.told()), (status, []), fields)
                head = line.client.head(1)
                version = head.get(b"sec-websocket-version")
                self.assertEqual(version, b"13" if status == b"426" else None)
                self.assertFalse({b"upgrade", b"connection"} & head.keys())

    def test_malformed(self) -> None:
        for fields in (
            [(b":method", b"GET"), *CONNECT[1:]],
            [*CONNECT[:2], CONNECT[1], *CONNECT[2:]],
            [pair for pair in CONNECT if pair[0] != b":scheme"],
            [pair for pair in CONNECT if pair[0] != b":path"],
            [*CONNECT, (b"upgrade", b"websocket")],
            [*CONNECT, (b"connection", b"upgrade")],
        ):
            for fast in PATHS:
                line = self.line(fast)
                line.ask(fields)
                self.assertEqual(line.client.told[1], [("reset", ErrorCode.PROTOCOL_ERROR)], fields)
                self.assertEqual(line.told(), [])

    @settings(max_examples=examples(300), deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.permutations(CONNECT[:5]),
        st.lists(st.integers(0, 7), max_size=2),
        st.sampled_from([b"websocket", b"WebSocket", b"websocket ", b"", b"h2c", b"GET", b"13"]),
        st.booleans(),
        st.sampled_from(PATHS),
    )
    def test_any_handshake(
        self, pseudo: Headers, at: list[int], value: bytes, twice: bool, fast: bool
    ) -> None:
        """A guest is asked for a tunnel by what is one, and by nothing else."""
        fields = [*pseudo, *CONNECT[5:]]
        for each in at:
            name = fields[each][0]
            if twice:
                fields.insert(each, (name, value))
            else:
                fields[each] = (name, value)
        line = StreamLine(fast)
        line.ask(fields)
        names = [name for name, _ in fields]
        said = dict(fields)
        good = (
            len(set(names)) == len(names)
            and said[b":method"] == b"CONNECT"
            and said[b":protocol"].lower() == b"websocket"
            and said[b"sec-websocket-version"] == b"13"
            and said[b":scheme"] == b"http"
            and said[b":path"] == b"/chat"
            and said[b":authority"] == b"a.example"
            and said[b"origin"] != b"websocket "
            and said[b"sec-websocket-protocol"] != b"websocket "
        )
        asked = [frame[5].get(b"tunnel") for frame in line.told()]
        if twice and at and all(name[:1] != b":" for name in (fields[each][0] for each in at)):
            good = bool(asked)  # two of a field may be good
        self.assertEqual(asked, [b"websocket"] if good else [])
        line.close()
