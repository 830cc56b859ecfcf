"""
What the fuzzer of the wire runs: one input, one connection, everything that must hold.

The first byte of an input says who we are and in what state:

    bit 0       we are the proxy (else the guest)
    bit 1       both have greeted, and three exchanges are under way
    bit 2       the rest is a program (else it is what the peer sends, byte for byte)
    bit 3, 4    what comes is cut into pieces, of the size that the upper bits say, and then
                fed whole to a second connection, with which the same must happen

A program makes frames whose lengths are right, which mutated bytes seldom are: each operation is a
verb and elements taken from the input. L{run} raises L{AssertionError}, or whatever else is a bug.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from subproxy.wire import messages as m
from subproxy.wire.connection import (
    Broken,
    Ignored,
    Violation,
    WireConnection,
    WireEvent,
    limits_info,
)
from subproxy.wire.credit import ReceiveWindow, SendWindow
from subproxy.wire.exchange import WireExchange
from subproxy.wire.frames import FrameDecoder, encode
from subproxy.wire.limits import MAX_CREDIT, Limits
from subproxy.wire.states import Half, Role, Side

LIMITS = Limits(frame=2048, window=64, inline=32)
HELLO = encode([b"hello", {b"application": b"a", b"instance": b"i", **limits_info(LIMITS)}])
WELCOME = encode([b"welcome", limits_info(LIMITS)])
REQUESTS = b"".join(
    encode(m.Request(number, b"PUT", b"/", [], {}, body).frame())
    for number, body in ((1, None), (2, b"x"), (3, None))
)

VERBS = [*sorted(m.BY_VERB), b"unknown", b""]
VALUES: list[Any] = [
    *(1, 2, 3, 4, 0, -1, 100, 200, 64, 65, MAX_CREDIT, 2**53 - 1, 2**53),
    *(b"", b"x", b"\xff" * 33, b"y" * 64, b"z" * 129, b"1.1"),
    *(None, True, False, [], {}, [b"a", b"b"], [[b"a", b"b"]], [[b"a"]]),
    *({b"version": 1}, {b"expect": True}, {b"bulk": 0}, {b"window": 5}, {1: 2}),
    *({b"version": 1, b"application": b"a", b"instance": b"i"}, {b"k": {b"k": [1]}}),
]
SHAPES: dict[bytes, list[Any]] = {
    b"hello": [VALUES[-2]],
    b"welcome": [{b"version": 1}],
    b"register": [1, b"h", b"p"],
    b"pong": [b"n"],
    b"response": [1, 200, [], {}, b""],
    b"refused": [1, b"c", b"r"],
    b"ping": [b"n"],
    b"request": [4, b"GET", b"/", [], {}, b""],
    b"body": [1, b"x"],
    b"abort": [1, b"c"],
    b"connect": [1, b"t"],
    b"credit": [1, 1],
}


def program(data: bytes) -> bytes:
    """
    The frames that C{data} stands for.

    Each takes a byte for its verb; then one for each element: from 128 up the usual value
    stays, below it is another one. The top bit of the verb adds an element, the next cuts one.
    """
    out: list[bytes] = []
    position, size = 0, len(data)
    while position < size and len(out) < 40:
        op = data[position]
        position += 1
        verb = VERBS[(op & 63) % len(VERBS)]
        elements = list(SHAPES.get(verb, (1,)))
        if op & 128:
            elements.append(1)
        if op & 64:
            elements = elements[:-1]
        for index in range(len(elements)):
            if position < size:
                choice = data[position]
                position += 1
                if choice < 128:
                    elements[index] = VALUES[choice % len(VALUES)]
        out.append(encode([verb, *elements]))
    return b"".join(out)


def world(role: Role, greeted: bool) -> WireConnection:
    """A connection in the state in which an input finds it."""
    connection = WireConnection(role, LIMITS)
    guest = role is Role.GUEST
    if guest:
        connection.send(m.Hello({b"application": b"a", b"instance": b"i", **limits_info(LIMITS)}))
    if greeted:
        connection.feed(WELCOME + REQUESTS if guest else HELLO)
        while connection.next_event() is not None:
            pass
        if guest:
            connection.send(m.Response(3, 200, [], {}, None))
            connection.write_body(3, b"0123456789" * 8)
            connection.end_body(3)
        else:
            connection.send(m.Welcome(limits_info(LIMITS)))
            connection.send(m.Request(1, b"PUT", b"/", [], {}, None))
            connection.send(m.Request(2, b"PUT", b"/", [], {}, b"x"))
            connection.send(m.Request(3, b"PUT", b"/", [], {b"expect": True}, None))
            connection.write_body(1, b"0123456789" * 8)
            connection.write_body(3, b"0123456789")
            connection.end_body(3)
    connection.data_to_send()
    return connection


def copy_of(connection: WireConnection) -> WireConnection:
    """Another in the same state: far cheaper than to go all the way there for each input."""
    new = object.__new__(WireConnection)
    new.__dict__.update(connection.__dict__)
    new._out = []
    new._decoder = FrameDecoder(connection.limits.frame)
    new.exchanges = {}
    for number, old in connection.exchanges.items():
        each = object.__new__(WireExchange)
        for slot in WireExchange.__slots__:
            setattr(each, slot, getattr(old, slot))
        each.sending = SendWindow(old.sending.available, old.sending.chunk)
        each.sending.pending = old.sending.pending
        each.sending._waiting = deque(old.sending._waiting)
        each.sending._offset = old.sending._offset
        each.receiving = ReceiveWindow(old.receiving.size, old.receiving.left)
        new.exchanges[number] = each
    return new


_WORLDS = {(role, greeted): world(role, greeted) for role in Role for greeted in (False, True)}


class Checked:
    """
    A connection with an application that answers, and with what must hold looked at.

    @ivar events: what happened.
    @ivar said: what we said.
    """

    def __init__(self, role: Role, greeted: bool) -> None:
        self.connection = copy_of(_WORLDS[role, greeted])
        self.events: list[WireEvent] = []
        self.said = b""

    def feed(self, data: bytes) -> None:
        """The peer sends C{data}."""
        connection = self.connection
        connection.feed(data)
        while (event := connection.next_event()) is not None:
            assert not (self.events and type(self.events[-1]) is Broken), "an event after the last"
            if type(event) is Ignored:
                # How many come at once does depend on how the bytes are cut.
                assert 0 < event.frames < 100
                continue
            self.events.append(event)
            self._answer(event)

    def _answer(self, event: WireEvent) -> None:
        connection = self.connection
        kind = type(event)
        if kind is Broken:
            assert connection.ours in (Side.DONE, Side.DATA)
            return
        number: int = getattr(event, "exchange", 0)
        if kind is Violation:
            assert number not in connection.exchanges
            return
        if connection.ours is Side.DONE:
            assert kind is m.Bye
            return
        if kind is m.Hello and connection.role is Role.PROXY:
            connection.send(m.Welcome(limits_info(LIMITS)))
            connection.send(m.Request(1, b"PUT", b"/", [], {}, None))
        elif kind is m.Ping:
            connection.send(m.Pong(event.nonce))  # type: ignore[union-attr]
        elif kind is m.Bye:
            connection.send(m.Bye())
        elif kind is m.Body:
            data: bytes = event.data  # type: ignore[union-attr]
            assert 0 < len(data) <= LIMITS.window
            if len(data) != 13:
                connection.consumed(number, len(data))
        elif kind is m.Request:
            self._respond(number)

    def _respond(self, number: int) -> None:
        connection = self.connection
        match number % 4:
            case 0:
                connection.send(m.Response(number, 200, [], {}, b"hello"))
            case 1:
                connection.send(m.Response(number, 103, [(b"a", b"b")]))
                connection.send(m.Response(number, 200, [], {}, None))
                connection.write_body(number, b"0123456789" * 20)
                connection.end_body(number, [(b"t", b"1")])
            case 2:
                connection.consumed(number, 0)

    def finish(self) -> None:
        """See that all that must hold does."""
        connection = self.connection
        for number, each in connection.exchanges.items():
            assert each.number == number
            assert number <= connection.last
            assert each.receiving.left >= 0
            assert each.receiving.left <= LIMITS.window
            assert 0 <= each.sending.available <= MAX_CREDIT
            assert not (each.sending.pending and each.sending.available)
            response = each.theirs if connection.role is Role.PROXY else each.ours
            assert response is not Half.DONE
        data = connection.data_to_send()
        self.said += data
        decoder = FrameDecoder(9_999_999)
        decoder.feed(data)
        last = b""
        while (frame := decoder.next()) is not None:
            message = m.parse(frame)
            assert message is not None
            assert last != b"bye", "something after bye"
            last = message.verb
        assert decoder.pending == 0
        if self.events and type(self.events[-1]) is Broken and connection.theirs is not Side.DATA:
            assert connection.ours is Side.DONE


def run(data: bytes) -> None:
    """Run one input."""
    if not data:
        return
    mode = data[0]
    role = Role.PROXY if mode & 1 else Role.GUEST
    sent = program(data[1:]) if mode & 4 else data[1:]
    one = Checked(role, bool(mode & 2))
    if mode & 24 != 24:
        one.feed(sent)
        one.finish()
        return
    size = 1 + (mode >> 5) ** 2
    for start in range(0, len(sent), size):
        one.feed(sent[start : start + size])
    one.finish()
    whole = Checked(role, bool(mode & 2))
    whole.feed(sent)
    whole.finish()
    assert repr(one.events) == repr(whole.events), "it depends on how the bytes are cut"
    assert one.said == whole.said, "what we say depends on how the bytes are cut"
