"""Tests of subproxy.core.routing.explain."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.routing.explain import PASSED_THROUGH, Explanation
from subproxy.core.routing.registry import Registry
from subproxy.core.routing.route import Route, Rule
from subproxy.core.routing.router import Router
from tests.rigs.core_strategies import make_member


class ExplanationTests(SynchronousTestCase):
    """C{Router.explain}."""

    def setUp(self) -> None:
        self.registry = Registry()
        member = make_member()
        for host, path in [
            (b"[ab]", b"/x.*"),
            (b".*", b"/x.*"),
            (b"a", b"/.*"),
            (b"a", b"/x[y]?"),
            (b"a", b"/x"),
            (b"a", b"/z"),
            (b"a", b"/zz"),
        ]:
            self.registry.register(member, Route(host, path), 0.0)

    def explain(self, host: bytes, path: bytes) -> Explanation:
        return Router(self.registry).explain(host, path)

    def test_every_candidate_in_order_with_the_rule(self) -> None:
        explanation = self.explain(b"A:80", b"/%78?q")
        self.assertEqual((explanation.host, explanation.path), (b"a", b"/x"))
        self.assertEqual(
            [(str(each.pool.route), each.rule) for each in explanation.candidates],
            [
                ("a /x", Rule.LITERAL_PATH.sentence),
                ("a /x[y]?", Rule.LITERAL_PATH.sentence),
                ("a /.*", Rule.LONGER_PATH.sentence),
                ("[ab] /x.*", Rule.LITERAL_HOST.sentence),
                (".* /x.*", Rule.LONGER_HOST_PATTERN.sentence),
            ],
        )
        self.assertIs(explanation.winner, explanation.candidates[0].pool)
        self.assertEqual(explanation.reason, Rule.LITERAL_PATH.sentence)
        self.assertEqual([str(pool.route) for pool in explanation.same_host], ["a /zz", "a /z"])

    def test_the_only_one(self) -> None:
        explanation = self.explain(b"c", b"/x")
        self.assertEqual(len(explanation.candidates), 1)
        self.assertEqual(explanation.reason, "the only route that matches")
        self.assertEqual(explanation.candidates[0].rule, explanation.reason)

    def test_passed_through(self) -> None:
        """Its TLS is the guest's, so no other route of that name is ever asked."""
        self.registry.register(make_member(), Route(b"c", passthrough=True), 0.0)
        explanation = self.explain(b"c", b"/x")
        self.assertEqual(
            [(str(each.pool.route), each.rule) for each in explanation.candidates],
            [("c /.* (passthrough)", PASSED_THROUGH), (".* /x.*", PASSED_THROUGH)],
        )
        self.assertEqual(explanation.reason, PASSED_THROUGH)

    def test_no_path(self) -> None:
        explanation = self.explain(b"c", b"/y")
        self.assertIsNone(explanation.winner)
        self.assertEqual(explanation.candidates, ())
        self.assertEqual([str(pool.route) for pool in explanation.same_host], [".* /x.*"])
        self.assertIn("none of their paths", explanation.reason)

    def test_no_host(self) -> None:
        explanation = Router(Registry()).explain(b"c", b"/")
        self.assertIn("no route's host matches", explanation.reason)
        self.assertIsNone(explanation.winner)

    def test_a_faulty_path(self) -> None:
        explanation = self.explain(b"a", b"/%00")
        self.assertIn("NUL", explanation.reason)
        self.assertEqual((explanation.winner, explanation.candidates), (None, ()))

    def test_what_the_proxy_refuses_matches_nothing(self) -> None:
        """It is asked what a client would be asked."""
        for host, path, words in [
            (b"a b", b"/x", "Host"),
            ("bücher".encode(), b"/x", "for bücher write xn--bcher-kva"),
            (b"a:99999", b"/x", "port"),
            (b"user@a", b"/x", "Host"),
            (b"a" * 256, b"/x", "Host"),
            (b"a", b"/x\\y", "may not stand there"),
            (b"a", b"/%zz", "%"),
            (b"a", b"x", "slash"),
        ]:
            explanation = self.explain(host, path)
            self.assertIsNone(explanation.winner)
            self.assertIn("400", explanation.reason)
            self.assertIn(words, explanation.reason)
