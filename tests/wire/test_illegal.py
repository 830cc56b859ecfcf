"""
Random messages, most of them illegal, beside an exchange that must not suffer from them.

Each is delivered, ignored, a L{Violation} of its own exchange or L{Broken}; which of them is told
by an oracle from the tables of the protocol. The other exchange goes on unless the connection ends.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.wire import messages as m
from subproxy.wire.connection import Broken, Violation, WireConnection
from subproxy.wire.frames import encode
from subproxy.wire.limits import MAX_CREDIT, Limits
from subproxy.wire.states import REQUEST, RESPONSE, SIDES, Event, Half, Role
from tests.rigs.examples import examples
from tests.rigs.wire_pair import ConnectionPair, frames_of, request, response

VICTIM, WAITING, STREAMING, BOTH, OVER, NEVER = 1, 2, 3, 4, 5, 9
LIMITS = Limits(frame=2000, window=20, inline=10)

numbers = st.sampled_from([WAITING, STREAMING, BOTH, OVER, NEVER, NEVER + 1])
some_bodies = st.sampled_from([b"", b"0123456789", b"0123456789A", None, {}, {b"length": 5}])
names = st.sampled_from([b"x", b"1"])
messages = st.one_of(
    st.just(m.Hello({b"version": 1, b"application": b"a", b"instance": b"i"})),
    st.just(m.Welcome({b"version": 1})),
    st.builds(m.Connect, numbers, names),
    st.builds(m.Register, st.integers(1, 3), names, names),
    st.builds(m.Unregister, st.integers(1, 3)),
    st.builds(m.Registered, st.integers(1, 3)),
    st.builds(m.Unregistered, st.integers(1, 3)),
    st.builds(m.Refused, st.integers(0, 3), names, names),
    st.builds(m.Ping, names),
    st.builds(m.Pong, names),
    st.builds(response, numbers, some_bodies, st.sampled_from([100, 199, 200, 999])),
    st.builds(request, numbers, some_bodies),
    st.builds(m.Body, numbers, st.sampled_from([b"x", b"0123456789", bytes(20), bytes(21)])),
    st.builds(m.End, numbers),
    st.builds(m.Move, numbers, st.integers(0, 2)),
    st.builds(m.Credit, numbers, st.sampled_from([1, MAX_CREDIT - 20, MAX_CREDIT])),
    st.builds(m.Abort, numbers, names),
    st.just(m.Drain()),
    st.just(m.Bye()),
)


def world() -> ConnectionPair:
    """A pair with exchanges in all states; number 1 streams both ways, and has a byte to come."""
    pair = ConnectionPair(LIMITS, LIMITS)
    pair.proxy.send(request(VICTIM, None))
    pair.proxy.send(request(WAITING))
    pair.proxy.send(request(STREAMING, None))
    pair.proxy.send(request(BOTH, None))
    pair.proxy.send(request(OVER))
    pair.settle()
    pair.guest.send(response(VICTIM, None))
    pair.guest.send(response(BOTH, None))
    pair.guest.send(response(OVER))
    pair.settle()
    pair.take(Role.GUEST)
    pair.take(Role.PROXY)
    return pair


def snapshot(end: WireConnection, but: int) -> dict[int, tuple[Any, ...]]:
    """All that is known of each exchange but that one."""
    return {
        number: (
            each.ours,
            each.theirs,
            each.sending.available,
            each.sending.pending,
            each.receiving.left,
        )
        for number, each in end.exchanges.items()
        if number != but
    }


def verdict(end: WireConnection, message: m.Message) -> str:
    """What must become of C{message}, by the tables."""
    allowed = SIDES[end.role.peer][end.theirs]
    if message.verb not in allowed:
        return "broken"
    number = getattr(message, "exchange", None)
    if isinstance(message, m.Request):
        if message.exchange <= end.last:
            return "broken"
        half = Half.WAITING
    elif number is None:
        return "delivered"
    elif number not in end.exchanges:
        return "broken" if number > end.last else "ignored"
    else:
        half = end.exchanges[number].theirs
    table = RESPONSE if end.role is Role.PROXY else REQUEST
    window = end.exchanges.get(number or 0)
    wrong = False
    match message:
        case m.Request() | m.Response():
            event = Event.STREAM
            if isinstance(message.body, bytes):
                event = Event.WHOLE
                wrong = len(message.body) > LIMITS.inline
            elif message.body is not None:
                wrong = True
            if isinstance(message, m.Response) and message.status < 200:
                event = Event.INTERIM
                wrong = message.body != b""
            wrong = wrong or event not in table[half]
        case m.Body():
            assert window is not None
            wrong = Event.BODY not in table[half] or len(message.data) > window.receiving.left
        case m.End():
            wrong = Event.END not in table[half]
        case m.Credit():
            assert window is not None
            wrong = window.sending.available + message.amount > MAX_CREDIT
        case m.Connect() | m.Move():
            wrong = True  # there are neither data connections nor tunnels
    return "violation" if wrong else "delivered"


class IllegalTests(SynchronousTestCase):
    @settings(max_examples=examples(300))
    @given(st.sampled_from(Role), st.lists(messages, max_size=8))
    def test_messages(self, role: Role, sent: list[m.Message]) -> None:
        """Each message has the end that the tables say, and harms nobody else."""
        pair = world()
        end = pair.end(role)
        for message in sent:
            if not end.exchanges:
                break
            expected = verdict(end, message)
            number = getattr(message, "exchange", 0)
            before = snapshot(end, number)
            end.data_to_send()
            events = pair.feed(role, encode(message.frame()))
            pair.take(role)
            said = frames_of(end.data_to_send())
            if expected == "broken":
                (event,) = events
                assert isinstance(event, Broken)
                assert [frame[0] for frame in said] == [b"bye"]
                return
            if expected == "violation":
                (event,) = events
                assert isinstance(event, Violation)
                assert event.exchange == number
                assert [frame[:3] for frame in said] == [[b"abort", number, b"protocol"]]
                assert number not in end.exchanges
            else:
                assert events == ([message] if expected == "delivered" else [])
                assert said == []
            assert snapshot(end, number) == before
            if isinstance(message, m.Bye):
                return
        self._victim_goes_on(pair, role)

    def _victim_goes_on(self, pair: ConnectionPair, role: Role) -> None:
        end = pair.end(role)
        events = pair.feed(role, encode([b"body", VICTIM, b"still here"]))
        assert events == [m.Body(VICTIM, b"still here")]
        assert end.write_body(VICTIM, b"here too") == 0
        assert frames_of(end.data_to_send()) == [[b"body", VICTIM, b"here too"]]

    @given(st.sampled_from(Role), st.sampled_from(sorted(m.BY_VERB)), st.data())
    def test_malformed(self, role: Role, verb: bytes, data: st.DataObject) -> None:
        """A message with a wrong element ends the connection, whatever the state."""
        pair = world()
        elements = data.draw(st.lists(st.sampled_from([None, True, [], -1]), max_size=3))
        events = pair.feed(role, encode([verb, *elements]))
        # A verb alone may be a message; wrong elements never are.
        if elements or not isinstance(events[-1], m.Drain | m.Bye):
            assert isinstance(events[-1], Broken)
            assert len(events) == 1
            assert frames_of(pair.end(role).data_to_send())[-1][0] == b"bye"
