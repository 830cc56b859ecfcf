"""
Search for what costs the reactor most: C{python -m tests.fuzz.search_pattern_cost WHAT}.

C{--count N} tells how many registrations, matches or requests, C{--seconds N} for how long, and
C{--seed N} which ones. One source gives several: as a host and as a path, and with many texts.

WHAT is C{register}: one registration, in milliseconds of CPU; C{match}: one match of an accepted
pattern, as a share of the cost that it was given beforehand, which must stay below 1; or
C{request}: the routing of one request by a table that is filled with a family of patterns until
it takes no more, in milliseconds. What is costly is kept and changed again, so that the search
climbs. An input that seems costlier than all before is measured anew, and the least time counts.
"""

from __future__ import annotations

import argparse
import gc
import random
import time
from collections.abc import Callable

from subproxy.core.balancing.member import Member, Pool
from subproxy.core.routing.pattern import Kind, Pattern, host_pattern, path_pattern
from subproxy.core.routing.registry import Registry
from subproxy.core.routing.route import Route, RouteRefused
from subproxy.core.routing.route_table import RouteTable

TOKENS = [
    *(b"a", b"b", b"x", b"1", b"/", b"-", b".", b"\\.", b"\\w", b"\\W", b"\\d", b"\\S", b"\\b"),
    *(b"\\B", b"\\C", b"\\pL", b"\\PN", b"\\p{Greek}", b"\\x{41}", b"\\x{10ffff}", b"\\Q", b"\\E"),
    *(b"[ab]", b"[^a]", b"[a-z]", b"[a-z0-9-]", b"[^/]", b"[[:alpha:]]", b"[[:^word:]]", b"[ -~]"),
    *(b"[", b"]", b"[^", b"(", b")", b"(?:", b"(?i)", b"(?i:", b"(?U)", b"(?-i)", b"(?P<n>", b"|"),
    *(b"*", b"+", b"?", b"*?", b".*", b".+", b".?", b"{2}", b"{9}", b"{0,9}", b"{1000}", b"{2,}"),
    *(
        b"{99}",
        b"(a|b)",
        b"(.*a)",
        b"(a?)",
        b"(/.*)?",
        b"^",
        b"$",
        b"\\z",
        b"\\A",
        b"\xc3\xbc",
        b"\xff",
    ),
]

LETTERS = [
    b"a",
    b"b",
    b"ab",
    b"abb",
    b"x",
    b"1",
    b"a1",
    b"/",
    b"a/",
    b".",
    b"-",
    b"abcdefgh",
    b"aB",
]

KEPT = 40
"""Inputs that are changed again."""

Input = list[bytes]


def mutated(rng: random.Random, parents: list[Input], tokens: list[bytes], longest: int) -> Input:
    """An input made of one or two others."""
    made = list(rng.choice(parents)) if parents else []
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(made) + 1)
        match rng.randrange(6):
            case 0 | 1:
                made[at:at] = [rng.choice(tokens)]
            case 2:
                del made[at : at + rng.choice((1, 1, 3, 9))]
            case 3 if made:
                made[at : at + 1] = [rng.choice(tokens)]
            case 4 if made:
                piece = made[at : at + rng.choice((1, 2, 5, 20))]
                made[at:at] = piece * rng.choice((1, 2, 10, 100))
            case 5 if parents:
                other = rng.choice(parents)
                made[at:] = other[rng.randrange(len(other) + 1) :]
    while sum(map(len, made)) > longest:
        made.pop(rng.randrange(len(made)))
    return made or [rng.choice(tokens)]


def timed(do: Callable[[], object]) -> float:
    """Milliseconds of CPU."""
    begun = time.thread_time_ns()
    do()
    return (time.thread_time_ns() - begun) / 1e6


class Register:
    """One registration, from its bytes to the table."""

    each = 2
    """Of a source: as a host, and as a path."""
    kept = 1000
    """Sources whose garbage may lie about; collecting it is not part of what is measured."""

    tokens = TOKENS
    longest = 1024
    unit = "ms"

    def cost(self, source: bytes) -> float:
        """Milliseconds for the costlier of the two: as a host, and as a path."""

        def do(host: bytes, path: bytes) -> None:
            try:
                route = Route(host, path, lazy=True)
                registry.check(member, route)
                route.compile()
                registry.register(member, route, 0.0)
            except RouteRefused:
                pass

        registry = Registry()
        member = Member("vm", b"app", b"instance", now=0.0)
        return max(timed(lambda: do(source, b"/.*")), timed(lambda: do(b"h", b"/" + source)))

    def describe(self, source: bytes) -> str:
        """What became of it."""
        told = []
        for parse, text in ((host_pattern, source), (path_pattern, b"/" + source)):
            try:
                told.append(f"accepted, {parse(text).program} instructions")
            except RouteRefused as refused:
                told.append(refused.reason[:80])
        return f"{source!r}: as a host {told[0]}; as a path {told[1]}"


class Match:
    """One match, by what was said beforehand that it can cost."""

    each = 2
    """Texts of a source."""
    kept = 1000

    tokens = TOKENS
    longest = 400
    unit = "of its cost"

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.texts: dict[bytes, bytes] = {}

    def pattern(self, source: bytes) -> Pattern | None:
        """The pattern, if it is one that is not just a literal."""
        try:
            pattern = path_pattern(b"/" + source)
        except RouteRefused:
            return None
        return pattern if pattern.kind is Kind.REGEX else None

    def share(self, pattern: Pattern, text: bytes) -> float:
        """The share that one match needed."""
        times = 20 if pattern.simple else 1

        def do() -> None:
            for _ in range(times):
                pattern.matches(text)

        return timed(do) * 1e6 / pattern.cost / times

    def cost(self, source: bytes) -> float:
        """The share of its cost that it needed, for the worst of a few texts."""
        pattern = self.pattern(source)
        if pattern is None:
            return 0.0
        worst = 0.0
        for _ in range(self.each):
            size = pattern.limit - len(pattern.literal) - len(pattern.tail)
            some = [self.rng.choice(LETTERS) for _ in range(self.rng.choice((1, 2, 5, 600)))]
            filling = (b"".join(some) * max(size, 1))[: max(size, 0)]
            text = pattern.literal + filling + pattern.tail
            share = self.share(pattern, text)
            for _ in range(3):
                if share > 0.7:
                    # RE2 keeps the states of an earlier match: measure a pattern that had none.
                    new = self.pattern(source)
                    assert new is not None
                    share = min(share, self.share(new, text))
            if share > worst:
                worst = share
                self.texts[source] = text
            if len(self.texts) > 1000:
                self.texts = {source: text}
        return worst

    def describe(self, source: bytes) -> str:
        """The pattern, and the text."""
        pattern = self.pattern(source)
        assert pattern is not None
        text = self.texts.get(source, b"")
        best = min(timed(lambda: pattern.matches(text)) for _ in range(9))
        return (
            f"{source!r}, simple {pattern.simple}, {pattern.program} instructions, "
            f"on {text[:60]!r}...:"
            f" {best * 1e3:.1f} us of {pattern.cost / 1e3:.1f}"
        )


class Request:
    """One request, with as many routes of a family as the table takes."""

    texts = len(LETTERS) + 50
    """For one table: each of the letters alone, and mixtures."""

    each = 2 * texts
    kept = 10

    tokens = TOKENS
    longest = 300
    unit = "ms"

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._costliest: dict[bytes, bytes] = {}

    def table(self, source: bytes, *, hosts: bool) -> tuple[RouteTable, int]:
        """A table that is full of it, with a number at its end or in its middle."""
        table = RouteTable()
        for number in range(1024):
            each = source + b"%d" % number if number % 2 else source + b"[%d]?a" % number
            try:
                route = Route(each, b"/.*") if hosts else Route(b"h", b"/" + each)
            except RouteRefused:
                return table, number
            pool = Pool(route, now=0.0)
            if route.host in table._hosts and route.host.kind is not Kind.LITERAL:
                continue
            table.add(pool)
            if table.excess(pool) is not None:
                table.discard(pool)
                return table, number
        return table, 1024

    def text(self, number: int, source: bytes, longest: int) -> bytes:
        """What is asked for: letters again and again, with the source's own bytes among them."""
        if number < len(LETTERS):
            return (LETTERS[number] * longest)[:longest]
        some = [self._rng.choice(LETTERS) for _ in range(self._rng.choice((2, 5, 40)))]
        some.insert(self._rng.randrange(len(some)), source[: self._rng.randrange(len(source) + 1)])
        return (b"".join(some) * longest)[:longest]

    def cost(self, source: bytes) -> float:
        """Milliseconds for the costliest of its texts."""
        worst = 0.0
        for hosts in (False, True):
            table, count = self.table(source, hosts=hosts)
            if count < 2:
                continue
            for number in range(self.texts):
                text = self.text(number, source, 255 if hosts else 1023)
                asked = (text, b"/x") if hosts else (b"h", b"/" + text)

                def do(asked: tuple[bytes, bytes] = asked, table: RouteTable = table) -> None:
                    table._matched = {}
                    table.find(*asked)

                took = timed(do)
                if took > worst:
                    took = min(took, timed(do))
                if took > worst:
                    worst = took
                    if len(self._costliest) > 1000:
                        self._costliest = {}
                    self._costliest[source] = b" ".join(asked)
        return worst

    def describe(self, source: bytes) -> str:
        """How many fitted, and what was asked."""
        fitted = ", ".join(
            f"{self.table(source, hosts=hosts)[1]} {name}"
            for name, hosts in (("paths", False), ("hosts", True))
        )
        return f"{source!r}; {fitted}; for {self._costliest.get(source, b'')[:60]!r}..."


def search(
    kind: Register | Match | Request, count: int, seed: int, seconds: float = 3600.0
) -> tuple[float, bytes, int]:
    """
    Try C{count} registrations, matches or requests, or as many as take C{seconds}.

    @return: the cost of the costliest, its source, and how many were tried.
    """
    end = time.monotonic() + seconds
    rng = random.Random(seed)
    kept: list[tuple[float, Input]] = []
    worst = 0.0, b""
    gc.collect()
    gc.disable()
    number = tried = 0
    while tried < count and time.monotonic() < end:
        number += 1
        tried += kind.each
        parents = [each for _, each in kept]
        fresh = not kept or rng.randrange(20) == 0
        made = mutated(rng, [] if fresh else parents, kind.tokens, kind.longest)
        source = b"".join(made)
        cost = kind.cost(source)
        if len(kept) == KEPT and cost <= kept[0][0]:
            continue
        cost = min(cost, kind.cost(source), kind.cost(source))
        if len(kept) == KEPT:
            if cost <= kept[0][0]:
                continue
            kept.pop(0)
        kept.append((cost, made))
        kept.sort(key=lambda each: each[0])
        if cost > worst[0]:
            worst = cost, source
            if count > 1000:
                print(f"{tried}: {cost:.3f} {kind.unit}: {kind.describe(source)}", flush=True)
        if number % kind.kept == 0:
            gc.collect()
    gc.enable()
    return *worst, tried


def main() -> None:
    """Search."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[1])
    parser.add_argument("what", choices=["register", "match", "request"])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    kind: Register | Match | Request
    match options.what:
        case "register":
            kind = Register()
        case "match":
            kind = Match(options.seed)
        case _:
            kind = Request(options.seed)
    cost, source, tried = search(kind, options.count, options.seed, options.seconds)
    print(f"{tried} tried; the costliest: {cost:.3f} {kind.unit}")
    print(kind.describe(source))


if __name__ == "__main__":
    main()
