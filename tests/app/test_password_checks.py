"""Tests of subproxy.app.password_checks: what is checked, how often, and how many at a time."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.app import password_checks as pc
from subproxy.core.sites.access_question import AccessVerdict, LetIn
from subproxy.core.sites.basic_auth import CHALLENGE, PasswordQuestion, SiteUsers
from subproxy.errors import AccessUnknown

USERS = SiteUsers(((b"alice", b"A"), (b"bob", b"B")))
ALICE = LetIn([(b"X-Forwarded-User", b"alice")])


class PasswordChecksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.runs: list[tuple[bytes, bytes, Deferred[bool]]] = []
        self.checks = pc.PasswordChecks(self.clock, self.run_it)

    def run_it(self, password: bytes, hashed: bytes) -> Deferred[bool]:
        found: Deferred[bool] = Deferred()
        self.runs.append((password, hashed, found))
        return found

    def ask(
        self, password: bytes, name: bytes = b"alice", client: bytes = b"192.0.2.7"
    ) -> list[AccessVerdict]:
        told: list[AccessVerdict] = []
        question = PasswordQuestion(USERS, name, password, client)
        self.give_up = self.checks.ask(question, told.append)
        return told

    def test_good_and_bad(self) -> None:
        """Each is checked once for as long as it is remembered."""
        for good, verdict, period in ((True, ALICE, pc.GOOD_FOR), (False, CHALLENGE, pc.BAD_FOR)):
            word = b"right" if good else b"wrong"
            told = self.ask(word)
            self.assertEqual(told, [])
            password, hashed, found = self.runs.pop()
            self.assertEqual((password, hashed), (word, b"A"))
            found.callback(good)
            self.assertEqual(told, [verdict])
            self.clock.advance(period - 0.5)
            self.assertEqual(self.ask(word), [verdict])
            self.assertEqual(self.runs, [])
            self.clock.advance(1.0)
            self.assertEqual(self.ask(word), [])
            self.runs.pop()[2].callback(good)
        self.assertEqual(self.checks.under_way, 0)

    def test_who_is_not_known(self) -> None:
        """It takes as long, and whatever comes of it he is not let in."""
        told = self.ask(b"x", b"eve")
        [(_, hashed, found)] = self.runs
        self.assertEqual(hashed, b"A")
        found.callback(True)
        self.assertEqual(told, [CHALLENGE])

    def test_a_new_password(self) -> None:
        """What was remembered of the old hash means nothing."""
        self.ask(b"right")
        self.runs.pop()[2].callback(True)
        told: list[AccessVerdict] = []
        changed = SiteUsers(((b"alice", b"C"),))
        self.checks.ask(PasswordQuestion(changed, b"alice", b"right"), told.append)
        self.assertEqual((told, len(self.runs)), ([], 1))

    def test_the_same_at_once(self) -> None:
        """A page with forty pictures is one check; who has left hears nothing."""
        first, second = self.ask(b"right"), self.ask(b"right")
        self.give_up()
        self.give_up()
        third = self.ask(b"right")
        [(_, _, found)] = self.runs
        found.callback(True)
        self.assertEqual((first, second, third), ([ALICE], [], [ALICE]))

    def test_how_many(self) -> None:
        """Of a client, and of all."""
        for number in range(pc.MAX_OF_CLIENT):
            self.assertEqual(self.ask(b"%d" % number), [])
        [refused] = self.ask(b"more")
        assert isinstance(refused, AccessUnknown)
        self.assertEqual((refused.status, refused.retry_after), (503, 1))
        for number in range(pc.MAX_WAITING - pc.MAX_OF_CLIENT):
            self.assertEqual(self.ask(b"x%d" % number, client=b"10.0.0.%d" % number), [])
        self.assertEqual(self.checks.under_way, pc.MAX_WAITING)
        self.assertIsInstance(self.ask(b"more", client=b"10.0.1.1")[0], AccessUnknown)
        for _, _, found in self.runs:
            found.callback(False)
        self.assertEqual(self.checks.under_way, 0)
        self.assertEqual(self.ask(b"again"), [])

    def test_how_many_are_remembered(self) -> None:
        """Wrong ones never push out a right one."""
        self.ask(b"right")
        self.runs.pop()[2].callback(True)
        for number in range(pc.REMEMBERED + 5):
            self.ask(b"w%d" % number)
            self.runs.pop()[2].callback(False)
        self.clock.advance(1.0)
        self.assertEqual(self.ask(b"right"), [ALICE])
        self.assertEqual(self.ask(b"w0"), [])
        self.assertEqual(self.ask(b"w5"), [CHALLENGE])

    def test_one_that_fails(self) -> None:
        told = self.ask(b"x")
        self.runs.pop()[2].errback(ValueError("no"))
        self.assertIsInstance(told[0], AccessUnknown)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual((self.ask(b"x"), len(self.runs)), ([], 1))

    def test_the_same_hash_by_another_name(self) -> None:
        """Who is no user of a site is not let in by what was found out at another, or before."""
        self.ask(b"right")
        self.runs.pop()[2].callback(True)
        renamed = SiteUsers(((b"alicia", b"A"),))
        told: list[AccessVerdict] = []
        self.checks.ask(PasswordQuestion(renamed, b"alice", b"right"), told.append)
        self.runs.pop()[2].callback(True)
        self.assertEqual(told, [CHALLENGE])
        self.assertEqual(self.ask(b"right"), [ALICE])

    def test_one_at_a_time(self) -> None:
        """The others wait here; who leaves before his turn costs nothing, and gives way."""
        told = self.ask(b"1")
        for number in range(2, pc.MAX_OF_CLIENT + 1):
            left = self.ask(b"%d" % number)
            self.give_up()
        self.assertEqual((len(self.runs), self.checks.under_way), (1, 1))
        last = self.ask(b"5")
        self.assertEqual(len(self.runs), 1)
        self.runs[0][2].callback(False)
        self.assertEqual([password for password, _, _ in self.runs], [b"1", b"5"])
        self.runs[1][2].callback(True)
        self.assertEqual((told, left, last), ([CHALLENGE], [], [ALICE]))
        self.assertEqual(self.checks.under_way, 0)

    def test_one_that_is_told_fails(self) -> None:
        """All others are told, and the next is checked."""

        def fails(verdict: AccessVerdict) -> None:
            raise KeyError("no")

        self.checks.ask(PasswordQuestion(USERS, b"alice", b"right"), fails)
        second, third = self.ask(b"right"), self.ask(b"x")
        self.runs[0][2].callback(True)
        self.assertEqual((second, len(self.runs)), ([ALICE], 2))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.runs[1][2].callback(False)
        self.assertEqual(third, [CHALLENGE])

    def test_a_stop(self) -> None:
        """It waits for the one that is being checked, not for those that wait."""
        told, waits = self.ask(b"1"), self.ask(b"2")
        self.checks.stop()
        self.assertIsInstance(self.ask(b"3")[0], AccessUnknown)
        self.runs[0][2].callback(True)
        self.assertEqual((told, waits, len(self.runs)), ([ALICE], [], 1))
