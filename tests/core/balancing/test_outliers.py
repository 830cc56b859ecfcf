"""Who is taken out, for how long, and who never is."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.member import PEERS, THERE, Member, MemberEvent, MemberState, Pool
from subproxy.core.balancing.outcomes import VOLUME
from subproxy.core.balancing.outliers import (
    INTERVAL,
    LONGEST,
    ROW,
    SUSPECT_SHARE,
    TIME,
    Decision,
    Eject,
    OutlierDetector,
    Reinstate,
    Reweigh,
)
from subproxy.core.routing.route import Route
from tests.rigs.examples import examples


class OutlierTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 100.0
        self.detector = OutlierDetector()
        self.pool = Pool(Route(b"a", b"/.*"), now=0.0)
        self.one, self.two, self.three = (self.join(f"vm{number}") for number in range(3))

    def join(self, identity: str, *pools: Pool) -> Member:
        member = Member(identity, b"app", b"i", now=0.0)
        for pool in pools or (self.pool,):
            pool.members.append(member)
            member.pools.append(pool)
        return member

    def act(self, decision: Decision | None) -> Decision | None:
        if isinstance(decision, Eject):
            decision.member.reweigh(1.0)
            decision.member.feed(MemberEvent.FAIL, self.now)
        elif isinstance(decision, Reinstate):
            decision.member.feed(MemberEvent.RECOVER, self.now)
        elif isinstance(decision, Reweigh):
            decision.member.reweigh(decision.share)
        return decision

    def err(self, member: Member, times: int = ROW) -> Decision | None:
        """What the last of so many failures brings."""
        found = None
        for _ in range(times):
            found = self.act(self.detector.failed(member, self.now))
        return found

    def stays(self, member: Member, times: int = 3 * ROW) -> None:
        """None of so many failures takes it out: not one on the way either."""
        for _ in range(times):
            self.assertNotIsInstance(self.act(self.detector.failed(member, self.now)), Eject)

    def succeed(self, member: Member, times: int = 1) -> None:
        for _ in range(times):
            if member.outcomes is not None:
                self.act(self.detector.succeeded(member))

    def wait(self, seconds: float) -> list[Decision]:
        self.now += seconds
        found = []
        for decision in self.detector.expire(self.now):
            self.act(decision)
            found.append(decision)
        return found

    def test_less_then_nothing(self) -> None:
        """More than half of the row: less. All of it: nothing, for a while."""
        self.assertIsNone(self.err(self.one, 2))
        self.assertEqual(self.err(self.one, 1), Reweigh(self.one, SUSPECT_SHARE))
        self.assertEqual(self.one.weight, SUSPECT_SHARE)
        self.assertIsNone(self.err(self.one, 1))
        self.assertEqual(self.err(self.one, 1), Eject(self.one, TIME, "in-a-row"))
        self.assertEqual((self.one.state, self.detector.out), (MemberState.FAILING, 1))
        self.assertEqual(self.wait(TIME - 0.1), [])
        self.assertEqual(self.wait(0.1), [Reinstate(self.one)])
        self.assertEqual((self.one.state, self.detector.out), (MemberState.READY, 0))
        self.assertEqual(self.one.since, self.now)

    def test_a_good_answer(self) -> None:
        """It ends the row, and gives the weight back."""
        self.err(self.one, ROW - 1)
        self.succeed(self.one)
        self.assertEqual(self.one.weight, 1.0)
        self.assertIsNone(self.detector.succeeded(self.one))
        self.stays(self.one, ROW - 1)

    def test_again_and_again(self) -> None:
        """Twice as long each time, up to a limit; quiet intervals take it back."""
        seconds = []
        for _ in range(6):
            found = self.err(self.one)
            assert isinstance(found, Eject)
            seconds.append(found.seconds)
            self.wait(found.seconds)
        self.assertEqual(seconds, [30.0, 60.0, 120.0, 240.0, LONGEST, LONGEST])
        for _ in range(6):
            self.assertIsNotNone(self.one.outcomes)
            self.wait(INTERVAL)
        self.wait(INTERVAL)
        self.assertIsNone(self.one.outcomes)
        found = self.err(self.one)
        assert isinstance(found, Eject)
        self.assertEqual(found.seconds, TIME)

    def test_a_share(self) -> None:
        """Of enough answers, more than the others': though some between are good."""
        for _ in range(VOLUME):
            self.err(self.two, 1)
            self.succeed(self.two, 9)
        found = None
        for _ in range(VOLUME):
            self.succeed(self.one)
            found = found or self.err(self.one, 1)
        self.assertEqual(found, Eject(self.one, TIME, "share"))

    def test_a_share_that_all_have(self) -> None:
        """Then it is what they depend on, or what they are asked."""
        for _ in range(2 * VOLUME):
            for member in self.pool.members:
                self.assertIsNone(self.err(member, 1))
                self.succeed(member)

    def test_a_row_that_all_have(self) -> None:
        for _ in range(3 * ROW):
            for member in self.pool.members:
                self.stays(member, 1)

    def test_half_of_an_even_row(self) -> None:
        """It gets less from the first failure beyond that."""
        self.detector.row = 4
        self.assertIsNone(self.err(self.one, 2))
        self.assertEqual(self.err(self.one, 1), Reweigh(self.one, SUSPECT_SHARE))
        self.assertEqual(self.err(self.one, 1), Eject(self.one, TIME, "in-a-row"))

    def test_a_row_that_others_have_in_part(self) -> None:
        """Half of it on the average speaks for it, less does not."""
        self.err(self.two, 3)
        self.err(self.three, 2)
        self.stays(self.one, ROW)
        self.succeed(self.three)
        self.assertEqual(self.err(self.one, 1), Eject(self.one, TIME, "in-a-row"))

    def test_who_has_left_speaks_for_nobody(self) -> None:
        """Only those that are there are asked how they fare."""
        self.join("vm3")
        for other in self.two, self.three:
            self.err(other, ROW - 1)
            other.feed(MemberEvent.DRAIN, self.now)
        self.assertEqual(self.err(self.one), Eject(self.one, TIME, "in-a-row"))

    def test_too_few_answers(self) -> None:
        """Of 19 a share says nothing, of 20 it does."""
        for good, out in ((9, False), (10, True)):
            self.setUp()
            for _ in range(3):
                self.err(self.one, 3)
                self.succeed(self.one)
            self.succeed(self.one, good - 3)
            found = self.err(self.one, 1)
            self.assertEqual(found, Eject(self.one, TIME, "share") if out else None)

    def test_a_share_that_is_just_beyond_the_others(self) -> None:
        """A quarter more than their mean is not too many; more than that is."""
        for _ in range(10):
            self.err(self.two, 1)
            self.succeed(self.two)
        for _ in range(9):
            self.err(self.one, 1)
            self.succeed(self.one)
        self.succeed(self.one)
        self.assertIsNone(self.err(self.one, 1))
        self.assertEqual(self.err(self.one, 1), Eject(self.one, TIME, "share"))

    def test_a_time_beyond_the_longest(self) -> None:
        """What an operator asks for is not cut off, and not doubled."""
        self.detector.time = 1000.0
        for _ in range(2):
            self.assertEqual(self.err(self.one), Eject(self.one, 1000.0, "in-a-row"))
            self.wait(1000.0)

    def test_half_of_a_pool(self) -> None:
        """No more is out at once, and one alone never."""
        self.assertIsInstance(self.err(self.one), Eject)
        self.stays(self.two)
        alone = self.join("vm9", Pool(Route(b"b", b"/.*"), now=0.0))
        self.stays(alone)
        both = self.join("vm8", self.pool, alone.pools[0])
        last = self.join("vm7", Pool(Route(b"c", b"/.*"), now=0.0), self.pool)
        self.succeed(self.two)
        self.succeed(alone)
        self.assertIsInstance(self.err(both), Eject)
        self.stays(last)

    def test_the_others_leave(self) -> None:
        """Who is out is back at once: when somebody asks, or at the next look."""
        self.err(self.one)
        self.err(self.two, 1)
        self.err(self.three, 1)
        self.assertEqual(self.detector.relieve(self.pool), [])
        self.two.feed(MemberEvent.LEAVE, self.now)
        self.three.feed(MemberEvent.EJECT, self.now)
        self.assertEqual(self.detector.relieve(self.pool), [Reinstate(self.one)])
        self.assertEqual(self.detector.out, 0)

    def test_the_others_leave_and_nobody_asks(self) -> None:
        self.err(self.one)
        self.two.feed(MemberEvent.DRAIN, self.now)
        self.three.feed(MemberEvent.DRAIN, self.now)
        self.assertEqual(self.wait(0.25), [Reinstate(self.one)])

    def test_who_is_decided_about_otherwise(self) -> None:
        """An operator brings it back; or it is silent, or gone: it is not counted as out."""
        for event, state in (
            (MemberEvent.UNDRAIN, MemberState.READY),
            (MemberEvent.EJECT, MemberState.EJECTED),
            (MemberEvent.DRAIN, MemberState.DRAINING),
            (MemberEvent.LEAVE, MemberState.GONE),
        ):
            self.setUp()
            self.assertIsInstance(self.err(self.one), Eject)
            self.one.feed(event, self.now)
            self.assertEqual((self.wait(1.0), self.detector.out), ([], 0))
            self.assertEqual(self.one.state, state)

    def test_who_is_never_judged(self) -> None:
        """Other processes, and everybody if that is switched off."""
        peer = self.join(f"{PEERS}1")
        self.assertIsNone(self.err(peer, 3 * ROW))
        self.assertIsNone(peer.outcomes)
        self.detector.row = 0
        self.assertIsNone(self.err(self.one, 3 * ROW))

    def test_who_is_gone_is_not_watched(self) -> None:
        self.one.feed(MemberEvent.LEAVE, self.now)
        self.assertIsNone(self.err(self.one, 3 * ROW))
        self.assertIsNone(self.one.outcomes)

    def test_another_process_is_no_other_guest(self) -> None:
        """It may have the same one, and as badly."""
        pool = Pool(Route(b"b", b"/.*"), now=0.0)
        alone = self.join("vm9", pool)
        for number in range(3):
            self.join(f"{PEERS}{number}", pool)
        self.stays(alone)

    def test_quiet(self) -> None:
        """Who got less is asked again, and forgotten about if nobody has; or it goes on there."""
        self.err(self.one, ROW - 1)
        self.assertEqual(self.wait(INTERVAL), [])
        self.assertEqual(self.wait(INTERVAL - 1.0), [])
        self.assertEqual(self.wait(1.0), [Reweigh(self.one, 1.0)])
        self.assertEqual(self.wait(INTERVAL), [])
        self.assertIsNone(self.one.outcomes)
        self.err(self.one, ROW - 1)
        self.wait(INTERVAL)
        self.wait(INTERVAL)
        self.assertIsInstance(self.err(self.one, 1), Eject)

    @settings(max_examples=examples(200), deadline=None)
    @given(
        st.integers(1, 5),
        st.lists(
            st.tuples(st.integers(0, 4), st.sampled_from(["fail", "ok", "leave", "wait", "drain"]))
        ),
    )
    def test_somebody_is_always_left(self, count: int, steps: list[tuple[int, str]]) -> None:
        """Whatever happens: who is not gone or drained can be asked, and weights come back."""
        self.setUp()
        self.pool.members.clear()
        members = [self.join(f"g{number}") for number in range(count)]
        for at, what in steps:
            member = members[at % count]
            if what == "fail":
                self.err(member, 3)
            elif what == "ok":
                self.succeed(member)
            elif what == "wait":
                self.wait(7.0)
            else:
                event = MemberEvent.LEAVE if what == "leave" else MemberEvent.DRAIN
                member.feed(event, self.now)
                if what == "leave" and member in self.pool.members:
                    self.pool.members.remove(member)
            for decision in self.detector.relieve(self.pool):
                self.act(decision)
            left = [each for each in self.pool.members if each.state != MemberState.DRAINING]
            self.assertEqual(bool(left), any(each.state in THERE for each in left))
        for _ in range(40):
            self.wait(INTERVAL + LONGEST)
        self.assertEqual(self.detector.out, 0)
        for member in members:
            self.assertIsNone(member.outcomes)
            self.assertNotEqual(member.state, MemberState.FAILING)
            if member.state != MemberState.GONE:
                self.assertEqual(member.weight, 1.0)
