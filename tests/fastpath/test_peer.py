"""What another process asks, on the compiled path: as the Python path does it, or left to that."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from subproxy.fastpath.install import unavailable
from subproxy.wire import messages as m
from subproxy.wire.frames import decode
from subproxy.wire.limits import Limits
from tests.rigs import fastpath_inputs as inputs
from tests.rigs.conversation_case import ConversationCase
from tests.rigs.examples import examples
from tests.rigs.fastpath_rig import response
from tests.rigs.peer_rig import AskedPair

HOST = (b"Host", b"a.example")
INFO = {b"client": b"192.0.2.7", b"scheme": b"http", b"version": b"1.1", b"id": b"r-1"}


skip = unavailable()


def request(number: int, body: Any = b"", **changes: Any) -> bytes:
    """A request as the compiled path of another process sends it, but for what is changed."""
    headers = changes.pop("headers", [HOST, (b"X-Y", b"z")])
    if body:
        headers = [*headers, (b"Content-Length", b"%d" % len(body))]
    method, target = changes.pop("method", b"GET"), changes.pop("target", b"/a?b=c")
    info = {**INFO, **changes.pop("info", {})}
    assert not changes
    return m.Request(number, method, target, headers, info, body).encode()


def any_request(take: inputs.Bytes, number: int) -> bytes:
    """One that may be anything."""
    host = take.usual(HOST, [(b"host", b"b.example"), (b"Host", b"A.Example:80"), (b"Host", b"")])
    fields = [host]
    for _ in range(take.below(3)):
        fields.append(
            take.one(
                [
                    (b"X-Y", take.some()),
                    (take.some(), b"v"),
                    (b"Content-Length", take.one([b"0", b"5", b"05", b"x"])),
                    (b"Host", b"b.example"),
                    (b"Transfer-Encoding", b"chunked"),
                ]
            )
        )
    body = take.usual(b"", [b"hello", None, {}, b"x" * 70_000])
    if isinstance(body, bytes) and body and take.below(4):
        fields.append((b"Content-Length", b"%d" % len(body)))
    info: dict[bytes, Any] = dict(INFO)
    if not take.below(4):
        info |= take.one(
            [
                {b"trailers": True},
                {b"trailers": False},
                {b"host": b"b.example", b"path": b"/x", b"hops": 1, b"stamped": True},
                {b"expect": True},
                {b"tunnel": b"websocket"},
                {b"unknown": 1},
                {b"id": b""},
                {b"client": 1},
            ]
        )
    if not take.below(8):
        del info[take.one(list(info))]
    method = take.usual(b"GET", [b"HEAD", b"POST", b"", b"x" * 65])
    target = take.usual(b"/a", [b"/", b"/a?b", b"*", b"/%2e%2e/", b"", b"/" + take.some()])
    return m.Request(number, method, target, fields, info, body).encode()


def play(data: bytes) -> AskedPair:
    """A conversation that C{data} makes up."""
    take = inputs.Bytes(data)
    pair = AskedPair(
        concurrency=take.usual(0, [1, 2]),
        asker=take.usual(None, [Limits(inline=16), Limits(frame=4096, inline=1024)]),
    )
    asked = 0
    while take.left:
        match take.below(14):
            case 0 | 1 | 2 | 3:
                asked += take.usual(1, [0, 2, 9])
                frame = any_request(take, max(asked, 1))
                pair.ask(*take.pieces(take.spoilt(frame)))
            case 4:
                both = request(asked + 1) + request(asked + 2, b"hello", method=b"POST")
                asked += 2
                pair.ask(*take.pieces(both))
            case 5 | 6 | 7 | 8:
                pair.guest(*take.pieces(inputs.answer(take, 1 + take.below(asked + 1))))
            case 9:
                pair.guest(*take.pieces(inputs.other_frame(take, 1 + take.below(asked + 1))))
            case 10:
                number = 1 + take.below(asked + 1)
                pair.ask(
                    take.one(
                        [
                            m.Abort(number, b"client", b"gone").encode(),
                            m.Credit(number, 100).encode(),
                            m.Body(number, b"more").encode(),
                            m.End(number).encode(),
                            m.Ping(b"n").encode(),
                            m.Drain().encode(),
                            m.Bye(b"shutdown", b"").encode(),
                            b"junk",
                        ]
                    )
                )
            case 11:
                pair.stall(bool(take.below(2)))
            case 12:
                take.one([pair.lose_guest, pair.lose, pair.drain])()
            case 13:
                take.one([lambda: pair.stall_guest(bool(take.below(2))), lambda: pair.wait(1)])()
    return pair


class PeerConversationTests(ConversationCase):
    @settings(max_examples=examples(300), deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(min_size=8, max_size=250))
    def test_any_conversation(self, data: bytes) -> None:
        play(data).close()

    def asked(self, pair: AskedPair) -> list[Any]:
        """The frames that the guest got at the last step."""
        found = []
        rest = pair.last["guest"]
        while rest:
            size = int(rest.partition(b":")[0])
            length = len(b"%d:" % size) + size + 1
            found.append(decode(rest[:length]))
            rest = rest[length:]
        return found

    def test_plain(self) -> None:
        """It goes to the guest as it came, and the answer comes back, without Python."""
        pair = AskedPair()
        pair.ask(request(7, b"hello", method=b"POST"))
        (frame,) = self.asked(pair)
        self.assertEqual(frame[1:4], [1, b"POST", b"/a?b=c"])
        self.assertEqual(frame[6], b"hello")
        pair.guest(response(1, 201, [(b"X", b"y"), (b"X-Request-Id", b"own")], b"there"))
        said = decode(pair.last["peer"])
        self.assertEqual(said, [b"response", 7, 201, [[b"X", b"y"]], {}, b"there"])
        self.assertEqual(pair.stats["requests"], 1)
        pair.close()

    def test_many_at_once(self) -> None:
        """All of one read, and all of their answers in one write."""
        pair = AskedPair()
        pair.ask(b"".join(map(request, range(1, 40))))
        self.assertEqual(len(self.asked(pair)), 39)
        pair.guest(b"".join(map(response, range(1, 40))))
        self.assertEqual(pair.stats["requests"], 39)
        self.assertEqual(pair.last["under way"], 0)
        pair.close()

    def test_without_a_body(self) -> None:
        """HEAD, and statuses that have none: the length is told that it would have."""
        pair = AskedPair()
        pair.ask(request(1, method=b"HEAD"))
        pair.guest(response(1, 200, [(b"Content-Length", b"77")], b""))
        self.assertIn([b"Content-Length", b"77"], decode(pair.last["peer"])[3])
        for number, status in ((2, 204), (3, 304), (4, 205)):
            pair.ask(request(number))
            pair.guest(response(number, status, [(b"Content-Length", b"5")], b"hello"))
        self.assertEqual(pair.stats["requests"], 4)
        pair.close()

    def test_left_to_python(self) -> None:
        """Before the guest has it."""
        changed: tuple[dict[str, Any], ...] = (
            {"info": {b"expect": True}, "body": None},
            {"info": {b"host": b"b.example", b"path": b"/x"}},
            {"headers": []},
            {"headers": [HOST, HOST]},
            {"body": None},
            {"headers": [HOST, (b"content-length", b"0")]},
        )
        for changes in changed:
            pair = AskedPair()
            pair.ask(request(1, **changes))
            self.assertEqual(pair.stats["declined_requests"], 1, changes)
            pair.close()

    def test_given_up(self) -> None:
        """An answer that is streamed, or wrong; who asked no longer wants it."""
        streamed = response(1, body=None) + m.Body(1, b"more").encode() + m.End(1).encode()
        for said in (
            streamed,
            response(1, headers=[(b"Content-Length", b"3")]),
            response(1, headers=[(b"bad name", b"3")]),
            m.Abort(1, b"error", b"no").encode(),
        ):
            pair = AskedPair()
            pair.ask(request(1))
            pair.guest(said)
            self.assertEqual(pair.stats["declined_answers"], 1)
            self.assertEqual(pair.last["under way"], 0)
            pair.close()
        pair = AskedPair()
        pair.ask(request(1) + request(2))
        pair.ask(m.Abort(1, b"client", b"gone").encode())
        self.assertIn(b"abort", pair.last["guest"])
        pair.guest(response(1) + response(2))
        self.assertEqual(decode(pair.last["peer"])[1], 2)
        pair.close()

    def test_a_small_asker(self) -> None:
        """What it does not take in one frame goes in several."""
        pair = AskedPair(asker=Limits(inline=16))
        pair.ask(request(1) + request(2))
        pair.guest(response(1, body=b"x" * 17) + response(2, body=b"x" * 16))
        self.assertEqual(pair.stats["declined_answers"], 1)
        pair.close()

    def test_numbers_that_do_not_grow(self) -> None:
        """End the connection, on whichever path the former one was."""
        for first in (request(2), request(2, info={b"expect": True}, body=None)):
            pair = AskedPair()
            pair.ask(first)
            pair.ask(request(2))
            self.assertTrue(pair.last["peer closed"][1])
            pair.close()

    def test_the_guest_is_lost(self) -> None:
        """A GET may be asked again, a POST may not."""
        pair = AskedPair()
        pair.ask(request(1) + request(2, method=b"POST"))
        pair.lose_guest()
        self.assertEqual(decode(pair.last["peer"])[2], 502)
        self.assertEqual(pair.last["waiting"], 1)
        pair.close()

    def test_idle(self) -> None:
        """It is, once the compiled path has answered all."""
        pair = AskedPair()
        pair.ask(request(1))
        done: list[object] = []
        for side in pair.sides:
            side.peer.when_idle().addCallback(done.append)
        pair.drain()
        self.assertEqual(done, [])
        pair.guest(response(1))
        self.assertEqual(done, [None, None])
        pair.close()
