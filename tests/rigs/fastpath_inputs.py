"""
Inputs for the two paths, made of any bytes: requests and frames that are nearly right, in pieces.

C{play} plays a whole conversation; C{compare_request} and C{compare_response} compare what is
made of one message, and nothing else, which is faster by far.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from subproxy.core.exchange import Exchange
from subproxy.core.http.fields import PATH
from subproxy.core.http.forwarded import Forwarding, Peer, forwarded_node
from subproxy.core.http.normalise import path_fault
from subproxy.core.http.request_rules import RequestRules
from subproxy.core.http.response import check_response
from subproxy.errors import ClientError, GuestMisbehaved
from subproxy.frontend.http1.framing import RequestValidator
from subproxy.frontend.http1.head_parser import MessageParser, ParserError
from subproxy.frontend.http1.response_writer import choose_framing, content_length, write_head
from subproxy.frontend.limits import HttpLimits
from subproxy.subscription.request_frame import request_headers, request_info
from subproxy.wire import messages as m
from subproxy.wire.errors import WireError
from subproxy.wire.frames import FrameDecoder
from subproxy.wire.limits import Limits as WireLimits
from tests.rigs.fastpath_rig import Pair, response

METHODS = [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"M-SEARCH", b"get", b"TRACE"]
TARGETS = [
    *(b"/", b"/x?y=z", b"/%41/..//b", b"/a\\b", b"/?\\", b"/%", b"/%00", b"*", b"/" + b"p" * 190),
    *(b"http://a.example/u", b"/\x80", b'/"', b"/a#b", b"/" + b"q" * 600, b"", b"a", b"/ x"),
]
VERSIONS = [b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/1.2", b"http/1.1", b"HTTP/1.1 "]
HOSTS = [
    b"a.example",
    b"A.Example:80",
    b"b.example.",
    b"a_b",
    b"[::1]:8",
    b"",
    b"a b",
    b"c",
    b'a"b',
]
NAMES = [
    *(b"User-Agent", b"user-agent", b"Referer", b"Accept", b"Cookie", b"X-A", b"x_b", b"Via"),
    *(
        b"Host",
        b"Connection",
        b"Keep-Alive",
        b"TE",
        b"Trailer",
        b"Upgrade",
        b"Expect",
        b"Forwarded",
    ),
    *(
        b"Content-Length",
        b"Transfer-Encoding",
        b"X-Forwarded-For",
        b"X-Forwarded-Foo",
        b"X-Real-IP",
        b"X-Original-URL",
    ),
    *(b"X-Request-Id", b"Proxy-Connection", b"X-Forwarded", b"Date", b"x-forwarded_for", b"A"),
]
VALUES = [
    *(b"x", b"", b"keep-alive", b"close", b"Close", b"3", b"0", b"03", b"100-continue", b"chunked"),
    *(b"a b\tc ", b" \t", b"\xff\x80", b'"\\', b"\x7f", b"\x01", b"keep-alive, x-a", b"5", b"64"),
    *(b"203.0.113.9", b"10.0.0.9, 192.0.2.1", b"a,b", b"[2001:db8::2]:80, 10.1.1.1", b"id-1"),
    *(b"v" * 100, b"websocket", b"a.example", b"70", b"close, x", b"-1", b"+3", b"9" * 20),
]
BLANKS = [b" ", b"", b"  ", b"\t"]
ENDS = [b"\r\n"] * 8 + [b"\n", b"\r", b"\r\n "]
STATUSES = [200] * 6 + [204, 205, 304, 404, 500, 599, 100, 103, 101, 600, 999, 299]
RESPONSE_NAMES = [
    *(b"Content-Type", b"X", b"Set-Cookie", b"Date", b"date", b"Keep-Alive", b"Content-Length"),
    *(
        b"Connection",
        b"content-length",
        b"Transfer-Encoding",
        b"Keep-Alive",
        b"X-Request-Id",
        b"Set-Cookie",
        b"",
        b"a b",
        b"TE",
    ),
]


class Bytes:
    """Reads choices out of bytes; zeros when they are used up."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    @property
    def left(self) -> bool:
        return self.at < len(self.data)

    def below(self, limit: int) -> int:
        """A number below C{limit}, which is at most 256."""
        self.at += 1
        return self.data[self.at - 1] % limit if self.at <= len(self.data) else 0

    def one(self, choices: list[Any]) -> Any:
        return choices[self.below(len(choices))]

    def usual(self, good: Any, choices: list[Any], odds: int = 4) -> Any:
        """C{good}, or now and then one of the others."""
        return self.one(choices) if self.below(odds) == 1 else good

    def some(self) -> bytes:
        """A few raw bytes."""
        size = self.below(24)
        self.at += size
        return self.data[self.at - size : self.at]

    def spoilt(self, data: bytes) -> bytes:
        """C{data}, sometimes with a byte changed, dropped or put in."""
        how = self.below(16)
        if how > 2 or not data:
            return data
        at = (self.below(256) << 8 | self.below(256)) % len(data)
        return (
            data[:at] + (b"", bytes([self.below(256)]), self.some())[how] + data[at + (how < 2) :]
        )

    def pieces(self, data: bytes) -> list[bytes]:
        """C{data}, sometimes in pieces."""
        how = self.below(8)
        if how == 0:
            return [data[i : i + 1] for i in range(len(data))] if len(data) < 400 else [data]
        if how > 3:
            return [data]
        cuts = sorted(
            (self.below(256) << 8 | self.below(256)) % (len(data) + 1) for _ in range(how)
        )
        ends = [0, *cuts, len(data)]
        return [data[a:b] for a, b in pairwise(ends) if a < b]


def request(take: Bytes) -> bytes:
    """A request that may be good."""
    line = take.usual(b"GET", METHODS), take.usual(b"/", TARGETS), take.usual(b"HTTP/1.1", VERSIONS)
    lines = [b" ".join(line)]
    if take.below(16) != 1:
        lines.append(b"Host:" + take.one(BLANKS) + take.usual(b"a.example", HOSTS))
    names = take.usual(NAMES[:7], [NAMES], 2)
    for _ in range(take.below(6)):
        lines.append(take.one(names) + b":" + take.one(BLANKS) + take.usual(b"x", VALUES))
    body = b""
    if take.below(6) == 1:
        body = b"b" * take.below(100)
        lines.append(b"Content-Length: %d" % len(body))
    if take.below(16) == 1:
        lines += [b"f%d: v" % number for number in range(take.below(130))]
    ends = take.usual([b"\r\n"], [ENDS], 8)
    head = b"".join(each + take.one(ends) for each in [*lines, b""])
    return take.spoilt(head) + body


def good_request(take: Bytes) -> bytes:
    """A request that is most likely good."""
    method = take.one([b"GET", b"HEAD", b"POST"])
    more = take.one([b"", b"Connection: close\r\n", b"Content-Length: 2\r\n"])
    body = b"xy" if b"Length" in more else b""
    host = take.one([b"a.example", b"b.example"])
    return b"%b /p%d HTTP/1.1\r\nHost: %b\r\n%b\r\n%b" % (method, take.below(3), host, more, body)


def answer(take: Bytes, number: int) -> bytes:
    """A response frame that may be good."""
    names = take.usual(RESPONSE_NAMES[:7], [RESPONSE_NAMES])
    values = take.usual(VALUES[:7], [VALUES])
    headers = [(take.one(names), take.one(values)) for _ in range(take.below(5))]
    body: Any = take.usual(b"hello", [b"", b"x" * 70, None, b"abc", {}])
    info: Any = take.usual({}, [{b"reason": b"Fine"}, {b"reason": b"a\nb"}, {b"x": 1}, 1])
    if take.below(12) == 1:
        headers += [(b"f", b"v")] * take.below(256)
    frame = m.Response(number, take.usual(200, STATUSES), headers, info, body).encode()
    return take.spoilt(frame)


def other_frame(take: Bytes, number: int) -> bytes:
    """A frame of another verb."""
    kinds: list[m.Message] = [
        m.Body(number, b"data"),
        m.End(number),
        m.Credit(number, 10),
        m.Abort(number, b"refused", b"no"),
        m.Abort(number, b"error"),
        m.Pong(b"x"),
        m.Register(3, b"c", b"/.*"),
        m.Unregister(2),
        m.Drain(),
        m.Bye(),
        m.Response(number, 200, [], {}, None),
        m.Response(number, 103, [(b"Link", b"x")], {}, b""),
    ]
    return take.spoilt(take.one(kinds).encode())


def options(take: Bytes) -> dict[str, Any]:
    """The circumstances."""
    small = HttpLimits(target=200, head=2000, fields=20, inline=64, requests=3, body=90)
    return {
        "limits": take.one([None, small]),
        "wire": take.usual(None, [WireLimits(inline=1, frame=1024), WireLimits(frame=3000)]),
        "concurrency": take.usual(0, [1]),
        "address": take.usual("192.0.2.7", ["2001:db8::1", "::ffff:10.0.0.1"]),
        "trust": take.usual(None, [["192.0.2.0/24", "10.0.0.0/8"]], 3),
    }


def play(data: bytes, style: str = "combined") -> Pair:
    """
    Play the conversation that C{data} describes.

    @param style: the format of the access log.

    @raise Differ: the paths do not do the same.
    """
    take = Bytes(data)
    pair = Pair(style=style, **options(take))
    steps = 0
    while take.left and steps < 40:
        steps += 1
        step(take, pair)
    pair.wait(1)
    return pair


def step(take: Bytes, pair: Pair) -> None:
    """One thing that happens."""
    what = take.below(24)
    number = max(1, pair.sides[1].guest.wire.last - take.below(3))
    if what < 4:
        pair.client(*take.pieces(good_request(take)))
    elif what < 7:
        pair.client(*take.pieces(good_request(take)))
        pair.guest(response(pair.sides[1].guest.wire.last, body=b"yes"))
    elif what < 9:
        pair.client(*take.pieces(request(take)))
    elif what < 10:
        pair.client(*take.pieces(good_request(take) + request(take) + good_request(take)))
    elif what < 13:
        pair.guest(*take.pieces(response(number, body=take.one([b"", b"yes", b"z" * 50_000]))))
    elif what < 16:
        pair.guest(*take.pieces(answer(take, number)))
    elif what < 17:
        pair.guest(*take.pieces(other_frame(take, number) + answer(take, number)))
    elif what < 18:
        pair.guest(*take.pieces(take.some()))
    elif what < 19:
        pair.client(take.some() or b"x")
    elif what < 20:
        pair.wait(take.one([0.5, 1.0, 11.0, 61.0, 80.0]))
    elif what < 21:
        take.one([pair.half_close, pair.lose])()
    elif what < 22:
        take.one([pair.stall, pair.drain, pair.stall_guest, pair.drain_guest])()
    elif what < 23:
        pair.lose()
        pair.connect()
    elif take.below(8) == 1:
        pair.lose_guest()
    else:
        pair.guest(*take.pieces(answer(take, number) + response(number + 1)))


ID = b"0123456789abcdef-0000002a"
DATE = b"Thu, 01 Jan 1970 00:16:40 GMT"


class _OneId:
    def make(self) -> bytes:
        return ID


_rules = RequestRules(Forwarding(), _OneId())  # type: ignore[arg-type]
_validator = RequestValidator(HttpLimits(), _rules)
_peer = Peer(b"192.0.2.7")


def compare_request(data: bytes) -> str:
    """
    What became of it: C{"declined"}, C{"partial"}, C{"plain"}.

    @raise AssertionError: the compiled path makes of a head something else than the Python path.
    """
    from subproxy.fastpath._request_frame import request_frame

    node = forwarded_node(b"192.0.2.7")
    target = _validator.limits.target
    made = request_frame(data, 7, ID, b"192.0.2.7", node, b"1.1 subproxy", target)
    if made is None:
        return "declined"
    if made is True:
        _validator.check_partial(data, 0)
        return "partial"
    frame, used, path, host, close = made
    end = data.find(b"\r\n\r\n") + 4
    try:
        _rules.host(host)
        if path.translate(None, PATH) or path_fault(path) is not None:
            return "declined"
    except ClientError:
        return "declined"
    try:
        method, target, version = _validator.check_line(data[: data.find(b"\r\n")])
        parser = MessageParser()
        parser.feed(data[:end])
        fields = parser.take_fields()
        _validator.check_head(end, len(fields))
        passed = _validator.check_request(method, target, version, fields, _peer)
    except (ClientError, ParserError) as error:
        raise AssertionError(f"Python refuses {data!r}: {error}") from None
    head = passed.head
    assert head.length is not None
    body = data[end : end + head.length]
    exchange = Exchange(head, body, None)  # type: ignore[arg-type]
    expected = m.Request(
        7, head.method, head.target, request_headers(exchange), request_info(exchange), body
    ).encode()
    got = (frame, used, close, path)
    want = (expected, end + head.length, not passed.keep_alive, target.partition(b"?")[0])
    assert got == want, f"of {data!r}\nfast {got}\nslow {want}"
    return "plain"


def compare_response(frame: bytes, method: bytes) -> str:
    """
    What became of it: C{"declined"}, C{"plain"}.

    @raise AssertionError: the compiled path makes of a frame something else than the Python path.
    """
    from subproxy.fastpath._response import response_bytes

    made = response_bytes(frame, method, DATE, ID)
    if made is None:
        return "declined"
    decoder = FrameDecoder(262_144)
    decoder.feed(frame)
    try:
        message = m.parse(decoder.next() or [])
        assert isinstance(message, m.Response)
        reason = message.info.get(b"reason", b"")
        head = check_response(method, message.status, reason, message.headers)
    except (WireError, GuestMisbehaved) as error:
        raise AssertionError(f"Python refuses {frame!r}: {error}") from None
    body = message.body
    assert type(body) is bytes
    body = b"" if head.bodiless else body
    assert head.length in (None, len(body)) or head.bodiless
    framing = choose_framing(head, body, b"1.1")
    expected = write_head(head, framing, content_length(head, body), ID, DATE, None) + body
    assert made == (message.exchange, expected), f"{frame!r}\nfast {made}\nslow {expected!r}"
    return "plain"
