"""What counts as a failure of a guest, and what becomes of who fails, over the core in memory."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.member import MemberState
from subproxy.core.balancing.outliers import ROW, SUSPECT_SHARE, TIME, Eject, Reinstate, Reweigh
from subproxy.core.failing_members import is_failure
from subproxy.errors import ClientGone, GuestMisbehaved, GuestRefused, GuestSlow
from subproxy.wire import messages as m
from tests.rigs.world import World


class FailingMemberTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.guests = {each: self.world.serving(each) for each in ("1", "2")}
        self.told: list[Any] = []
        self.world.dispatcher.failing.told = self.told.append
        self.members = {
            each.identity.removeprefix("vm:"): each for each in self.world.registry.members()
        }

    def ask(self, status: int, *bad: str) -> str:
        """Who answers a request: C{bad} with C{status}. It takes a quarter of a second."""
        self.world.ask()
        found = ""
        for name, guest in self.guests.items():
            guest.pump()
            for asked in guest.take(m.Request):
                found = name
                answer = status if name in bad else 200
                guest.say(m.Response(asked.exchange, answer, [], {}, b""))
        self.world.advance(0.25)
        return found

    def fail_until_out(self) -> int:
        """How many requests the first guest has failed when it was taken out."""
        failed = 0
        for _ in range(400):
            failed += self.ask(500, "1") == "1"
            if self.members["1"].state == MemberState.FAILING:
                return failed
        raise AssertionError("it was not taken out")

    def test_statuses(self) -> None:
        """An application that can't do what nobody can is not broken."""
        self.assertEqual([each for each in range(600) if is_failure(each)][:2], [500, 502])
        self.assertFalse(is_failure(501) or is_failure(505) or is_failure(499))

    def test_who_fails_gets_nothing(self) -> None:
        """Then all go to the other; later it is asked again."""
        self.assertEqual(self.fail_until_out(), ROW)
        self.assertEqual(self.told[-1], Eject(self.members["1"], TIME, "in-a-row"))
        self.assertEqual(self.world.dispatcher.failing.ejections, {"in-a-row": 1, "share": 0})
        self.assertEqual(self.members["1"].weight, 1.0)
        self.assertEqual({self.ask(200) for _ in range(50)}, {"2"})
        found = [self.ask(200) for _ in range(int(4 * TIME))]
        self.assertIn(Reinstate(self.members["1"]), self.told)
        self.assertEqual(set(found[-50:]), {"1", "2"})

    def test_who_is_suspected_gets_less(self) -> None:
        """Until it answers, or is taken out: then it comes back with all of its weight."""
        member, failing = self.members["1"], self.world.dispatcher.failing
        for _ in range(2):
            for _ in range(ROW // 2 + 1):
                failing.answered(member, 500)
            self.assertEqual(member.weight, SUSPECT_SHARE)
            self.assertEqual(self.told[-1], Reweigh(member, SUSPECT_SHARE))
            failing.answered(member, 200)
            self.assertEqual(member.weight, 1.0)
        for _ in range(ROW):
            failing.answered(member, 500)
        self.assertEqual((member.state, member.weight), (MemberState.FAILING, 1.0))

    def test_each_time_is_counted(self) -> None:
        for times in 1, 2:
            self.fail_until_out()
            self.assertEqual(self.world.dispatcher.failing.ejections["in-a-row"], times)
            self.world.advance(2 * TIME)

    def test_who_comes_back_gets_what_waits(self) -> None:
        self.world.dispatcher.failing.detector.time = 5.0
        self.fail_until_out()
        self.members["2"].concurrency = 1
        asked = [self.world.ask()[0] for _ in range(2)]
        self.assertEqual(self.world.admission.waiting, 1)
        self.world.advance(5.0)
        self.assertEqual(self.world.admission.waiting, 0)
        self.assertEqual([each.member for each in asked], [self.members["2"], self.members["1"]])

    def test_the_last_one_is_asked(self) -> None:
        """At once, when the other has left, though it fails."""
        self.fail_until_out()
        self.guests.pop("2").lose()
        self.assertEqual(self.ask(500, "1"), "1")

    def test_errors(self) -> None:
        """Those of the guest count, a client's don't, nor does a refusal."""
        failing = self.world.dispatcher.failing
        member = self.members["1"]
        for error in (ClientGone(), GuestRefused()):
            failing.failed(member, error)
        self.assertIsNone(member.outcomes)
        for error in (GuestSlow(), GuestMisbehaved()):
            failing.failed(member, error)
        assert member.outcomes is not None
        self.assertEqual(member.outcomes.row, 2)

    def test_time_outs(self) -> None:
        """Whoever gives an exchange up because its guest is slow."""
        while self.members["1"].state == MemberState.READY:
            exchange, _ = self.world.ask()
            slow = exchange.member is self.members["1"]
            for guest in self.guests.values():
                guest.pump()
            exchange.cancel(GuestSlow() if slow else ClientGone())
            self.world.advance(0.25)
        self.assertEqual(self.members["1"].state, MemberState.FAILING)
        self.assertIsNone(self.members["2"].outcomes)
