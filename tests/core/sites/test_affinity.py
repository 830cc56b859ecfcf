"""Tests of subproxy.core.sites.affinity."""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.member import Member, MemberEvent, Pool
from subproxy.core.http.request import RequestHead
from subproxy.core.routing.route import Route
from subproxy.core.sites.affinity import CookieAffinity, HeaderAffinity, _mixed, member_mark


def pool(count: int, path: bytes = b"/.*") -> Pool:
    found = Pool(Route(rb"a\.example", path), now=0.0)
    found.members = [Member(f"cid:{number}", b"app", b"i", now=0.0) for number in range(count)]
    return found


def head(*fields: tuple[bytes, bytes], scheme: bytes = b"http") -> RequestHead:
    return RequestHead(b"GET", b"/", b"a.example", b"/", list(fields), scheme=scheme)


class MarkTests(SynchronousTestCase):
    def test_what_stands_for_a_member(self) -> None:
        """Who it is, not which start of its application; and nothing that tells of the machine."""
        one = Member("cid:1", b"app", b"i", now=0.0)
        self.assertEqual(member_mark(one), member_mark(Member("cid:1", b"app", b"j", now=1.0)))
        for other in (
            Member("cid:2", b"app", b"i", now=0.0),
            Member("cid:1", b"other", b"i", now=0.0),
            Member("cid:1", b"app", b"i", now=0.0, worker=1),
        ):
            self.assertNotEqual(member_mark(one), member_mark(other))
        self.assertRegex(member_mark(one), rb"^[0-9a-f]{16}$")


class CookieTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pool = pool(5)
        self.affinity = CookieAffinity(b"sid")

    def cookie(self, member: Member, request: RequestHead | None = None) -> bytes:
        field = self.affinity.answered(request or head(), self.pool, member)
        assert field is not None
        self.assertEqual(field[0], b"Set-Cookie")
        return field[1]

    def test_there_and_back(self) -> None:
        for member in self.pool.members:
            said = self.cookie(member).partition(b";")[0]
            for value in said, b"a=b; " + said + b" ; c=d", b"x;;" + said:
                asked = head((b"cookie", b"other=1"), (b"Cookie", value))
                self.assertIs(self.affinity.member(asked, self.pool), member)
                self.assertIsNone(self.affinity.answered(asked, self.pool, member))

    def test_attributes(self) -> None:
        member = self.pool.members[0]
        self.assertTrue(self.cookie(member).endswith(b"; Path=/; HttpOnly; SameSite=Lax"))
        secure = self.cookie(member, head(scheme=b"https"))
        self.assertTrue(secure.endswith(b"; SameSite=Lax; Secure"))
        self.affinity = CookieAffinity(b"sid", "none")
        self.assertTrue(self.cookie(member).endswith(b"; SameSite=None; Secure"))

    def test_who_says_nothing_that_is_known(self) -> None:
        name = self.cookie(self.pool.members[0]).partition(b"=")[0]
        for value in b"", b"sid=x", name, name + b"=", name + b"=nonsense", name + b"x=1":
            self.assertIsNone(self.affinity.member(head((b"Cookie", value)), self.pool))

    def test_another_field(self) -> None:
        """Whose name is as long as that of C{Cookie}."""
        said = self.cookie(self.pool.members[0]).partition(b";")[0]
        self.assertIsNone(self.affinity.member(head((b"Origin", said)), self.pool))

    def test_one_that_is_not_ready(self) -> None:
        """The next one is chosen anew, and said."""
        member, other, *_ = self.pool.members
        asked = head((b"Cookie", self.cookie(member).partition(b";")[0]))
        member.feed(MemberEvent.EJECT, 1.0)
        self.assertIsNone(self.affinity.member(asked, self.pool))
        self.assertIsNotNone(self.affinity.answered(asked, self.pool, other))
        member.feed(MemberEvent.REVIVE, 2.0)
        self.assertIs(self.affinity.member(asked, self.pool), member)

    def test_routes_do_not_disturb_each_other(self) -> None:
        """Two routes on one host have two cookies, both of which a client sends."""
        member = self.pool.members[0]
        other_pool = pool(5, b"/api/.*")
        other = other_pool.members[3]
        said = self.affinity.answered(head(), other_pool, other)
        assert said is not None
        both = self.cookie(member).partition(b";")[0] + b"; " + said[1].partition(b";")[0]
        asked = head((b"Cookie", both))
        self.assertIs(self.affinity.member(asked, self.pool), member)
        self.assertIs(self.affinity.member(asked, other_pool), other)


class MixedTests(SynchronousTestCase):
    def test_the_reference(self) -> None:
        """What splitmix64 gives first for the seed 0: other hosts choose by the same numbers."""
        step = 0x9E3779B97F4A7C15
        self.assertEqual(
            [_mixed(step * number & (1 << 64) - 1) for number in (1, 2, 3)],
            [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F],
        )


class HeaderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pool = pool(5)
        self.affinity = HeaderAffinity(b"x-user")

    def of(self, number: int) -> Member | None:
        return self.affinity.member(head((b"X-User", b"user%d" % number)), self.pool)

    def test_a_value_has_one(self) -> None:
        self.assertIsNone(self.affinity.member(head(), self.pool))
        self.assertIsNone(self.affinity.member(head((b"X-User", b"")), self.pool))
        for number in range(50):
            self.assertIs(self.of(number), self.of(number))
        self.assertIsNone(self.affinity.answered(head(), self.pool, self.pool.members[0]))

    def test_an_even_share(self) -> None:
        count = Counter(self.of(number) for number in range(5000))
        self.assertEqual(len(count), 5)
        self.assertTrue(all(850 < each < 1150 for each in count.values()), count)

    def test_by_weight(self) -> None:
        self.pool.members[0].weight = 6.0
        count = Counter(self.of(number) for number in range(5000))
        self.assertTrue(2800 < count[self.pool.members[0]] < 3200, count)

    def test_who_leaves_moves_its_own_alone(self) -> None:
        before = [self.of(number) for number in range(500)]
        gone = self.pool.members[2]
        gone.feed(MemberEvent.DRAIN, 1.0)
        after = [self.of(number) for number in range(500)]
        for was, then in zip(before, after, strict=True):
            self.assertIsNot(then, gone)
            if was is not gone:
                self.assertIs(then, was)

    def test_nobody(self) -> None:
        self.pool.members.clear()
        self.assertIsNone(self.of(1))
