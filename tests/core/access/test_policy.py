"""Tests of subproxy.core.access.policy."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.claims import Claim, conflict
from subproxy.core.access.policy import (
    Glob,
    GlobError,
    Guest,
    Policy,
    PolicyError,
    Quotas,
    parse_policy,
)
from subproxy.core.routing.registry import Registry
from subproxy.core.routing.route import Route
from subproxy.core.routing.router import Router
from tests.rigs.core_strategies import make_member, relaxed
from tests.rigs.examples import examples
from tests.rigs.paths import ROOT

EXAMPLE = ROOT / "examples" / "policy.toml"


class ParseTests(SynchronousTestCase):
    """C{parse_policy}."""

    def problems(self, text: str) -> list[tuple[int, str]]:
        with self.assertRaises(PolicyError) as caught:
            parse_policy(text)
        self.assertTrue(
            str(caught.exception).startswith(f"line {caught.exception.problems[0][0]}: ")
        )
        return caught.exception.problems

    def test_upgrades(self) -> None:
        """Of the entry, else of the default, else websocket; names have no case."""
        text = """
        [default]
        upgrades = ["WebSocket", "Echo/1"]
        [[guest]]
        identity = "a"
        hosts = "a"
        [[guest]]
        identity = "b"
        hosts = "b"
        upgrades = []
        """
        policy = parse_policy(text)
        self.assertEqual(policy.upgrades("a"), {b"websocket", b"echo/1"})
        self.assertEqual(policy.upgrades("nobody"), {b"websocket", b"echo/1"})
        self.assertEqual(policy.upgrades("b"), set())
        self.assertEqual(parse_policy("").upgrades("a"), {b"websocket"})
        # Whether any may: of those that may claim anything.
        self.assertTrue(policy.changes_to(b"echo/1"))
        self.assertFalse(policy.changes_to(b"x"))
        self.assertTrue(Policy().changes_to(b"websocket"))
        none = text.replace("[default]", "[default]\n        tunnels = 1", 1)
        none = none.replace('upgrades = ["WebSocket", "Echo/1"]', "upgrades = []")
        self.assertFalse(parse_policy(none).changes_to(b"websocket"))

    def test_entries_for_nobody(self) -> None:
        """Two of them have no identity; they do not have the same one."""
        found = self.problems('[[guest]]\nhosts = "a"\n[[guest]]\nhosts = "b"')
        self.assertEqual(
            found, [(1, "the guest has no identity"), (3, "the guest has no identity")]
        )

    def test_passthrough(self) -> None:
        """Not unless it is said, for all or for one; and only yes or no."""
        guest = '[[guest]]\nidentity = "a"\nhosts = "a.example"\n'
        for text, passes in (
            (guest, False),
            (guest + "passthrough = true", True),
            ("[default]\npassthrough = true\n" + guest, True),
            ("[default]\npassthrough = true\n" + guest + "passthrough = false", False),
        ):
            self.assertIs(parse_policy(text).passes_through("a"), passes, text)
        for value in ("1", '"yes"', "[true]"):
            [(line, text)] = self.problems(f"[default]\npassthrough = {value}")
            self.assertEqual((line, text), (2, "passthrough must be true or false"))

    def test_bad_upgrades(self) -> None:
        for value in ('"websocket"', "[1]", '[""]', '["a b"]', f'["{"x" * 33}"]', f"{['x'] * 9}"):
            [(line, text)] = self.problems(f"[default]\nupgrades = {value}")
            self.assertEqual(line, 2)
            self.assertIn("upgrades must be a list of at most 8 protocols", text)
        [(line, _)] = self.problems('[[guest]]\nidentity = "a"\nhosts = "a"\nupgrades = 1')
        self.assertEqual(line, 4)

    def test_how_many_upgrades(self) -> None:
        """Eight of 32 bytes each are not too many."""
        names = [f"{number}{'x' * 31}" for number in range(8)]
        policy = parse_policy(f"[default]\nupgrades = {names}")
        self.assertEqual(policy.upgrades("a"), {name.encode() for name in names})

    def test_the_example(self) -> None:
        policy = parse_policy(EXAMPLE.read_text())
        self.assertEqual(policy.default, Quotas(64, 16, 256, 16 << 20, 20))
        self.assertEqual(policy.quotas("cid:10"), policy.default)
        self.assertEqual(policy.quotas("cid:11").exchanges, 1000)
        self.assertEqual(
            policy.quotas("path:/run/vms/test-7.sock"), Quotas(4, 16, 256, 1 << 20, 20)
        )
        for identity, host, path in [
            ("cid:10", rb"blog\.example", rb"/.*"),
            ("cid:10", rb".*\.blog\.example", rb"/.*"),
            ("cid:11", rb"shop\.example", rb"/.*"),
            ("path:/run/vms/shop.sock", rb"shop\.example", rb"/cart/[0-9]+"),
            ("path:/run/vms/shop-api.sock", rb"shop\.example", rb"/api/.*"),
            ("path:/run/vms/test-a.sock", rb"test\.example", rb"/"),
        ]:
            self.assertIsNone(policy.allows(identity, Route(host, path)), (identity, host))
        for identity, host, path, words in [
            ("cid:10", rb"shop\.example", rb"/.*", "belongs to another"),
            ("cid:10", rb"other\.example", rb"/.*", "may claim blog.example/, *.blog.example/"),
            ("cid:10", rb"blog.example", rb"/.*", "must be literal"),
            ("cid:11", rb"shop\.example", rb"/api/x", "shop.example/api belongs to another"),
            ("path:/run/vms/shop-api.sock", rb"shop\.example", rb"/.*", "belongs to another"),
            ("path:/run/vms/shop-api.sock", rb"shop\.example", rb"/api", None),
            ("cid:12", rb"blog\.example", rb"/.*", "no claims for this virtual machine"),
        ]:
            refusal = policy.allows(identity, Route(host, path))
            if words is None:
                self.assertIsNone(refusal)
            else:
                self.assertIn(words, refusal or "", (identity, host, path))

    def test_empty(self) -> None:
        policy = parse_policy("")
        self.assertEqual((policy.guests, policy.default), ((), Quotas()))
        self.assertIsNotNone(policy.allows("cid:1", Route(b"a")))

    def test_usual_quotas(self) -> None:
        self.assertEqual(Quotas(), Quotas(1024, 256, 1024, 16 * 1024 * 1024, 100, 1024))

    def test_sizes(self) -> None:
        for text, size in [
            ('"1 KiB"', 1024),
            ('"2MiB"', 2 << 20),
            ('"1 GiB"', 1 << 30),
            ('"77"', 77),
            ('"9 B"', 9),
            ("5", 5),
        ]:
            self.assertEqual(parse_policy(f"[default]\nbuffer = {text}").default.buffer, size)
        for text in (
            '"1 MB"',
            '"MiB"',
            '"-1"',
            '"1.5 MiB"',
            "0",
            "true",
            "1.0",
            '"0"',
            '"²"',
            '"1 iB"',
        ):
            self.assertEqual(
                self.problems(f"[default]\nbuffer = {text}"),
                [(2, 'buffer must be a size such as "16 MiB"')],
                text,
            )

    def test_numbers(self) -> None:
        self.assertEqual(parse_policy("[default]\nroutes = 1").default.routes, 1)
        for text in ("0", "-1", "true", "1.5", '"1"'):
            self.assertEqual(
                self.problems(f"[default]\n\nroutes = {text}"),
                [(3, "routes must be a number from 1")],
            )

    def test_toml_errors_have_a_line(self) -> None:
        ((line, text),) = self.problems("[default]\nroutes = \n")
        self.assertEqual(line, 2)
        self.assertIn("Invalid value", text)
        ((line, _),) = self.problems('a = "')
        self.assertEqual(line, 1)

    def test_what_the_parser_cannot_hold_is_a_problem(self) -> None:
        """Numbers of thousands of digits, and arrays in thousands of arrays."""
        for text in ("a = " + "9" * 5000, "a = " + "[" * 5000 + "]" * 5000):
            self.assertEqual(len(self.assertRaises(PolicyError, parse_policy, text).problems), 1)

    def test_unknown_keys(self) -> None:
        self.assertEqual(
            self.problems(
                '[defaults]\nroutes = 1\n\n[[guest]]\nidentity = "a"\nhosts = "a"\n'
                "hots = 1\nxyz = 1\n[default]\nroute = 1"
            ),
            [
                (1, "unknown key 'defaults'; did you mean 'default'?"),
                (7, "unknown key 'hots'; did you mean 'hosts'?"),
                (8, "unknown key 'xyz'"),
                (10, "unknown key 'route'; did you mean 'routes'?"),
            ],
        )

    def test_wrong_shapes(self) -> None:
        for text, line, words in [
            ("default = 1", 1, "[default]"),
            ("\nguest = 1", 2, "[[guest]]"),
            ("guest = [1]", 1, "[[guest]]"),
            ("[guest]", 1, "[[guest]]"),
            ('[[guest]]\nhosts = "a"', 1, "no identity"),
            ('[[guest]]\nidentity = "a"', 1, "no hosts"),
            ('[[guest]]\nidentity = "a"\nhosts = []', 3, "hosts must be"),
            ('[[guest]]\nidentity = "a"\nhosts = [1]', 3, "hosts must be"),
            ('[[guest]]\nidentity = ""\nhosts = "a"', 2, "identity must be"),
            ('[[guest]]\nidentity = [""]\nhosts = "a"', 2, "identity must be"),
            ('[[guest]]\nidentity = "a"\nhosts = "a"\npaths = 1', 4, "paths must be"),
            ('[[guest]]\nidentity = "a"\nhosts = "a:1"', 3, "port"),
            ('[[guest]]\nidentity = "a"\nhosts = "a"\npaths = ["/", "x"]', 4, "begin with"),
            (f'[[guest]]\nidentity = "{"a" * 2000}*"\nhosts = "a"', 2, "bytes"),
        ]:
            problems = self.problems(text)
            self.assertEqual([each[0] for each in problems], [line], problems)
            self.assertIn(words, problems[0][1])

    def test_all_problems_are_told_in_order(self) -> None:
        problems = self.problems('[[guest]]\nidentity = "a"\nhosts = "a:1"\n[default]\nroutes = 0')
        self.assertEqual([line for line, _ in problems], [3, 5])

    def test_an_identity_has_one_entry(self) -> None:
        problems = self.problems(
            '[[guest]]\nidentity = "a"\nhosts = "a"\n[[guest]]\nhosts = "b"\nidentity = ["b", "a"]'
        )
        self.assertEqual(problems, [(6, "'a' has an entry at line 2 already")])
        parse_policy('[[guest]]\nidentity = ["a", "a"]\nhosts = "a"')

    def test_conflicting_claims(self) -> None:
        problems = self.problems(
            '[[guest]]\nidentity = "a"\nhosts = "*.x"\n[[guest]]\nidentity = "b"\nhosts = "*.y.x"'
        )
        self.assertEqual([line for line, _ in problems], [6])
        self.assertIn("*.y.x/ overlaps another guest's wildcard", problems[0][1])
        self.assertIn("line 3: *.x/", problems[0][1])
        parse_policy('[[guest]]\nidentity = "a"\nhosts = ["*.x", "*.y.x", "*.x"]')

    @given(st.text(max_size=200) | st.text(alphabet='[]guest="*./\n#dfalthos1 ', max_size=80))
    @relaxed
    def test_any_text_is_a_policy_or_a_problem_with_a_line(self, text: str) -> None:
        try:
            parse_policy(text)
        except PolicyError as error:
            self.assertTrue(error.problems)
            for line, problem in error.problems:
                self.assertTrue(1 <= line <= text.count("\n") + 1)
                self.assertTrue(problem)


class PolicyTests(SynchronousTestCase):
    """C{Policy}."""

    def test_without_guests_everybody_may_claim_everything(self) -> None:
        policy = Policy()
        self.assertIsNone(policy.allows("cid:1", Route(b".*")))
        self.assertIsNone(policy.guest("cid:1"))
        self.assertIsNone(policy.owner(b"a", b"/"))
        self.assertEqual(policy.quotas("cid:1"), Quotas())

    def test_exact_names_come_before_patterns_and_patterns_in_order(self) -> None:
        policy = parse_policy(
            '[[guest]]\nidentity = "cid:*"\nhosts = "a"\n'
            '[[guest]]\nidentity = ["*:1*", "path:*"]\nhosts = "b"\n'
            '[[guest]]\nidentity = "cid:1"\nhosts = "c"\n'
        )
        assert policy.guests is not None
        first, second, third = policy.guests
        self.assertIs(policy.guest("cid:1"), third)
        self.assertIs(policy.guest("cid:10"), first)
        self.assertIs(policy.guest("vm:10"), second)
        self.assertIs(policy.guest("path:/\udcff.sock"), second)
        self.assertIsNone(policy.guest("vm:2"))
        self.assertIsNone(policy.guest("xcid:2"))
        self.assertEqual(policy.quotas("vm:2"), policy.default)

    def test_the_owner_of_a_url(self) -> None:
        policy = parse_policy(
            '[[guest]]\nidentity = "a"\nhosts = "*.x"\n'
            '[[guest]]\nidentity = "b"\nhosts = "y.x"\npaths = "/api"\n'
        )
        assert policy.guests is not None
        first, second = policy.guests
        self.assertEqual(policy.owner(b"y.x", b"/api/1"), (Claim("y.x", "/api"), second))
        self.assertEqual(policy.owner(b"y.x", b"/"), (Claim("*.x", "/"), first))
        self.assertIsNone(policy.owner(b"x", b"/"))

    def test_advice(self) -> None:
        policy = parse_policy('[[guest]]\nidentity = "a"\nhosts = "x.y"\npaths = ["/api", "/v"]')
        advice = policy.allows("a", Route(rb"x\.y", rb"/api(/.*)?")) or ""
        self.assertIn("register /api and /api/.* instead", advice)
        self.assertIn("x.y/api, x.y/v", policy.allows("a", Route(rb"x\.y", rb"/x")) or "")
        self.assertEqual(
            policy.allows("a", Route(rb".*\.y", rb"/v/x")),
            "this virtual machine may claim x.y/api, x.y/v",
        )
        nothing = Policy([Guest(("a",), (), Quotas())])
        self.assertIn("may claim nothing", nothing.allows("a", Route(b"a")) or "")
        # It is not a matter of writing where the host or the path is another one.
        whole = parse_policy('[[guest]]\nidentity = "a"\nhosts = "x.y"')
        for of, host, path, claims in (
            (policy, rb"z\.y", b"/api", "x.y/api, x.y/v"),
            (policy, rb"x\.y", rb"/x(/.*)?", "x.y/api, x.y/v"),
            (whole, rb"z\.y", b".*", "x.y/"),
        ):
            self.assertEqual(
                of.allows("a", Route(host, path)), f"this virtual machine may claim {claims}"
            )

    def test_whose_tls_is_passed_through(self) -> None:
        """That of names of which nobody else owns any; who claims more owns none of them."""
        policy = parse_policy(
            """
            [default]
            passthrough = true
            [[guest]]
            identity = "narrow"
            hosts = "x.a.example"
            [[guest]]
            identity = "wide"
            hosts = ["y.a.example", "*.a.example", "*.b.example", "z.b.example"]
            [[guest]]
            identity = "not"
            hosts = "c.example"
            passthrough = false
            """
        )
        for identity, host, reason in (
            ("narrow", rb"x\.a\.example", None),
            ("wide", rb"[^.]+\.b\.example", None),
            (
                "wide",
                rb"[^.]+\.a\.example",
                "x.a.example/ belongs to another virtual machine, which would lose it",
            ),
            (
                "not",
                rb"c\.example",
                "the TLS of clients is not passed through to this virtual machine",
            ),
        ):
            self.assertEqual(policy.passthrough_fault(identity, Route(host)), reason, host)

    def test_guests_more(self) -> None:
        """Behind those that there are, or that nobody has told of."""
        more = Guest(("b",), (Claim("b.example", "/"),), Quotas(), frozenset(), True)
        for text in ("", '[[guest]]\nidentity = "a"\nhosts = "a.example"'):
            policy = parse_policy(text)
            both = policy.with_guests([more])
            found = [guest.identities for guest in both.guests or ()]
            self.assertEqual(found, [*([("a",)] if text else []), ("b",)])
            self.assertEqual(
                (both.upgrades("b"), both.passes_through("b")), ({b"websocket"}, False)
            )

    def test_an_entry_without_more(self) -> None:
        """Such as that of a machine: WebSockets, no TLS of clients, whatever else is for all."""
        plain = Policy([Guest(("a",), (), Quotas())], upgrades=frozenset(), passthrough=True)
        self.assertFalse(plain.passes_through("a"))
        self.assertEqual(plain.upgrades("a"), {b"websocket"})
        self.assertTrue(plain.passes_through("b"))
        self.assertEqual(plain.upgrades("b"), set())


#: Few hosts and paths, so that claims and routes meet often.
own_claims = st.builds(
    Claim,
    st.sampled_from(["a.example", "x.a.example", "*.example", "*.a.example", "*"]),
    st.sampled_from(["/", "/a", "/a/b"]),
)
own_routes = st.builds(
    Route,
    st.sampled_from(
        [rb"a\.example", rb"x\.a\.example", rb".*\.example", rb".*\.a\.example", rb".*"]
    ),
    st.sampled_from(
        [b"/.*", b"/a", b"/a.*", b"/a/.*", b"/a/b", b"/a/b/.*", b"/[a-z].*", b"/a/[b].*"]
    ),
)
URLS = [
    (host, path)
    for host in (b"a.example", b"x.a.example", b"y.a.example", b"b.example", b"c")
    for path in (b"/", b"/a", b"/ab", b"/a/b", b"/a/bc", b"/a/b/c")
]


class OwnershipTests(SynchronousTestCase):
    """No route takes a URL from the one whose it is."""

    @given(
        st.lists(st.lists(own_claims, min_size=1, max_size=2), min_size=2, max_size=3),
        st.lists(st.tuples(st.integers(0, 2), own_routes), min_size=2, max_size=25),
    )
    @settings(relaxed, max_examples=examples(250))
    def test_where_the_owner_has_a_route_the_owner_answers(
        self, wished: list[list[Claim]], wanted: list[tuple[int, Route]]
    ) -> None:
        owned: list[list[Claim]] = []
        for wishes in wished:
            taken = [claim for claims in owned for claim in claims]
            owned.append([c for c in wishes if all(conflict(c, other) is None for other in taken)])
        policy = Policy([Guest((f"vm{at}",), tuple(c), Quotas()) for at, c in enumerate(owned)])
        registry = Registry()
        members = [make_member(f"vm{at}") for at in range(len(owned))]
        for at, route in wanted:
            if at < len(owned) and policy.allows(f"vm{at}", route) is None:
                registry.register(members[at], route, 0.0)
        router = Router(registry)
        for host, path in URLS:
            winner = router.lookup(host, path)
            if winner is None:
                continue
            answers = winner.members[0].identity
            self.assertTrue(any(claim.covers(host, path) for claim in owned[int(answers[2:])]))
            owner = policy.owner(host, path)
            assert owner is not None
            claim, guest = owner
            if any(
                c.pool.members[0].identity in guest.identities and claim.covers_route(c.pool.route)
                for c in router.explain(host, path).candidates
            ):
                self.assertIn(answers, guest.identities)


class GlobTests(SynchronousTestCase):
    """C{Glob}."""

    def test_examples(self) -> None:
        for glob, name, matches in [
            ("*", "", True),
            ("cid:*", "cid:1", True),
            ("cid:*", "cid", False),
            ("*:1", "cid:1", True),
            ("a*a", "a", False),
            ("a*a", "aa", True),
            ("a*b*c", "a-b-c", True),
            ("a*b*c", "a-c", False),
            ("a*bb*b", "abb", False),
            ("*b*", "bc", True),
            ("/run/bü*/*.sock", "/run/bücher/x.sock", True),
        ]:
            self.assertIs(Glob(glob).matches(name.encode()), matches, (glob, name))

    @given(st.text("ab*", min_size=1, max_size=8), st.text("ab", max_size=8))
    @relaxed
    def test_it_matches_as_a_pattern_would(self, glob: str, name: str) -> None:
        if "*" in glob:
            expected = re.fullmatch(glob.replace("*", ".*"), name) is not None
            self.assertIs(Glob(glob).matches(name.encode()), expected)

    def test_its_length_is_bounded(self) -> None:
        Glob("*" + "a" * 1023)
        error = self.assertRaises(GlobError, Glob, "*" + "a" * 1024)
        self.assertEqual(str(error), "it has 1025 bytes; at most 1024 are allowed")
