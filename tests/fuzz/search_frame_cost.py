"""
Searches for what a guest can send that costs the proxy most CPU time.

    python -m tests.fuzz.search_frame_cost COUNT [--seed N] [--path fast|slow]

An input is a few frames, each a form, a number and a size, perhaps repeated. It is sent to a
real subscription with exchanges in flight, in memory, and its CPU time is taken: of each read of
64 KiB, and of each turn of the reactor that follows, until all is dealt with. COUNT is how many
messages are sent, all inputs together. What costs most in a turn, as a message or for its bytes is
kept and changed further; half of the inputs are new.

Patterns are not searched here: hosts and paths are literal. Times are the least of five runs.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import heapq
import random
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure

from subproxy.subscription.message_pump import PumpState
from subproxy.subscription.states import SubscriptionState
from subproxy.subscription.time_share import SHARE
from subproxy.wire.frames import encode
from tests.rigs.fastpath_rig import Side

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
PUT = b"PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 200000\r\n\r\n" + b"u" * 1000
IN_FLIGHT = 6
LONGEST = 65_536
"""Bytes of one read."""
KEPT = 24

Gene = tuple[str, int, int, int]
"""What a frame is made of: a form, how many elements, of which size, and an exchange."""
Genome = tuple[tuple[Gene, ...], int]
"""Frames, and how often they are repeated."""


def _fields(count: int, size: int) -> list[list[bytes]]:
    size = min(size, 65_000 // max(1, count))
    return [[b"x" * max(1, size // 2), b"y" * (size // 2)] for _ in range(count)]


def _nested(inner: Any, levels: int) -> Any:
    for level in range(levels):
        inner = {b"k": inner} if level % 3 == 2 else [inner]
    return inner


def _keys(count: int, size: int) -> dict[bytes, Any]:
    return {b"%d" % number + b"k" * size: None for number in range(count)}


FORMS: dict[str, Callable[[int, int, int], list[Any] | bytes]] = {
    "unknown": lambda n, size, of: [b"zzz"],
    "lists": lambda n, size, of: [b"zzz", *[[]] * n],
    "nulls": lambda n, size, of: [b"zzz", *[None] * n],
    "integers": lambda n, size, of: [b"zzz", *[10 ** min(15, size) - 1] * n],
    "strings": lambda n, size, of: [b"zzz", *[b"x" * size] * min(n, 250_000 // (size + 1))],
    "keys": lambda n, size, of: [b"zzz", _keys(min(n, 600), size % 200)],
    "nested": lambda n, size, of: [b"zzz", _nested([[]] * n, size % 8)],
    "nested string": lambda n, size, of: [b"zzz", _nested(b"x" * size, n % 8)],
    "interim": lambda n, size, of: [b"response", of, 103, _fields(n % 130, size), {}, b""],
    "whole": lambda n, size, of: [b"response", of, 200, _fields(n % 130, size), {}, b"x" * size],
    "odd": lambda n, size, of: [
        b"response", of, 200, [*_fields(n % 127, size), [b"connection", b"a,b"]], {}, b""
    ],
    "nominates": lambda n, size, of: [
        b"response", of, 200, [[b"connection", b"a," * min(size, 30_000)]] * (n % 3), {}, b""
    ],
    "streamed": lambda n, size, of: [b"response", of, 200, _fields(n % 130, size), {}, None],
    "bulk": lambda n, size, of: [b"response", of, 200, [], {}, _keys(n % 600, size % 100)],
    "status": lambda n, size, of: [b"response", of, n % 1200, [], {b"reason": b"r" * size}, b""],
    "body": lambda n, size, of: [b"body", of, b"x" * max(1, size)],
    "end": lambda n, size, of: [b"end", of, _fields(n % 130, size)],
    "credit": lambda n, size, of: [b"credit", of, max(1, size)],
    "abort": lambda n, size, of: [b"abort", of, b"refused" if n % 2 else b"error", b"r" * size],
    "pong": lambda n, size, of: [b"pong", b"p" * max(1, size % 130), _keys(n % 500, size % 50)],
    "register": lambda n, size, of: [
        b"register", n + 10, b"h%d" % n + b"h" * (size % 200), b"/" + b"p" * (size % 900)
    ],
    "unregister": lambda n, size, of: [b"unregister", n % 5],
    "drain": lambda n, size, of: [b"drain", _keys(n % 500, 3)],
    "hello": lambda n, size, of: [b"hello", _keys(n % 500, size % 50)],
    "raw": lambda n, size, of: b"%d:" % (n * 7) + b"1:" * (size % 30_000) + b"]",
}  # fmt: skip


_NAMES = list(FORMS)
_ENDING = {"raw", "hello", "bulk", "status", "drain"}
"""Forms that mostly end the connection: a new one costs the search more than the input."""


def bytes_of(genome: Genome, first: int) -> bytes:
    """What is sent; C{first} is the number of the oldest exchange in flight."""
    genes, times = genome
    frames = []
    for form, number, size, of in genes:
        frame = FORMS[form](number, size, max(1, first + of))
        frames.append(frame if isinstance(frame, bytes) else encode(frame))
    return (b"".join(frames) * times)[: 4 * LONGEST]


class Stage:
    """A proxy with one guest, and clients whose requests that has."""

    def __init__(self, fast: bool) -> None:
        self.fast = fast
        self.side = Side(fast, share=SHARE)
        self.side.guest.share.timer = time.perf_counter
        self.requests = 0
        self.served = True

    @property
    def alive(self) -> bool:
        """Whether the guest is still subscribed, and served."""
        guest = self.side.guest
        return (
            guest.state is SubscriptionState.SUBSCRIBED
            and not self.side.guest_transport.aborted
            and self.side.member is not None
            and bool(self.side.member.pools)
            and self.served
            and self.requests < 5_000
        )

    def close(self) -> None:
        """
        End it, with its log.

        What is in flight holds its client where the collector of garbage does not look.
        """
        if self.side.guest.state is not SubscriptionState.CLOSED:
            self.side.guest.connectionLost(Failure(ConnectionDone()))
        for _ in range(20):
            for call in self._due(0.0):
                call.func(*call.args, **call.kw)
        self.side.log.close()

    def fill(self) -> None:
        """See that so many exchanges are in flight, some with a body that is streamed."""
        side = self.side
        while len(side.guest.subscription.channel) < IN_FLIGHT:
            self.requests += 1
            side.connect()
            before = len(side.guest.subscription.channel)
            side.protocol.dataReceived(PUT if self.requests % 3 == 0 else GET)
            if side.guest.subscription is None or len(side.guest.subscription.channel) <= before:
                # It does not serve that host any more, or takes nothing.
                self.served = False
                return
        side.guest_transport.clear()

    @property
    def first(self) -> int:
        """The number of the oldest exchange in flight, about."""
        fast = self.side.guest.fast if self.fast else None
        if fast is not None:
            fast.tell()
        return max(1, int(self.side.guest.wire.last) - IN_FLIGHT + 1)

    def _due(self, seconds: float) -> list[Any]:
        """
        What is due in the next turn of a reactor, so many seconds from now.

        C{Clock.advance} would go on with what that calls later: many turns at once.
        """
        clock = self.side.world.clock
        clock.rightNow += seconds
        due = [call for call in clock.calls if call.getTime() <= clock.rightNow]
        clock.calls = [call for call in clock.calls if call not in due]
        for call in due:
            call.called = 1
        return due

    def cost(self, data: bytes) -> tuple[float, float]:
        """CPU seconds of the costliest turn that C{data} causes, and of all of them."""
        side, clock = self.side, time.thread_time
        worst = total = 0.0
        for at in range(0, len(data), LONGEST):
            piece = data[at : at + LONGEST]
            began = clock()
            side.guest.dataReceived(piece)
            took = clock() - began
            worst, total = max(worst, took), total + took
            for _ in range(3000):
                if side.guest_transport.producerState == "producing":
                    break
                postponed = side.guest.message_pump.state is PumpState.POSTPONED
                due = self._due(0.0 if postponed else 0.02)
                began = clock()
                for call in due:
                    call.func(*call.args, **call.kw)
                took = clock() - began
                worst, total = max(worst, took), total + took
            if side.guest.state is not SubscriptionState.SUBSCRIBED:
                break
        return worst, total


class Search:
    """
    Tries genomes.

    @ivar count: how many.
    @ivar messages: how many frames they had, without those that were sent again to be measured.
    @ivar broken: how many of them ended the connection.
    """

    def __init__(self, seed: int, fast: bool) -> None:
        self._random = random.Random(seed)
        self._fast = fast
        self._stage = Stage(fast)
        self.count = self.broken = self.messages = 0
        self.by_turn: list[tuple[float, int, Genome, int]] = []
        """The costliest turns: seconds, a number, the genome, bytes."""
        self.by_byte: list[tuple[float, int, Genome, int]] = []
        """The most seconds for each byte, likewise."""
        self.by_message: list[tuple[float, int, Genome, int]] = []
        """The most seconds of one message, likewise."""

    def run(self, count: int) -> None:
        """Try so many."""
        gc.collect()
        gc.disable()
        try:
            for _ in range(count):
                self.one(self._next())
                if self.count % 300 == 0:
                    gc.collect()
        finally:
            gc.enable()

    def _gene(self) -> Gene:
        source = self._random
        number = source.choice((0, 1, 2, 3, 10, 60, 127, 128, 129, 300, 511, 1022))
        size = source.choice((0, 1, 2, 5, 16, 64, 127, 250, 512, 1024, 8_000, 16_384, 65_000))
        form = source.choice(_NAMES)
        if form in _ENDING and source.random() < 0.9:
            form = source.choice(_NAMES)
        return form, number, size, source.randrange(-1, IN_FLIGHT)

    def _next(self) -> Genome:
        source = self._random
        elite = source.choice((self.by_turn, self.by_byte, self.by_message))
        if not elite or source.random() < 0.5:
            genes = tuple(self._gene() for _ in range(source.choice((1, 1, 1, 2, 3))))
            return genes, source.choice((1, 1, 1, 1, 2, 8))
        genes, times = source.choice(elite)[2]
        changed = list(genes)
        at = source.randrange(len(changed))
        form, number, size, of = changed[at]
        what = source.randrange(6)
        if what == 0:
            changed[at] = self._gene()
        elif what == 1:
            changed[at] = form, max(0, number + source.choice((-1, 1, 7, -50, 100))), size, of
        elif what == 2:
            changed[at] = form, number, max(0, size + source.choice((-1, 1, 9, -90, 500))), of
        elif what == 3 and len(changed) < 6:
            changed.insert(at, self._gene())
        elif what == 4 and len(changed) > 1:
            del changed[at]
        else:
            times = min(64, max(1, times + source.choice((-1, 1, times))))
        return tuple(changed), times

    def measure(self, genome: Genome) -> tuple[float, float, int]:
        """Seconds of the costliest turn and of all, and bytes."""
        stage = self._stage
        if not stage.alive:
            stage.close()
            stage = self._stage = Stage(self._fast)
        stage.fill()
        data = bytes_of(genome, stage.first)
        worst, total = stage.cost(data)
        self.broken += not stage.alive
        return worst, total, len(data)

    def one(self, genome: Genome) -> None:
        """Try C{genome}."""
        self.count += 1
        worst, total, size = self.measure(genome)
        if not size:
            return
        messages = len(genome[0]) * genome[1]
        self.messages += messages
        for kept, value in (
            (self.by_turn, worst),
            # Who is thrown out may not come again as often as it likes.
            (self.by_byte, total / size if self._stage.alive else 0.0),
            (self.by_message, total / messages),
        ):
            if len(kept) < KEPT or value > kept[0][0]:
                again = [self.measure(genome) for _ in range(4)]
                least = min((value, *(self._value(kept, each, messages) for each in again)))
                entry = (least, self.count, genome, size)
                if len(kept) < KEPT:
                    heapq.heappush(kept, entry)
                elif least > kept[0][0]:
                    heapq.heapreplace(kept, entry)

    def _value(self, kept: object, measured: tuple[float, float, int], messages: int) -> float:
        worst, total, size = measured
        if kept is self.by_turn:
            return worst
        return total / size if kept is self.by_byte else total / messages

    def told(self) -> str:
        """What was found."""
        lines = [
            f"{self.count} inputs of {self.messages} messages, "
            f"{self.broken} of the runs ended the connection"
        ]
        for name, kept, unit, times in (
            ("a turn", self.by_turn, "ms", 1e3),
            ("a message", self.by_message, "ms", 1e3),
            ("a byte", self.by_byte, "us", 1e6),
        ):
            for value, _, genome, size in sorted(kept, reverse=True)[:3]:
                lines.append(f"  {name}: {value * times:.3f} {unit}, {size} bytes: {genome}")
        return "\n".join(lines)


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--path", choices=("fast", "slow"), default="fast")
    options = parser.parse_args()
    for observer in list(globalLogPublisher._observers):  # type: ignore[attr-defined]
        globalLogPublisher.removeObserver(observer)
    search = Search(options.seed, options.path == "fast")
    with contextlib.suppress(KeyboardInterrupt):
        while search.messages < options.count:
            search.run(300)
            if search.count % 15_000 == 0:
                print(search.told(), flush=True)
    print(search.told(), flush=True)


if __name__ == "__main__":
    main()
