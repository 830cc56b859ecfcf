"""
Two connections, random legal actions, random delivery: both sides agree about everything.

The model knows what each side has sent, byte for byte; what arrives is compared with it, and
credit is reckoned from the frames on the way, not from what either side believes. Data connections
are a second wire, with delays of its own, of which the two ends know nothing.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from subproxy.wire import messages as m
from subproxy.wire.connection import Broken, Violation, WireConnection, limits_info
from subproxy.wire.fields import Headers
from subproxy.wire.frames import FrameDecoder, encode
from subproxy.wire.limits import Limits
from subproxy.wire.states import Half, Role, Side, Tunnel
from tests.rigs.examples import examples
from tests.rigs.wire_pair import HELLO, WELCOME, pieces_of, request, response

limits = st.builds(
    Limits,
    frame=st.sampled_from([1024, 2000, 262_144]),
    window=st.sampled_from([1, 2, 7, 100, 3000]),
    inline=st.sampled_from([0, 5, 500]),
)
sizes = st.lists(st.integers(1, 400), min_size=1, max_size=5)
trailers = st.lists(st.tuples(st.binary(max_size=5), st.binary(max_size=5)), max_size=2)
bodies = st.one_of(st.binary(max_size=10), st.integers(1, 5000).map(bytes))

Key = tuple[Role, int]
"""A body: who sends it, and of which exchange."""


class Wiretap:
    """
    Reads along one direction, and holds its sender to the limits of its receiver.

    @ivar windows: credit that is left for each body, by what has passed here.
    """

    def __init__(self, sender: Role, taken: Limits) -> None:
        self.sender, self.taken = sender, taken
        self.decoder = FrameDecoder(max(taken.frame, 4096))

    def read(self, data: bytes, windows: dict[Key, int], initial: dict[Role, int]) -> None:
        """See C{data} pass."""
        self.decoder.feed(data)
        while (frame := self.decoder.next()) is not None:
            message = m.parse(frame)
            encoded = encode(frame)
            assert len(encoded) - encoded.index(b":") - 2 <= max(self.taken.frame, 1024)
            match message:
                case m.Request():
                    expect = message.info.get(b"expect") is True or b"tunnel" in message.info
                    windows[Role.PROXY, message.exchange] = 0 if expect else initial[Role.PROXY]
                    windows[Role.GUEST, message.exchange] = initial[Role.GUEST]
                    self._inline(message.body)
                case m.Response():
                    self._inline(message.body)
                case m.Body():
                    key = self.sender, message.exchange
                    windows[key] -= len(message.data)
                    assert windows[key] >= 0, "more body than credit"
                case m.Credit():
                    windows[self.sender.peer, message.exchange] += message.amount

    def _inline(self, body: Any) -> None:
        assert not isinstance(body, bytes) or len(body) <= self.taken.inline


class WireMachine(RuleBasedStateMachine):
    """Two ends, a model of what they have said, and a wire that delays and splits."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: dict[Role, WireConnection] = {}
        self.flight: dict[Role, deque[bytes]] = {role: deque() for role in Role}
        self.expected: dict[Role, deque[m.Message]] = {role: deque() for role in Role}
        self.written: dict[Key, bytes] = defaultdict(bytes)
        self.arrived: dict[Key, bytes] = defaultdict(bytes)
        self.ended: dict[Key, Headers] = {}
        self.complete: dict[Key, Headers] = {}
        self.unread: dict[Key, int] = defaultdict(int)
        self.windows: dict[Key, int] = {}
        self.tunnels: set[int] = set()
        self.refused: set[int] = set()
        self.raw: dict[Key, bytes] = defaultdict(bytes)
        self.lengths: dict[Key, int] = {}
        self.moved: dict[Key, int] = {}
        self.over: set[tuple[Role, int]] = set()
        self.aborted: set[Key] = set()

    # The model.

    def say(self, role: Role, message: m.Message) -> None:
        """C{role} says it, and the other will hear it."""
        self.ends[role].send(message)
        self.expected[role.peer].append(message)

    def flush(self, role: Role) -> None:
        """What C{role} has to send is on its way."""
        data = self.ends[role].data_to_send()
        if data:
            self.flight[role.peer].append(data)

    def hear(self, role: Role, event: Any) -> None:
        """Something happened at C{role}."""
        assert not isinstance(event, Broken | Violation), event
        if isinstance(event, m.Credit):
            return
        if isinstance(event, m.Body):
            key = role.peer, event.exchange
            assert key not in self.moved or key[1] not in self.ends[role].exchanges
            self.arrived[key] += event.data
            self.unread[key] += len(event.data)
            assert self.written[key].startswith(self.arrived[key])
            return
        if isinstance(event, m.Move):
            key = role.peer, event.exchange
            assert len(self.arrived[key]) == event.length
            assert key not in self.moved
            self.moved[key] = event.length
            return
        if isinstance(event, m.End):
            key = role.peer, event.exchange
            assert self.arrived[key] + self.raw[key] == self.written[key]
            assert self.ended[key] == event.trailers
            assert event.info.get(b"length", len(self.arrived[key])) == len(self.written[key])
            self.complete[key] = event.trailers
            if event.exchange not in self.ends[role].exchanges:
                self.over.add((role, event.exchange))
            return
        # What is ignored by right, because the exchange was over here, does not come up.
        while self.expected[role]:
            expected = self.expected[role].popleft()
            if expected == event:
                break
            number = getattr(expected, "exchange", None)
            assert number is not None, f"{expected} did not arrive"
            assert self.is_over(role, number), f"{expected} did not arrive, but {event}"
        else:
            raise AssertionError(f"nobody said {event}")
        if isinstance(event, m.Abort):
            self.over.add((role, event.exchange))
        if isinstance(event, m.Response) and event.status >= 200:
            if isinstance(event.body, bytes):
                self.over.add((role, event.exchange))
            else:
                self.take_raw(role, event.exchange)

    def is_over(self, role: Role, number: int) -> bool:
        """Whether that exchange is over, as C{role} must see it."""
        if (role, number) in self.over:
            return True
        # A guest's streamed response is complete when its end has left; a tunnel with both ends.
        ended = (role, number) in self.ended
        if role is Role.PROXY:
            ended = ended and number in self.tunnels - self.refused
        return ended and number not in self.ends[role].exchanges

    def take_raw(self, role: Role, number: int) -> None:
        """What waited for credit goes over the data connection, if our half is raw."""
        exchange = self.ends[role].exchanges.get(number)
        if exchange is None or exchange.ours is not Half.RAW:
            return
        ending = (role, number) in self.ended
        pieces = self.ends[role].take_unsent(number)
        self.raw[role, number] += b"".join(pieces)
        if ending:
            self.end_raw(role, number)

    def end_raw(self, role: Role, number: int) -> None:
        self.ended[role, number] = []
        info = {b"length": len(self.written[role, number])}
        self.ends[role].end_body(number, [], info)

    def streaming(self, role: Role) -> list[int]:
        """The exchanges for which C{role} may write body."""
        return [
            number
            for number, each in self.ends[role].exchanges.items()
            if each.ours is Half.STREAMING and each.ending is None
        ]

    def talking(self, role: Role) -> bool:
        return self.ends[role].ours in (Side.OPEN, Side.DRAINING)

    # The rules.

    @initialize(guest=limits, proxy=limits)
    def greet(self, guest: Limits, proxy: Limits) -> None:
        self.ends = {
            Role.GUEST: WireConnection(Role.GUEST, guest),
            Role.PROXY: WireConnection(Role.PROXY, proxy),
        }
        self.initial = {Role.GUEST: proxy.window, Role.PROXY: guest.window}
        self.taps = {Role.GUEST: Wiretap(Role.GUEST, proxy), Role.PROXY: Wiretap(Role.PROXY, guest)}
        self.say(Role.GUEST, m.Hello({**HELLO, **limits_info(guest), b"tunnel": [b"t"]}))
        self.move_all(Role.PROXY, [3])
        offers: m.Info = {b"tunnel": 1, b"bulk": 0}
        self.say(Role.PROXY, m.Welcome({**WELCOME, **limits_info(proxy), **offers}))
        self.move_all(Role.GUEST, [3])

    def move_all(self, role: Role, cut: list[int]) -> None:
        """All that is on its way to C{role} arrives, cut into those sizes."""
        self.flush(role.peer)
        data = b"".join(self.flight[role])
        self.flight[role].clear()
        self.move(role, data, cut)

    def move(self, role: Role, data: bytes, cut: list[int]) -> None:
        self.taps[role.peer].read(data, self.windows, self.initial)
        for piece in pieces_of(data, cut):
            self.ends[role].feed(piece)
            while (event := self.ends[role].next_event()) is not None:
                self.hear(role, event)

    @rule(role=st.sampled_from(Role), cut=sizes)
    def deliver(self, role: Role, cut: list[int]) -> None:
        self.move_all(role, cut)

    @rule(role=st.sampled_from(Role), part=st.integers(1, 2000))
    def deliver_some(self, role: Role, part: int) -> None:
        """A part arrives, perhaps not to the end of a frame."""
        self.flush(role.peer)
        data = b"".join(self.flight[role])
        self.flight[role].clear()
        if data[part:]:
            self.flight[role].append(data[part:])
        self.move(role, data[:part], [part])

    @precondition(lambda self: self.ends[Role.PROXY].ours is Side.OPEN)
    @rule(body=st.one_of(st.none(), bodies), expect=st.booleans(), gap=st.integers(1, 3))
    def request(self, body: bytes | None, expect: bool, gap: int) -> None:
        proxy = self.ends[Role.PROXY]
        if body is not None:
            body = body[: min(proxy.peer_limits.inline, 700)]
        info = {"expect": True} if expect else {}
        self.say(Role.PROXY, request(proxy.last + gap, body, **info))

    @precondition(lambda self: self.ends[Role.PROXY].ours is Side.OPEN)
    @rule(steps=st.integers(1, 7), data=st.data(), direct=st.booleans(), body=bodies)
    def ask(self, steps: int, data: st.DataObject, direct: bool, body: bytes) -> None:
        """The proxy asks for a tunnel, which goes so many steps on; others are at any of them."""
        number = self.ends[Role.PROXY].last + 1
        self.tunnels.add(number)
        self.say(Role.PROXY, request(number, None, tunnel=b"t"))
        self.written[Role.PROXY, number] += body
        self.ends[Role.PROXY].write_body(number, body)
        for step in (
            lambda: self.move_all(Role.GUEST, [500]),
            lambda: self.accept_one(number, direct),
            lambda: self.move_all(Role.PROXY, [500]),
            lambda: self.offer_one(number),
            lambda: self.move_all(Role.GUEST, [500]),
            lambda: self.write_halves(number, body),
        )[: steps - 1]:
            step()

    def write_halves(self, number: int, body: bytes) -> None:
        for role in Role:
            if number in self.streaming(role) and self.talking(role):
                self.written[role, number] += body
                self.ends[role].write_body(number, body)

    def open_tunnels(self, role: Role, *states: Tunnel) -> list[int]:
        return [
            number
            for number, each in self.ends[role].exchanges.items()
            if each.tunnel is not None and each.tunnel.state in states
        ]

    @precondition(lambda self: self.talking(Role.GUEST))
    @rule(data=st.data(), direct=st.booleans())
    def accept(self, data: st.DataObject, direct: bool) -> None:
        """The guest accepts one."""
        numbers = self.open_tunnels(Role.GUEST, Tunnel.ASKED)
        if not numbers:
            return
        self.accept_one(data.draw(st.sampled_from(numbers)), direct)

    def accept_one(self, number: int, direct: bool) -> None:
        if not self.talking(Role.GUEST) or number not in self.open_tunnels(
            Role.GUEST, Tunnel.ASKED
        ):
            return
        exchange = self.ends[Role.GUEST].exchanges[number]
        granted = exchange.receiving.left or self.arrived[Role.PROXY, number]
        self.say(Role.GUEST, response(number, {} if direct and not granted else None))

    @precondition(lambda self: self.talking(Role.PROXY))
    @rule(data=st.data())
    def offer(self, data: st.DataObject) -> None:
        """The proxy offers a data connection."""
        numbers = self.open_tunnels(Role.PROXY, Tunnel.FRAMED, Tunnel.OFFERED, Tunnel.DIRECT)
        if numbers:
            self.offer_one(data.draw(st.sampled_from(numbers)))

    def offer_one(self, number: int) -> None:
        may = self.open_tunnels(Role.PROXY, Tunnel.FRAMED, Tunnel.OFFERED, Tunnel.DIRECT)
        # Not when the guest has moved, which the proxy knows: it has answered the claim.
        if number in may and self.talking(Role.PROXY) and (Role.GUEST, number) not in self.lengths:
            self.say(Role.PROXY, m.Connect(number, b"token"))

    @rule(role=st.sampled_from(Role), data=st.data())
    def move_half(self, role: Role, data: st.DataObject) -> None:
        """A half moves: the guest has heard of the connection, so both know of it."""
        numbers = [
            number
            for number in self.open_tunnels(role, Tunnel.OFFERED, Tunnel.MOVING)
            if self.ends[role].exchanges[number].ours is Half.STREAMING
            and self.open_tunnels_have(role.peer, number)
        ]
        if numbers and self.talking(role):
            number = data.draw(st.sampled_from(numbers))
            ending = (role, number) in self.ended
            self.lengths[role, number] = len(self.written[role, number])
            self.raw[role, number] += b"".join(self.ends[role].move_body(number))
            if ending:
                self.end_raw(role, number)

    def open_tunnels_have(self, role: Role, number: int) -> bool:
        """Whether C{role} has heard of, or made, the offer; or has forgotten the exchange."""
        exchange = self.ends[role].exchanges.get(number)
        return exchange is None or number in self.open_tunnels(role, Tunnel.OFFERED, Tunnel.MOVING)

    @rule(role=st.sampled_from(Role), data=st.data(), body=bodies)
    def write_raw(self, role: Role, data: st.DataObject, body: bytes) -> None:
        numbers = self.halves(role, Half.RAW)
        if numbers:
            number = data.draw(st.sampled_from(numbers))
            self.written[role, number] += body
            self.raw[role, number] += body

    @rule(role=st.sampled_from(Role), data=st.data())
    def end_of_raw(self, role: Role, data: st.DataObject) -> None:
        numbers = self.halves(role, Half.RAW)
        if numbers and self.talking(role):
            self.end_raw(role, data.draw(st.sampled_from(numbers)))

    def halves(self, role: Role, half: Half) -> list[int]:
        return [n for n, each in self.ends[role].exchanges.items() if each.ours is half]

    @precondition(lambda self: self.talking(Role.GUEST))
    @rule(data=st.data(), body=st.one_of(st.none(), bodies), interim=st.booleans())
    def respond(self, data: st.DataObject, body: bytes | None, interim: bool) -> None:
        guest = self.ends[Role.GUEST]
        waiting = [n for n, each in guest.exchanges.items() if each.ours is Half.WAITING]
        if not waiting:
            return
        number = data.draw(st.sampled_from(waiting))
        if interim:
            self.say(Role.GUEST, response(number, status=103))
            return
        if body is not None:
            body = body[: min(guest.peer_limits.inline, 700)]
            self.over.add((Role.GUEST, number))
        # With null it is refused: a tunnel is no tunnel then.
        self.say(Role.GUEST, response(number, body, 400))
        self.refused.add(number)

    @rule(role=st.sampled_from(Role), data=st.data(), body=bodies)
    def write(self, role: Role, data: st.DataObject, body: bytes) -> None:
        numbers = self.streaming(role)
        if numbers and self.talking(role):
            number = data.draw(st.sampled_from(numbers))
            # Bytes that tell where they belong.
            body = bytes((number * 7 + i + len(body)) % 251 for i in range(len(body)))
            self.written[role, number] += body
            waits = self.ends[role].write_body(number, body)
            assert waits == self.ends[role].pending(number)

    @rule(role=st.sampled_from(Role), data=st.data(), trailers=trailers)
    def end(self, role: Role, data: st.DataObject, trailers: Headers) -> None:
        numbers = self.streaming(role)
        if numbers and self.talking(role):
            number = data.draw(st.sampled_from(numbers))
            if self.ends[role].exchanges[number].tunnel is not None:
                trailers = []
            self.ended[role, number] = trailers
            self.ends[role].end_body(number, trailers)

    @rule(role=st.sampled_from(Role), data=st.data(), part=st.floats(0, 1))
    def consume(self, role: Role, data: st.DataObject, part: float) -> None:
        keys = [key for key, amount in self.unread.items() if key[0] is role.peer and amount]
        if keys:
            key = data.draw(st.sampled_from(keys))
            amount = max(1, int(self.unread[key] * part))
            self.unread[key] -= amount
            self.ends[role].consumed(key[1], amount)

    @rule(data=st.data())
    def want(self, data: st.DataObject) -> None:
        """The guest asks for a body that was only announced."""
        numbers = [
            number
            for number, each in self.ends[Role.GUEST].exchanges.items()
            if not each.receiving.left
            and not self.arrived[Role.PROXY, number]
            and each.theirs is Half.STREAMING
        ]
        if numbers:
            self.ends[Role.GUEST].consumed(data.draw(st.sampled_from(numbers)), 0)

    @rule(role=st.sampled_from(Role), data=st.data())
    def abort(self, role: Role, data: st.DataObject) -> None:
        numbers = list(self.ends[role].exchanges)
        if numbers and self.talking(role):
            number = data.draw(st.sampled_from(numbers))
            self.say(role, m.Abort(number, b"error"))
            self.over.add((role, number))
            self.aborted |= {(each, number) for each in Role}

    @rule(nonce=st.binary(min_size=1, max_size=4))
    def ping(self, nonce: bytes) -> None:
        if self.talking(Role.PROXY):
            self.say(Role.PROXY, m.Ping(nonce))
        if self.talking(Role.GUEST):
            self.say(Role.GUEST, m.Pong(nonce))

    @precondition(lambda self: self.ends and len(self.expected[Role.GUEST]) > 3)
    @rule(role=st.sampled_from(Role))
    def drain(self, role: Role) -> None:
        if self.talking(role):
            self.say(role, m.Drain())

    # What always holds.

    @invariant()
    def pending_is_what_waits(self) -> None:
        for role, end in self.ends.items():
            for number, each in end.exchanges.items():
                assert each.sending.available >= 0
                assert each.receiving.left >= 0
                assert 0 <= each.sending.pending <= len(self.written[role, number])
                assert not (each.sending.pending and each.sending.available)

    def teardown(self) -> None:
        """Everything arrives, everybody reads: then nothing waits, and both sides agree."""
        if not self.ends:
            return
        for _ in range(100_000):  # (a window of one byte, and bodies of thousands)
            for key, amount in list(self.unread.items()):
                if amount:
                    self.unread[key] = 0
                    self.ends[key[0].peer].consumed(key[1], amount)
            for number, each in self.ends[Role.GUEST].exchanges.items():
                if not each.receiving.left and not self.arrived[Role.PROXY, number]:
                    self.ends[Role.GUEST].consumed(number, 0)
            for role in Role:
                self.flush(role)
            if not any(self.flight.values()):
                break
            for role in Role:
                self.move_all(role, [1000])
        else:
            raise AssertionError("it does not come to rest")
        guest, proxy = self.ends[Role.GUEST], self.ends[Role.PROXY]
        assert set(guest.exchanges) == set(proxy.exchanges)
        for number, mine in guest.exchanges.items():
            yours = proxy.exchanges[number]
            if mine.tunnel is None:
                assert mine.ours is not Half.DONE, "its response is complete"
            else:
                assert yours.tunnel is not None
                assert mine.tunnel.state is yours.tunnel.state
                assert (mine.tunnel.sent, mine.tunnel.received) == (
                    yours.tunnel.received,
                    yours.tunnel.sent,
                )
            assert (mine.ours, mine.theirs) == (yours.theirs, yours.ours), number
            for role in Role:
                got = self.arrived[role, number] + self.raw[role, number]
                assert got == self.written[role, number]
                assert self.ends[role].pending(number) == 0
        for role, number in self.ended:
            both = role is Role.GUEST or number in self.tunnels - self.refused
            if both and (role, number) not in self.aborted:
                assert (role, number) in self.complete


WireMachine.TestCase.settings = settings(
    settings.get_profile("subproxy"), max_examples=examples(120), stateful_step_count=40
)
TestWireMachine = WireMachine.TestCase
