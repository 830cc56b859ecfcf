"""docs/protocol.md against the code: its examples, its verbs, its states and its limits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from guest.core import backoff
from guest.core.keeper import FINAL, SETTLED
from guest.core.restore import JUMP
from guest.core.route_registrar import TOO_FAST
from guest.core.subscription import GREETING, LINGER
from guest.core.welcome import Welcome
from subproxy.core.access import epochs
from subproxy.core.access.penalties import AGAIN, DIALS, MOST
from subproxy.core.access.policy import Quotas
from subproxy.core.http.fields import HOP_BY_HOP, INTERIM_COST, MAX_INTERIM
from subproxy.frontend.limits import HttpLimits
from subproxy.subscription.settings import SubscriptionSettings
from subproxy.subscription.upstream_request import ABORT_CODES
from subproxy.wire import limits
from subproxy.wire import messages as m
from subproxy.wire.errors import FrameError, MessageError, StateError
from subproxy.wire.fields import keys
from subproxy.wire.frames import decode, encode
from subproxy.wire.states import (
    REQUEST,
    RESPONSE,
    SIDES,
    TUNNEL,
    Event,
    Half,
    Role,
    Side,
    Tunnel,
)
from tests.rigs.paths import ROOT
from tests.rigs.vector_runner import as_json, from_json

DOCUMENT = (ROOT / "docs" / "protocol.md").read_text()
ROLES = {"guest": Role.GUEST, "proxy": Role.PROXY}
DIRECTIONS = {
    "guest → proxy": {Role.GUEST},
    "proxy → guest": {Role.PROXY},
    "both": {Role.GUEST, Role.PROXY},
}


def examples() -> Iterator[tuple[str, bytes, Any]]:
    """Sender (or nothing), bytes and JSON of each example."""
    for sender, block in re.findall(r"<!-- frame ?(\w*) -->\n\n((?:    .*\n)+)", DOCUMENT):
        lines = [line[4:] for line in block.splitlines()]
        # The last line is the JSON; the bytes may have line feeds of their own.
        yield sender, "\n".join(lines[:-1]).encode(), json.loads(lines[-1])


def section(title: str) -> str:
    """What stands under that heading, to the next one of its level or above."""
    heading = re.search(rf"^(#+) {re.escape(title)}$", DOCUMENT, re.MULTILINE)
    assert heading, title
    rest = DOCUMENT[heading.end() :]
    return re.split(rf"^#{{1,{len(heading[1])}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str, *header: str) -> list[list[str]]:
    """The rows of the first table in C{text} with that header."""
    head = "| " + " | ".join(header) + " |\n"
    assert head in text, header
    table = text[text.index(head) + len(head) :].split("\n\n", maxsplit=1)[0]
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in table.splitlines()[1:]
    ]


def code(text: str) -> list[str]:
    """What stands between back-quotes in C{text}."""
    return re.findall(r"`([^`]+)`", text)


def number(text: str) -> int:
    """The first number of C{text}."""
    found = re.search("2\\^(\\d+) \u2212 1|[\\d,]+", text)
    assert found, text
    return 2 ** int(found[1]) - 1 if found[1] else int(found[0].replace(",", ""))


class ExampleTests(SynchronousTestCase):
    def test_examples(self) -> None:
        """The bytes of each are its JSON, and a message that its sender may send."""
        seen = set()
        for sender, data, value in examples():
            frame = decode(data)
            self.assertEqual(value, as_json(frame))
            self.assertEqual(len(data), len(encode(from_json(value))))
            self.assertEqual(value, as_json(decode(encode(from_json(value)))))
            message = m.parse(frame)
            assert message is not None, value
            self.assertEqual(frame, message.frame()[: len(frame)])
            verb = message.verb
            seen.add(verb)
            roles = [ROLES[sender]] if sender else list(Role)
            for role in roles:
                self.assertTrue(any(verb in row for row in SIDES[role].values()), value)
        self.assertEqual(set(m.BY_VERB) - seen, {b"unregister", b"unregistered"})

    def test_each_frame_block_is_an_example(self) -> None:
        """No example has lost its mark."""
        blocks = re.findall(r"\n\n    \d+:", DOCUMENT)
        self.assertEqual(len(blocks), len(list(examples())))


class MessageTests(SynchronousTestCase):
    def signatures(self) -> dict[bytes, tuple[set[Role], str]]:
        """Of each verb, who sends it, and its frame as the document writes it."""
        found = {}
        for line in section("Messages").splitlines():
            row = re.fullmatch(r"\| (guest → proxy|proxy → guest|both) \| `(\[.*\])` \|", line)
            if row:
                verb = re.match(r'\["(\w+)"', row[2])
                assert verb, line
                found[verb[1].encode()] = DIRECTIONS[row[1]], row[2]
        return found

    def test_verbs(self) -> None:
        """Each verb has its line, and no other has."""
        self.assertEqual(set(m.BY_VERB), set(self.signatures()))

    def test_direction(self) -> None:
        """The line of a verb says who may send it."""
        for verb, (senders, _) in self.signatures().items():
            may = {role for role in Role if any(verb in row for row in SIDES[role].values())}
            self.assertEqual(senders, may, verb)

    def test_elements(self) -> None:
        """It names the elements as the code does, and those that may be left out."""
        for verb, (_, signature) in self.signatures().items():
            kind = m.BY_VERB[verb]
            needed, checks = m.ELEMENTS[kind]
            needless = signature.replace("[", "").replace("]", "")
            names = [name.strip() for name in needless.split(",")[1:]]
            self.assertEqual([each.name for each in fields(kind)], names, verb)
            before_optional = re.split(r", \[", signature[1:])[0].split(",")[1:]
            self.assertEqual(needed, len([name for name in before_optional if name]), verb)
            self.assertEqual(len(names), len(checks), verb)

    def test_defaults(self) -> None:
        """What may be left out has a default in the code."""
        for kind, (needed, _) in m.ELEMENTS.items():
            for each in fields(kind)[needed:]:
                default = each.default is not MISSING or each.default_factory is not MISSING
                self.assertTrue(default, (kind, each.name))

    def test_limit_defaults(self) -> None:
        """The defaults of hello and welcome are those of the code."""
        table = rows(section("hello, welcome"), "key", "type", "meaning", "default")
        default = limits.Limits()
        for key, _, _, value in table:
            (name,) = code(key)
            if name != "version":
                self.assertEqual(getattr(default, name), number(value), name)


class StateTests(SynchronousTestCase):
    def test_sides(self) -> None:
        """The table of sides is the code's."""
        table: dict[Role, dict[Side, dict[bytes, Side]]] = {role: {} for role in Role}
        for sender, states, may in rows(
            section("States"), "sender", "state", "may send, and is then"
        ):
            for role in list(Role) if sender == "both" else [ROLES[sender]]:
                for state in states.split(", "):
                    side = Side[state.upper()]
                    table[role][side] = self._moves(table[role], side, may)
        self.assertEqual(SIDES, table)

    def _moves(
        self, before: dict[Side, dict[bytes, Side]], side: Side, text: str
    ) -> dict[bytes, Side]:
        if text == "nothing":
            return {}
        if text.startswith("as in open"):
            lost = [verb.encode() for verb in code(text)]
            return {
                verb: side if after is Side.OPEN else after
                for verb, after in before[Side.OPEN].items()
                if verb not in lost
            }
        moves = {}
        for group in re.split("; ", text):
            verbs, _, after = group.partition(" → ")
            for verb in code(verbs):
                moves[verb.encode()] = Side[after.upper()] if after else side
        return moves

    def test_halves(self) -> None:
        """The table of halves is the code's."""
        events = {
            "a head with its whole body": Event.WHOLE,
            "with null": Event.STREAM,
            "with a dictionary": Event.BULK,
            "an interim response": Event.INTERIM,
            "a dictionary that accepts a tunnel": Event.DIRECT,
            "`body`": Event.BODY,
            "`move`": Event.MOVE,
            "`end`": Event.END,
        }
        tables: dict[str, dict[Half, dict[Event, Half]]] = {"request": {}, "response": {}}
        for half, state, may in rows(
            section("States"), "half", "state", "may come, and it is then"
        ):
            for name in ["request", "response"] if half == "both" else [half]:
                row = tables[name].setdefault(Half[state.upper()], {})
                for group in may.split("; ") if may != "nothing" else []:
                    event, after = group.split(" → ")
                    row[events[event]] = Half[after.upper()]
        self.assertEqual({"request": REQUEST, "response": RESPONSE}, tables)

    def test_tunnels(self) -> None:
        """The table of tunnels is the code's."""
        events = {
            "null that accepts": Event.STREAM,
            "a dictionary that accepts": Event.DIRECT,
            "`connect`": Event.CONNECT,
            "`move`": Event.MOVE,
        }
        table: dict[Tunnel, dict[Event, Tunnel]] = {}
        for state, may in rows(section("States"), "tunnel", "may come, and it is then"):
            row = table.setdefault(Tunnel[state.upper()], {})
            for group in may.split("; "):
                event, after = group.split(" → ")
                row[events[event]] = Tunnel[after.upper()]
        self.assertEqual(TUNNEL, table)


class LimitTests(SynchronousTestCase):
    def test_limits(self) -> None:
        """The table of limits is the code's."""
        table = dict(rows(section("Limits"), "what", "most"))
        self.assertEqual(limits.MAX_LENGTH_DIGITS, number(table["digits of a length"]))
        self.assertEqual(limits.MAX_DEPTH, number(table["nesting"]))
        interim = table["interim responses of an exchange, 128 added for each"]
        self.assertEqual(limits.MAX_INTERIM, number(interim.removesuffix(" bytes")))
        self.assertEqual(limits.INTERIM_COST, 128)
        self.assertEqual(limits.MAX_INTERIM, MAX_INTERIM)
        self.assertEqual(limits.INTERIM_COST, INTERIM_COST)
        self.assertEqual(limits.MAX_ELEMENTS, number(table["elements of a frame, at any depth"]))
        self.assertEqual(limits.Limits().frame, number(table["frame payload"]))
        fields_, bytes_ = table["header or trailer section"].split(" fields, ")
        self.assertEqual(limits.MAX_HEADERS, number(fields_))
        self.assertEqual(limits.MAX_HEADER_BYTES, number(bytes_))
        method, target = table["method; target"].split("; ")
        request = m.ELEMENTS[m.Request][1]
        for check, most in ((request[1], number(method)), (request[2], number(target))):
            check(b"x" * most)
            self.assertRaises(m.MessageError, check, b"x" * (most + 1))
        (several,) = (most for what, most in table.items() if what.startswith("pattern; reason"))
        self.assertEqual(
            [limits.MAX_PATTERN, limits.MAX_REASON, limits.MAX_NAME],
            [number(each) for each in several.split("; ")],
        )
        self.assertEqual(limits.MAX_NUMBER, number(table["integer"]))
        names, sizes = table["protocols in `hello`, names in `tls`; each of them"].split("; ")
        self.assertEqual({limits.MAX_TUNNELS, limits.MAX_TLS_NAMES}, {number(names)})
        self.assertEqual(limits.MAX_TUNNEL_TOKEN, number(sizes))
        processes, hops = table["processes; hops"].split("; ")
        self.assertEqual((limits.MAX_PROCESSES, limits.MAX_HOPS), (number(processes), number(hops)))
        self.assertEqual(limits.MAX_CERTIFICATE, number(table["certificate in `tls`"]))

    def test_the_rest_of_the_text(self) -> None:
        """Numbers in the text are those of the code."""
        self.assertIn("at most 7 digits", section("Frames"))
        self.assertIn("at most 8 deep", section("Frames"))
        self.assertIn("before that, 262,144", " ".join(section("Frames").split()))
        self.assertIn(f"at most {limits.BODY_CHUNK:,} bytes", section("Bodies"))
        self.assertIn(f"port {limits.PORT}", " ".join(section("Roles and connections").split()))
        self.assertEqual(2**31 - 1, limits.MAX_CREDIT)
        self.assertIn("it never exceeds 2^31 \u2212 1", section("Credit"))
        weight = next(row for row in rows(*self._hello()) if row[0] == "`weight`")
        self.assertIn(f"1 to {limits.MAX_WEIGHT:,}", weight[1])
        self.assertIn(f"{limits.DEFAULT_WEIGHT} by default", weight[2])
        self.assertEqual(f"{limits.VERSION}", re.search(r"version (\d)", DOCUMENT)[1])  # type: ignore[index]

    def _hello(self) -> tuple[str, ...]:
        text = section("hello, welcome")
        return text[text.index("In `hello`") :], "key", "type", "meaning"


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
        theirs = set(re.findall(r'\bbye,? ?\(?b"([a-z]+)"', sources("guest")))
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
        self.assertEqual([each[0] for each in revisions], ["1", "2", "3", "4"])
        dates = [each[1] for each in revisions]
        self.assertEqual(dates, sorted(dates))
        self.assertTrue(section("What revision 2 changes"))
        self.assertTrue(section("What revision 3 adds"))
        self.assertTrue(section("What revision 4 adds"))


def words(text: str) -> str:
    """C{text} on one line."""
    return " ".join(text.split())


class KeysTests(SynchronousTestCase):
    def test_helper(self) -> None:
        """The helper that reads tables is not what makes them agree: it fails on a wrong one."""
        self.assertRaises(AssertionError, rows, "| a | b |\n| --- | --- |\n", "a", "c")
        self.assertEqual([["1", "2"]], rows("| a | b |\n| --- | --- |\n| 1 | 2 |\n\n", "a", "b"))
        self.assertRaises(m.MessageError, keys({}, (b"x",)), {})
