"""docs/protocol.md agrees with the code: its codes, numbers and keys."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from guest.core import backoff
from guest.core.restore import JUMP
from guest.core.welcome import Welcome
from guest.twisted.service import FINAL, SETTLED
from guest.twisted.subscriber import GREETING, LINGER, TOO_FAST
from subproxy.core.access import epochs
from subproxy.core.access.penalties import AGAIN, DIALS, MOST
from subproxy.core.access.policy import Quotas
from subproxy.core.http.fields import HOP_BY_HOP
from subproxy.frontend.limits import HttpLimits
from subproxy.subscription.settings import SubscriptionSettings
from subproxy.subscription.upstream_request import ABORT_CODES
from subproxy.wire import messages as m
from subproxy.wire.errors import FrameError, MessageError, StateError
from subproxy.wire.fields import keys
from tests.rigs.paths import ROOT
from tests.rigs.protocol_page import (
    DOCUMENT,
    code,
    rows,
    section,
)


def sources(*folders: str) -> str:
    """All Python of these folders."""
    root = ROOT
    return "".join(file.read_text() for name in folders for file in (root / name).rglob("*.py"))


class CodeTests(SynchronousTestCase):
    """Each code that somebody says is on the page, with who says it."""

    def codes(self, title: str) -> dict[str, str]:
        """The codes of a section's table, and the rest of their rows."""
        found = {}
        for line in section(title).splitlines():
            row = re.fullmatch(r"\| ((?:`[a-z-]+`(?:, )?)+) \| (.*) \|", line)
            if row:
                found.update(dict.fromkeys(code(row[1]), row[2]))
        return found

    def test_refused(self) -> None:
        """Codes of a refused route or hello."""
        text = sources("subproxy")
        said = set(re.findall(r'(?:RouteRefused|RefuseHello|PatternError)\(\s*"([a-z-]+)"', text))
        said |= set(re.findall(r'(?:HelloRefused|HelloError)\(b"([a-z-]+)"', text))
        said |= set(re.findall(r'm\.Refused\(reference, b"([a-z-]+)"', text))
        said -= {"no-subscriber", "queue-full", "queue-timeout"}
        self.assertTrue(said >= {"too-fast", "policy", "replaced", "hello", "version"}, said)
        table = self.codes("register, registered, refused, unregister, unregistered")
        self.assertEqual(said - set(table), set())

    def test_bye(self) -> None:
        """Codes of bye, and who says them."""
        table = self.codes("drain, bye")
        ours = set(re.findall(r'\.close\(\s*b"([a-z]+)"', sources("subproxy")))
        ours |= set(re.findall(r'_farewell = \(b"([a-z]+)"', sources("subproxy")))
        self.assertTrue(ours >= {"again", "replaced", "refused", "timeout", "shutdown"}, ours)
        for each in ours:
            self.assertRegex(table[each], r"^(proxy|both)")
        theirs = set(re.findall(r'_bye,? ?\(?b"([a-z]+)"', sources("guest")))
        self.assertTrue(theirs >= {"done", "timeout"}, theirs)
        for each in theirs:
            self.assertRegex(table[each], r"^both")
        errors = {kind.code.decode() for kind in (FrameError, MessageError, StateError)}
        self.assertEqual(errors - set(table), set())

    def test_abort(self) -> None:
        """Codes of abort."""
        table = self.codes("abort")
        for _, said in ABORT_CODES:
            self.assertRegex(table[said.decode()], r"^(proxy|both)")
        theirs = re.findall(r'm\.Abort\([\w.]+, b"(\w+)"', sources("guest"))
        self.assertTrue(theirs)
        for each in theirs:
            self.assertRegex(table[each], r"^(guest|both)")
        self.assertLessEqual({"refused", "error", "complete"}, set(table))


class NumberTests(SynchronousTestCase):
    """Times and numbers of the text are those of the code."""

    def test_dialling(self) -> None:
        text = words(section("Dialling again"))
        self.assertIn(f"{backoff.FIRST * 1000:g} ms at first, doubled", text)
        self.assertIn(f"at most {backoff.LONGEST:g} seconds", text)
        self.assertIn(f"longer than {backoff.LONGEST:g} seconds", text)
        self.assertEqual((SETTLED, TOO_FAST), (0.5, 1.0))
        self.assertIn("lasted less than half a second", text)
        self.assertIn("again after a second", text)
        self.assertIn(f"({Quotas().connections} of all kinds", text)
        self.assertIn(f"but at least {DIALS:g}, and as many again in {AGAIN:g} seconds", text)
        self.assertIn(f"for at most {MOST:g} seconds", text)
        (final,) = (row for row in text.split("|") if "`version` or" in row)
        self.assertEqual(set(code(final)) - {"refused"}, FINAL)

    def test_instances(self) -> None:
        text = words(section("Instances"))
        self.assertIn(f"may have {epochs.LINES} of these", text)
        self.assertIn(f"the last {epochs.RETIRED:,} replaced instances", text)
        self.assertEqual(epochs.FORGET, 3600.0)
        self.assertIn("no subscription for an hour", text)
        self.assertIn(f"by over {JUMP:g} seconds", words(section("Restored machines")))

    def test_waiting(self) -> None:
        settings = SubscriptionSettings()
        first = f"must come within {settings.greeting_timeout:g} seconds"
        self.assertIn(first, words(section("Roles and connections")))
        self.assertIn(f"within {GREETING:g} seconds", words(section("hello, welcome")))
        self.assertEqual((LINGER, settings.closing_timeout, settings.claim_timeout), (2.0,) * 3)
        self.assertIn("not longer than two seconds", words(section("drain, bye")))
        self.assertIn("until two seconds after", words(section("Data connections")))
        self.assertIn(f"for {settings.data_idle:g} at least", words(section("Data connections")))

    def test_welcome_defaults(self) -> None:
        """What a guest takes where welcome does not say."""
        text, default = section("hello, welcome"), Welcome.of({})
        for key, seconds in (("ping", default.ping), ("timeout", default.timeout)):
            (row,) = re.findall(rf"\| `{key}` \|.*", text)
            self.assertIn(f"{seconds * 1000:,.0f} by default", row)

    def test_responses(self) -> None:
        text, settings = words(section("response")), SubscriptionSettings()
        self.assertEqual((settings.offences, settings.offences_window), (10, 60.0))
        self.assertIn("after ten such responses within a minute", text)

    def test_held_bodies(self) -> None:
        self.assertIn(f"at most {HttpLimits().inline:,} bytes", words(section("request")))

    def test_fields_that_are_dropped(self) -> None:
        """The list of hop-by-hop fields is the code's."""
        text = words(section("request"))
        (listed,) = re.findall(r"drops hop-by-hop fields: (.*?);", text)
        self.assertEqual({each.lower().encode() for each in code(listed)}, HOP_BY_HOP)

    def test_width(self) -> None:
        """Prose is wrapped at one width; tables and frames are as long as they are."""
        prose = [line for line in DOCUMENT.splitlines() if not line.startswith(("|", "    "))]
        self.assertEqual([line for line in prose if len(line) > 100], [])

    def test_revisions(self) -> None:
        """They are in order, and the last has its section."""
        revisions = rows(DOCUMENT, "revision", "date", "what")
        self.assertEqual([each[0] for each in revisions], ["1", "2", "3"])
        dates = [each[1] for each in revisions]
        self.assertEqual(dates, sorted(dates))
        self.assertTrue(section("What revision 2 changes"))
        self.assertTrue(section("What revision 3 adds"))


def words(text: str) -> str:
    """C{text} on one line."""
    return " ".join(text.split())


class KeysTests(SynchronousTestCase):
    def test_helper(self) -> None:
        """The helper that reads tables is not what makes them agree: it fails on a wrong one."""
        self.assertRaises(AssertionError, rows, "| a | b |\n| --- | --- |\n", "a", "c")
        self.assertEqual([["1", "2"]], rows("| a | b |\n| --- | --- |\n| 1 | 2 |\n\n", "a", "b"))
        self.assertRaises(m.MessageError, keys({}, (b"x",)), {})
