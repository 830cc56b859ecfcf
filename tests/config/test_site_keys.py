"""Every key of C{[[site]]}, by its table: its type, its range, its schema, its docs, its reload."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from twisted.trial.unittest import SynchronousTestCase

from subproxy.config.access_files import WAYS
from subproxy.config.configuration import parse_configuration
from subproxy.config.configuration_error import ConfigurationError
from subproxy.config.schema import configuration_schema
from subproxy.config.site_keys import BY_NAME, KEYS
from subproxy.core.sites.affinity import CookieAffinity, HeaderAffinity
from subproxy.core.sites.site_rules import AT_ONCE, EACH_TIME, SiteRules, key_of
from tests.app.test_reload import ReloadCase
from tests.rigs.paths import ROOT
from tests.rigs.private_site import key_file
from tests.rigs.tls_rig import Authority

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

GOOD: dict[str, tuple[str, ...]] = {
    "hosts": ('"a"', '["a", "*.b.example", "*", "[::1]"]'),
    "paths": ('"/"', '["/a", "/a/b%20c"]'),
    "networks": ('"any"', '"unix"', '["10.0.0.0/8", "::/0", "192.0.2.1"]'),
    "client-ca": ("false", '"/a.pem"', '["/a.pem", "b.pem"]'),
    "client-ca-optional": ("true", "false"),
    "client-crl": ("false", '"/a.pem"', '["/a.pem", "b.pem"]'),
    "acme": ("true", "false"),
    "max-body": ("0", "9223372036854775807", '"16 MiB"', '"5"', '"0 B"'),
    "response-timeout": ("0.1", "86400", "5"),
    "queue-timeout": ("0", "86400", "0.5"),
    "hold": ("0", "86400", "0.5"),
    "rate": ("0", "1000000", "0.5", '"100/m"', '"1.5/s"', '"20/h"'),
    "burst": ("1", "1000000"),
    "connections": ("0", "1000000"),
    "access": ('"public"', '"link"', '["link"]', '"users"', '["users", "link"]'),
    "links": ('"/k"', '"k"'),
    "users": ('"/u"', '"u"'),
    "auth": ('"http://a"', '"http://127.0.0.1:4181/auth?x=y"', '"http://[::1]:80/"'),
    "auth-timeout": ("0.1", "60", "5"),
    "auth-headers": ('"X-User"', '["X-User", "Remote_User", "X-Forwarded-User"]'),
    "auth-cache": ("0", "3600", "0.5"),
    "upgrade": ('"any"', "[]", '["websocket", "TLS/1.3"]', '"websocket"'),
    "origins": ('"any"', '["same"]', '["https://a.example:8443", "http://*.b"]', '"https://a"'),
    "request-headers": ("{}", '{ set = { A = "b", C = ["d", "e"] }, add = { F = "" } }'),
    "response-headers": (
        "{}",
        '{ remove = "A", add = { Set-Cookie = ["a=b"] } }',
        "{ remove = [] }",
    ),
    "strip-prefix": ('""', '"/a"', '"/a/"', '"/"'),
    "host": ('""', '"a.example:81"', '"[::1]"'),
    "https": ("true", "false", "8443", "1", "65535"),
    "hsts": ("false", "0", "315360000", "{ max-age = 5, include-subdomains = true }"),
    "redirect": ('""', '"/b{uri}"', '"https://{host}{uri}"'),
    "redirect-status": ("301", "302", "303", "307", "308"),
    "sticky": (
        *("false", '"cookie"', '{ cookie = "a" }', '{ header = "X-User" }'),
        '{ cookie = "a", same-site = "none" }',
    ),
    "wake": ("true", "false", '["GET"]'),
    "starting-page": ("true", "false"),
    "server-timing": ("true", "false"),
}
"""Values of each key that are good, by the reader and by the schema."""

BAD: dict[str, tuple[str, ...]] = {
    "hosts": ("1", "[]", '""', '[""]', "[1]"),
    "paths": ("1", "[]", '""'),
    "networks": ("1", "[]", '""', "true"),
    "client-ca": ("true", "1", '""', "[]", "[1]"),
    "client-ca-optional": ("1", '"yes"'),
    "client-crl": ("true", "1", '""', "[]", "[1]"),
    "acme": ("1", '"no"'),
    "max-body": ("-1", "9223372036854775808", '"16 MB"', "1.5", "true", '""'),
    "response-timeout": ("0", "0.09", "86401", '"5"', "true", "nan"),
    "queue-timeout": ("-1", "86401", '"5"'),
    "hold": ("-1", "86401", '"5"'),
    "rate": ("-1", "1000001", '"100/d"', '"100"', "true", "[]"),
    "burst": ("0", "1000001", "1.5", '"5"'),
    "connections": ("-1", "1000001", "1.5", '"5"'),
    "access": ("true", '"links"', "[]", '["public"]', '["link", "link"]', "1", '""'),
    "links": ("true", "1", '""', "[]", '["k"]'),
    "users": ("true", "1", '""', "[]", '["k"]'),
    "auth": ("true", "1", '""', '"https://a/"', '"a.example"', '"http:///x"'),
    "auth-timeout": ("0", "61", '"5"', "true"),
    "auth-headers": ("true", "1", '""', "[]", "[1]"),
    "auth-cache": ("-1", "3601", '"5"', "true"),
    "upgrade": ("1", '""', "[1]", "true"),
    "origins": ("1", "[]", '""', "true"),
    "request-headers": (
        '"a"',
        "{ sett = {} }",
        "{ set = [] }",
        '{ add = "a" }',
        "{ set = {A = 1} }",
    ),
    "response-headers": ('"a"', "{ sett = {} }", "{ set = [] }", "{ remove = [1] }"),
    "strip-prefix": ("1", '"a"'),
    "host": ("1",),
    "https": ("0", "65536", '"yes"', "1.5"),
    "hsts": ("true", "-1", '"1y"', "{}", "{ max-age = 1, prelod = true }", "1.5"),
    "redirect": ("1",),
    "redirect-status": ("300", '"308"', "true", "304"),
    "sticky": (
        *("true", '"header"', "{}", "1", '{ cookie = "a", header = "b" }', "{ cookie = 1 }"),
        '{ cokie = "a" }',
        *('{ header = "a", same-site = "lax" }', '{ cookie = "a", same-site = "no" }'),
    ),
    "wake": ("1", "[]", '[""]', '"GET"'),
    "starting-page": ("1", '"yes"'),
    "server-timing": ("1", '"yes"'),
}
"""Values that are bad, by both."""

WORSE: dict[str, tuple[str, ...]] = {
    "hosts": ('"a:80"', '"a.*"', '"ä"', '"a b"'),
    "paths": ('"a"', '"/a*"', '"/a/../b"'),
    "networks": ('"10.0.0.0/99"', '["localhost"]', '["any"]'),
    "max-body": ('"9999999999999 GiB"',),
    "rate": ("0.00001", '"9999999/s"', "inf", "nan"),
    "auth": ('"http://u@a/"', '"http://a:99999/"', '"http://a/ b"', '"http://a/#b"'),
    "auth-headers": ('"a b"', '["Connection"]', '"Content-Length"', '"host"', '"X_Forwarded_For"'),
    "upgrade": ('"a b"', f'["{"a" * 33}"]'),
    "origins": ('"a.example"', '["https://a/"]', '["ftp://a"]', '["any"]', '"https://*"'),
    "request-headers": (
        '{ set = { Host = "a" } }',
        '{ remove = ["Via"] }',
        '{ set = { "a b" = "" } }',
    ),
    "response-headers": ('{ set = { A = "b\\nc" } }', '{ remove = ["Connection"] }'),
    "strip-prefix": ('"/a//b"', '"/%41"', '"/a b"'),
    "host": ('"a b"', '"a:99999"', '"u@a"'),
    "hsts": ("{ max-age = 31536000, preload = true }",),
    "redirect": ('"x"', '"{uri}"', '"https://a/{no}"'),
    "sticky": ('{ cookie = "a b" }', '{ header = "a:" }'),
    "wake": ('["a b"]',),
}
"""Values that only the reader knows to be bad."""


def document(key: str, value: str) -> str:
    """A file with a site that says so, and what is needed beside it."""
    lines = [] if key == "hosts" else ['hosts = "a.example"']
    needs = BY_NAME[key].needs
    if needs:
        lines.append(f"{needs} = {BY_NAME[needs].example}")
    lines += [f"{WAYS[way]} = {BY_NAME[WAYS[way]].example}" for way in WAYS if f'"{way}"' in value]
    return "\n".join(("[[site]]", *lines, f"{key} = {value}", ""))


def authority(case: SynchronousTestCase) -> str:
    """A file with the certificate of an authority."""
    path = Path(case.mktemp())
    path.write_bytes(Authority().pem)
    return str(path)


class EverySiteKeyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.validator = Draft202012Validator(configuration_schema())

    def valid(self, text: str) -> bool:
        return not list(self.validator.iter_errors(tomllib.loads(text)))

    def test_each_has_values_here(self) -> None:
        names = [each.name for each in KEYS]
        self.assertEqual((list(GOOD), list(BAD)), (names, names))

    def test_good(self) -> None:
        """The example and both ends of a range."""
        for key in KEYS:
            for value in (key.example, *GOOD[key.name]):
                text = document(key.name, value)
                [site] = parse_configuration(text).sites
                self.assertTrue(self.valid(text), text)
                if key.rule:
                    self.assertIn(key.rule, site.rules)

    def test_bad(self) -> None:
        """Line and column, the key and what is needed."""
        for key in KEYS:
            for values, known in (BAD[key.name], True), (WORSE.get(key.name, ()), False):
                for value in values:
                    text = document(key.name, value)
                    line = text.count("\n")
                    error = self.assertRaises(ConfigurationError, parse_configuration, text, "f")
                    first = error.problems[0]
                    self.assertEqual((first.line, first.column), (line, 1), text)
                    self.assertRegex(first.text, rf"^({key.name}|host|path) ")
                    if "nan" not in value and "inf" not in value:
                        self.assertEqual(self.valid(text), not known, text)

    def test_each_is_a_rule_or_part_of_one(self) -> None:
        """No rule is without a key, and none has two."""
        rules = [key.rule for key in KEYS if key.rule]
        self.assertEqual(sorted(rules), sorted({*EACH_TIME, *AT_ONCE}))
        for key in KEYS:
            self.assertIn(key.rule and key_of(key.rule), ("", key.name))

    def test_what_lifts_a_wider_site(self) -> None:
        """Each rule can be lifted again, but the numbers, which can be others."""
        empty = {"request-headers": "{}", "response-headers": "{}"}
        lifts = {
            **dict.fromkeys(("networks", "upgrade", "origins"), '"any"'),
            **dict.fromkeys(("rate", "connections"), "0"),
            **dict.fromkeys(("strip-prefix", "host", "redirect"), '""'),
            "access": '"public"',
            **dict.fromkeys(("https", "hsts", "sticky", "client-ca", "server-timing"), "false"),
            "wake": "true",
            **empty,
        }
        for key in KEYS:
            self.assertTrue(key.rule not in EACH_TIME or key.name in lifts)
            if key.name in lifts:
                [site] = parse_configuration(document(key.name, lifts[key.name])).sites
                self.assertEqual(site.rules, {key.rule: None})

    def test_docs(self) -> None:
        """Each has one row in the reference, with its help."""
        page = (ROOT / "docs" / "reference" / "configuration.md").read_text()
        rows = re.findall(
            r"^\| `([a-z-]+)` \|(.*)\|$",
            page.partition("## [[site]]")[2].partition("\n## ")[0],
            re.M,
        )
        self.assertEqual([name for name, _ in rows], [key.name for key in KEYS])
        for (_, row), key in zip(rows, KEYS, strict=True):
            self.assertIn(key.help, row)
            self.assertEqual("| asked |" in row, key.rule in EACH_TIME, key.name)
        behaviour = (ROOT / "docs" / "reference" / "sites.md").read_text()
        for key in KEYS:
            self.assertIn(f"`{key.name}", behaviour, key.name)


class EverySiteKeyReloadTests(ReloadCase):
    def rules(self) -> SiteRules | None:
        router = self.service.dispatcher.router
        return router.match(b"a.example", b"/blog").rules

    def test_reload(self) -> None:
        """Each comes, changes and goes at once, and the caches of routes know."""
        self.start("")
        for key in KEYS:
            if not key.rule:
                continue
            self.assertIsNone(self.rules())
            text = document(key.name, key.example)
            if key.name == "client-ca":
                text = document(key.name, f'"{authority(self)}"')
            elif key.name == "access":
                text = document("links", f'"{key_file(self.mktemp())}"')
            self.assertEqual(self.reload(text).applied, ["site"])
            rules = self.rules()
            assert rules is not None
            self.assertIsNotNone(getattr(rules, key.rule))
            self.assertEqual(self.reload().applied, [])
            self.assertIs(self.rules(), rules)
            self.assertEqual(self.reload("").applied, ["site"])

    def test_what_takes_part_in_a_rule(self) -> None:
        self.start("")
        seen: list[Any] = []
        for text in (
            '[[site]]\nhosts = "a.example"\nrate = 5\n',
            '[[site]]\nhosts = "a.example"\nrate = 5\nburst = 9\n',
            '[[site]]\nhosts = "a.example"\nredirect = "/b"\n',
            '[[site]]\nhosts = "a.example"\nredirect = "/b"\nredirect-status = 308\n',
        ):
            self.assertEqual(self.reload(text).applied, ["site"])
            rules = self.rules()
            assert rules is not None
            seen.append(
                rules.rate.burst if rules.rate else rules.redirect and rules.redirect.status
            )
        self.assertEqual(seen, [5, 9, 307, 308])

    def test_hold_and_the_routes_that_wait(self) -> None:
        """A route is remembered for as long as anybody waits for it."""
        self.start("")
        self.assertEqual(self.service.registrar.registry.linger, 10.0)
        self.reload('[[site]]\nhosts = "a.example"\nhold = 60\n')
        self.assertEqual(self.service.registrar.registry.linger, 60.0)
        self.reload("")
        self.assertEqual(self.service.registrar.registry.linger, 10.0)

    def test_a_bad_file_changes_no_site(self) -> None:
        self.start('[[site]]\nhosts = "a.example"\nhold = 60\n')
        rules = self.rules()
        assert rules is not None
        problems = self.reload('[[site]]\nhosts = "a.example"\nhold = 61\nhots = 1\n').problems
        self.assertEqual(
            problems, [f"{self.path}:4:1: unknown key 'hots' in [[site]]; did you mean 'hosts'?"]
        )
        self.assertIs(self.rules(), rules)


class StickyTests(SynchronousTestCase):
    def test_values(self) -> None:
        for value, expected in (
            ('"cookie"', CookieAffinity(b"subproxy")),
            ('{ cookie = "a", same-site = "Strict" }', CookieAffinity(b"a", "strict")),
            ('{ header = "X-User" }', HeaderAffinity(b"x-user")),
        ):
            [site] = parse_configuration(document("sticky", value)).sites
            self.assertEqual(site.rules["sticky"], expected)
