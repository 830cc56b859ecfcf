"""Tokens of data connections: once, in time, by whom they were issued to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.subscription.bodies.tokens import SIZE, PendingClaim, Tokens


class TokensTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.tokens = Tokens(self.clock, 2.0)
        self.expired = 0

    def issue(self, identity: str = "vm", exchange: int = 1, lapses: bool = True) -> PendingClaim:
        def late() -> None:
            self.expired += 1

        return self.tokens.issue(identity, exchange, lambda connection: None, late, lapses)

    def test_once(self) -> None:
        """A token is good once; then it is known as used."""
        promise = self.issue()
        self.assertIs(self.tokens.claim("vm", 1, promise.token), promise)
        self.assertEqual(self.tokens.claim("vm", 1, promise.token), "used")
        self.clock.advance(10)
        self.assertEqual((self.expired, len(self.tokens), self.clock.calls), (0, 0, []))
        self.assertEqual(self.tokens.counts, {"issued": 1, "claimed": 1, "used": 1})

    def test_late(self) -> None:
        """After two seconds it is good no more, and whoever waited is told."""
        promise = self.issue()
        self.clock.advance(1.9)
        self.assertEqual(self.expired, 0)
        self.clock.advance(0.2)
        self.assertEqual(self.expired, 1)
        self.assertEqual(self.tokens.claim("vm", 1, promise.token), "late")

    def test_not_late_if_we_are(self) -> None:
        """What came while the process stood still is read before a token is given up."""
        promise = self.issue()
        claimed: list[object] = []
        self.clock.callLater(2.0, lambda: claimed.append(self.tokens.claim("vm", 1, promise.token)))
        self.clock.advance(7)
        self.assertEqual((claimed, self.expired), ([promise], 0))

    def test_foreign(self) -> None:
        """Another identity, or another exchange, can't claim it, nor spoil it."""
        promise = self.issue()
        self.assertEqual(self.tokens.claim("other", 1, promise.token), "foreign")
        self.assertEqual(self.tokens.claim("vm", 2, promise.token), "exchange")
        self.assertEqual(self.tokens.claim("vm", 1, promise.token[:-1]), "unknown")
        self.assertIs(self.tokens.claim("vm", 1, promise.token), promise)

    def test_after_another_process(self) -> None:
        """For a while an unknown token is no offence: the process before this one may know it."""
        tokens = Tokens[object](self.clock, 2.0, predecessor=60.0)
        self.clock.advance(59)
        self.assertEqual(tokens.claim("vm", 1, b"x" * SIZE), "elsewhere")
        self.clock.advance(1)
        self.assertEqual(tokens.claim("vm", 1, b"x" * SIZE), "unknown")

    def test_void(self) -> None:
        """A body that goes another way takes its token with it."""
        promise = self.issue()
        self.tokens.void(promise)
        self.tokens.void(promise)
        self.assertEqual(self.tokens.claim("vm", 1, promise.token), "void")
        self.clock.advance(2)
        self.assertEqual((self.expired, self.clock.calls), (0, []))

    def test_each_in_its_time(self) -> None:
        """One delayed call serves for all tokens that are out."""
        promises = []
        for _ in range(5):
            promises.append(self.issue())
            self.clock.advance(0.3)
        self.assertEqual(len(self.clock.calls), 1)
        self.tokens.void(promises[1])
        for seconds, expired in ((0.45, 0), (0.1, 1), (0.3, 1), (0.3, 2), (0.3, 3), (0.3, 4)):
            self.clock.advance(seconds)
            self.assertEqual(self.expired, expired)
        self.assertEqual((len(self.tokens), self.clock.calls), (0, []))

    def test_lapses_later(self) -> None:
        """One that went with a request, from when its answer has come; and no more once spent."""
        ahead = [self.issue(lapses=False) for _ in range(3)]
        self.clock.advance(60)
        self.assertEqual((self.clock.calls, self.tokens.lapsing), ([], {}))
        self.issue()
        self.clock.advance(1)
        self.tokens.lapse(ahead[1])
        self.tokens.void(ahead[2])
        self.tokens.lapse(ahead[2])
        self.assertEqual(len(self.tokens.lapsing), 2)
        for seconds, expired in ((0.9, 0), (0.2, 1), (0.8, 1), (0.2, 2)):
            self.clock.advance(seconds)
            self.assertEqual(self.expired, expired)
        self.assertEqual(self.tokens.claim("vm", 1, ahead[0].token), ahead[0])
        self.assertEqual((len(self.tokens), self.tokens.lapsing, self.clock.calls), (0, {}, []))

    def test_no_two_alike(self) -> None:
        """They are long, and differ."""
        tokens = {self.issue().token for _ in range(200)}
        self.assertEqual((len(tokens), {len(each) for each in tokens}), (200, {SIZE}))

    def test_memory_is_bounded(self) -> None:
        """Only the last that were spent are remembered."""
        first = self.issue()
        self.tokens.void(first)
        for _ in range(1000):
            self.tokens.void(self.issue())
        self.assertEqual(self.tokens.claim("vm", 1, first.token), "unknown")

    @given(st.lists(st.tuples(st.sampled_from("iclv"), st.integers(0, 9), st.booleans())))
    def test_any_order(self, steps: list[tuple[str, int, bool]]) -> None:
        """Whatever happens, a token is claimed at most once, and only while it is good."""
        self.setUp()
        issued: list[PendingClaim] = []
        spent: set[int] = set()
        for step, which, right in steps:
            if step == "i":
                issued.append(self.issue())
            elif step == "l":
                self.clock.advance(3)
                spent |= set(range(len(issued)))
            elif issued:
                number = which % len(issued)
                if step == "v":
                    self.tokens.void(issued[number])
                    spent.add(number)
                else:
                    identity = "vm" if right else "other"
                    got = self.tokens.claim(identity, 1, issued[number].token)
                    self.assertEqual(got is issued[number], right and number not in spent)
                    if right:
                        spent.add(number)
            self.assertEqual(len(self.tokens), len(issued) - len(spent))
