"""Tests of subproxy.core.sites.header_rules."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.sites.header_rules import HeaderRuleError, header_rules


class HeaderRulesTests(SynchronousTestCase):
    def test_removed_then_set_then_added(self) -> None:
        rules = header_rules(
            ["x-a", "X-Gone"],
            [("X-B", "set")],
            [("X-A", "1"), ("X-C", "2")],
            of_request=True,
        )
        before = [(b"Host", b"h"), (b"X-A", b"a"), (b"x-b", b"b"), (b"X-B", b"c"), (b"X-C", b"c")]
        kept = list(before)
        self.assertEqual(
            rules.apply(before),
            [(b"Host", b"h"), (b"X-C", b"c"), (b"X-B", b"set"), (b"X-A", b"1"), (b"X-C", b"2")],
        )
        self.assertEqual(before, kept)

    def test_another_spelling(self) -> None:
        """What CGI and WSGI cannot tell from a field that is removed or set is gone, too."""
        rules = header_rules(["X-Gone", "X_Old"], [("X-User", "a")], [], of_request=True)
        sent = [(b"x_user", b"b"), (b"X_gone", b"b"), (b"X-Old", b"b"), (b"X_Other", b"b")]
        self.assertEqual(rules.apply(sent), [(b"X_Other", b"b"), (b"X-User", b"a")])
        self.assertEqual(rules.trailers(sent), [(b"X_Other", b"b")])

    def test_added_alone(self) -> None:
        rules = header_rules([], [], [("X-A", "1")], of_request=False)
        self.assertEqual(rules.apply([(b"X-A", b"0")]), [(b"X-A", b"0"), (b"X-A", b"1")])

    def test_what_is_the_proxys(self) -> None:
        """Framing, the connection, forwarding, and what CGI cannot tell from those."""
        both = (
            *("Content-Length", "Transfer-Encoding", "connection", "Keep-Alive", "TE", "Upgrade"),
            *("Trailer", "X-Request-Id", "Proxy-Connection", "Transfer_Encoding"),
        )
        requests = (
            *("Host", "X-Forwarded-For", "X-Forwarded-Prefix", "x_forwarded_anything"),
            *("Forwarded", "Via", "Expect", "Max-Forwards"),
        )
        for name in both + requests:
            for remove, set_, add in (
                ([name], [], []),
                ([], [(name, "x")], []),
                ([], [], [(name, "x")]),
            ):
                self.assertRaises(HeaderRuleError, header_rules, remove, set_, add, of_request=True)
                if name in both:
                    self.assertRaises(
                        HeaderRuleError, header_rules, remove, set_, add, of_request=False
                    )
        header_rules(requests, [("Via", "1.1 x")], [], of_request=False)

    def test_what_is_no_field(self) -> None:
        for name in "", "a b", "a:", "ä", "a\r\nb":
            self.assertRaises(HeaderRuleError, header_rules, [name], [], [], of_request=False)
        for value in "a\r\nb", "a\0", " a", "a ", "\x7f", "x" * 4097:
            self.assertRaises(
                HeaderRuleError, header_rules, [], [("X", value)], [], of_request=False
            )
        header_rules([], [("X", "")], [("Y", "ä")], of_request=True)
        header_rules([], [("X", "x" * 4096)], [], of_request=False)
        self.assertEqual(header_rules([], [("X", "XaX")], [], of_request=True).set[0][1], b"XaX")

    def test_how_many(self) -> None:
        """64 in all, whatever is done to them."""
        names = [f"X-{number}" for number in range(65)]
        pairs = [(name, "x") for name in names]
        for remove, set_, add in (
            (names, [], []),
            ([], pairs, []),
            ([], [], pairs),
            (names[:20], pairs[20:40], pairs[40:]),
        ):
            self.assertRaises(HeaderRuleError, header_rules, remove, set_, add, of_request=True)
            header_rules(remove[1:], set_[1:], add if remove or set_ else add[1:], of_request=True)
