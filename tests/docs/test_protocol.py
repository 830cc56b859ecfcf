"""docs/protocol.md agrees with the code: its examples, messages, states and limits."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.fields import INTERIM_COST, MAX_INTERIM
from subproxy.wire import fields as fields_of
from subproxy.wire import info, limits
from subproxy.wire import messages as m
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
from tests.rigs.protocol_page import (
    DIRECTIONS,
    DOCUMENT,
    KINDS,
    ROLES,
    code,
    examples,
    number,
    rows,
    section,
    value_of,
    value_range,
)
from tests.rigs.vector_runner import as_json, from_json


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

    def test_info_keys(self) -> None:
        """Each key of info has the type that the document says."""
        text = section("hello, welcome")
        first = "| key | type | meaning | default |"
        both = rows(text, "key", "type", "meaning", "default")
        after = text[text.index(first) + len(first) :]
        hello = rows(after, "key", "type", "meaning")
        welcome = rows(after[after.index("In `welcome`") :], "key", "type", "meaning")
        request = rows(section("request"), "key", "type", "meaning")
        base = {b"version": 1, b"application": b"a", b"instance": b"i", b"processes": 1024}
        for kind, table in (
            (b"hello", both + hello),
            (b"welcome", both + welcome),
            (b"request", request),
        ):
            for key, type_, *_ in table:
                (name,) = code(key)
                self._check_key(
                    m.ELEMENTS[m.BY_VERB[kind]][1][4 if kind == b"request" else 0],
                    base if kind != b"request" else {},
                    name.encode(),
                    type_,
                )

    def test_other_info_keys(self) -> None:
        """So do those of the other dictionaries."""
        registration = section("register, registered, refused, unregister, unregistered")
        for key, of, type_, _ in rows(registration, "key", "of", "type", "meaning"):
            check = fields_of.register if code(of) == ["register"] else fields_of.registered
            self._check_key(check, {}, code(key)[0].encode(), type_)
        for key, type_, _ in rows(section("Peers"), "key", "type", "meaning"):
            self._check_key(fields_of.peer, {b"host": b"h"}, code(key)[0].encode(), type_)
        table = rows(section("TLS information"), "name in `register`", "key", "type", "meaning")
        for _, key, type_, _ in table:
            self._check_key(fields_of.tls, {b"version": b"1.3"}, code(key)[0].encode(), type_)

    def test_every_key_has_its_function(self) -> None:
        """A key that revision 3 has brought is read by one function, which has its default."""
        empty: dict[bytes, Any] = {}
        self.assertEqual([], info.tunnel_tokens(empty))
        self.assertEqual((0, 1), info.process(empty))
        for read in (info.process_wanted, info.peer, info.tunnel_moves_at, info.epoch):
            self.assertIsNone(read(empty))
        for read in (info.peer_route, info.tunnel_asked, info.tls, info.end_length):
            self.assertIsNone(read(empty))
        for tells in (info.full, info.passthrough, info.takes_trailers, info.stamped):
            self.assertIs(False, tells(empty))
        self.assertEqual(([], 0), (info.tls_names(empty), info.hops(empty)))
        text = section("hello, welcome")
        for key, default in (("process", "0 by default"), ("processes", "1 by default")):
            self.assertRegex(text, rf"\| `{key}` \|.*{default} \|")

    def _check_key(
        self, check: fields_of.Check, base: dict[bytes, Any], key: bytes, type_: str
    ) -> None:
        """Values of that type pass C{check}, to both ends of its range; others do not."""
        kind, low, high = value_range(type_)
        if key == b"version" and kind == "integer":
            low = high = limits.VERSION
        for value in (value_of(each, 20) for each in KINDS if each != kind):
            self.assertRaises(m.MessageError, check, {**base, key: value})
        for size in {low, high}:
            found = {**base, key: value_of(kind, size)}
            self.assertIs(found, check(found))
        if kind not in ("boolean", "dictionary"):
            for size in {low - 1, high + 1} - ({-1} if kind != "integer" else set()):
                value = value_of(kind, size)
                self.assertRaises(m.MessageError, check, {**base, key: value})

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
