"""
The corpora of HTTP/1.1, carried over to HTTP/2, on both paths: what HTTP/1.1 refuses is refused,
and no guest hears of it; the rest is served, if HTTP/2 can say it.
"""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from subproxy.fastpath.install import unavailable
from subproxy.wire import messages as m
from tests.rigs.carried_over import CarriedOver, carried_over
from tests.rigs.http2_client import POST, Headers
from tests.rigs.http2_sides import Http2Side
from tests.rigs.paths import ROOT

CASES = ROOT / "tests" / "corpus" / "http" / "cases.json"
PROBES = [base / "shared" / "tools" / "http11probe-data.json" for base in ROOT.parents]

RESET = "reset"

SMUGGLED = b"GET /admin HTTP/1.1\r\nHost: a.example\r\n\r\n"


class CorpusTests(SynchronousTestCase):
    skip = unavailable()

    def setUp(self) -> None:
        self.sides = [Http2Side(fast) for fast in (True, False)]
        self.number = -1
        for side in self.sides:
            self.addCleanup(side.log.close)

    def outcome(self, request: CarriedOver) -> tuple[object, bool]:
        """
        What becomes of C{request}, which is the same on both paths.

        @return: the status, or L{RESET}, of the stream or all of the connection; and whether a
            guest was asked.
        """
        self.number += 2
        found = [self.on(side, request) for side in self.sides]
        self.assertEqual(found[0], found[1], request)
        if self.sides[0].protocol.close_reason:
            self.number = -1
            for side in self.sides:
                side.connect()
        return found[0]

    def on(self, side: Http2Side, request: CarriedOver) -> tuple[object, bool]:
        number, asked = self.number, len(side.asked)
        client, body = side.client, request.body
        client.request(number, request.fields, body is None)
        if body is not None:
            for at in range(0, len(body), 16_000):
                client.h2.send_data(number, body[at : at + 16_000])
            client.h2.end_stream(number)
        side.say(client.take())
        for event in side.asked[asked:]:
            if event.exchange not in side.aborted:
                if event.body is None:
                    side.answer(m.Credit(event.exchange, 60_000))
                side.answer(m.Response(event.exchange, 200, [], {}, b"OK"))
        told = client.told.get(number, [])
        heads = [int(dict(what[1])[b":status"]) for what in told if what[0] == "head"]
        return (heads[-1] if heads else RESET), len(side.asked) > asked

    def test_corpus(self) -> None:
        """Each case of the corpus of HTTP/1.1."""
        refused = served = 0
        for case in json.loads(CASES.read_text()):
            request = carried_over(case["request"].encode("latin-1"))
            if request is None:
                continue
            status, asked = self.outcome(request)
            if case["status"] >= 400:
                self.assertFalse(asked, case)
                self.assertIn(status, (case["status"], 400, 431, 501, RESET), case)
                refused += 1
            elif request.said:
                self.assertEqual(status, 404 if self.unknown(request) else 200, case)
                served += 1
        self.assertGreater(refused, 80)
        self.assertGreater(served, 20)

    def unknown(self, request: CarriedOver) -> bool:
        """No guest has that host."""
        host = dict(request.fields)[b"host"]
        return not host.startswith(b"a.example") and (b":path", b"*") not in request.fields

    def test_probes(self) -> None:
        """Those of Http11Probe whose success would be a failure, where they lie beside this."""
        found = [path for path in PROBES if path.exists()]
        if not found:
            raise SkipTest("http11probe-data.json is not beside this checkout")
        self.assertGreater(self.probed(found[0]), 60)

    def probed(self, path: Path) -> int:
        refused = 0
        for probe in json.loads(path.read_text())["tests"]:
            sent = b64decode(probe.get("payload_b64", ""))
            request = carried_over(sent.replace(b"h11p.invalid:65535", b"a.example"))
            verdict = probe.get("verdicts", {}).get("Open", {}).get("200", probe.get("default"))
            if probe["kind"] != "status":
                continue
            if request is None or not probe["scored"] or verdict != "Fail":
                continue
            status, asked = self.outcome(request)
            self.assertFalse(asked, probe["id"])
            self.assertTrue(status == RESET or int(str(status)) >= 400, (probe["id"], status))
            refused += 1
        return refused

    def test_smuggled_in_pseudo_fields(self) -> None:
        """CR, LF, NUL, a space and a whole request, in each of them and in a field."""
        for evil in (b"\r", b"\n", b"\r\n", b"\0", b" ", b" HTTP/1.1\r\n\r\n" + SMUGGLED, b"\t"):
            inside = evil in (b" ", b"\t")  # where a value may have them
            for name in (
                b":method",
                b":path",
                b":scheme",
                b":authority",
                *([] if inside else [b"x"]),
            ):
                said = dict(POST) | {name: dict(POST).get(name, b"v") + evil + b"x"}
                self.refused(list(said.items()), None)
            self.refused([*POST, (b"x" + evil + b"y", b"v")], None)

    def test_fields_of_the_connection(self) -> None:
        """Those by which HTTP/1.1 is made to read a body otherwise."""
        for pair in (
            (b"connection", b"content-length"),
            (b"transfer-encoding", b"chunked"),
            (b"transfer-encoding", b"identity"),
            (b"te", b"trailers, chunked"),
            (b"upgrade", b"h2c"),
            (b"http2-settings", b"AAMAAABkAAQAAP__"),
            (b"keep-alive", b"timeout=5"),
            (b"proxy-connection", b"keep-alive"),
        ):
            fields = [*POST, pair]
            if pair[0] == b"http2-settings":
                self.assertEqual(self.outcome(CarriedOver(fields, b"", True)), (200, True))
            else:
                self.refused(fields, SMUGGLED)

    def test_lengths_against_data(self) -> None:
        """A length is what the data are, to the byte, or the request is none."""
        size = len(SMUGGLED)
        for length in (0, 1, size - 1, size + 1, 10 * size, 2**31):
            fields = [*POST, (b"content-length", b"%d" % length)]
            status, _ = self.outcome(CarriedOver(fields, SMUGGLED, True))
            self.assertEqual(status, RESET, length)
            self.assertEqual(self.whole(), 0, length)
        for value in (b"+5", b"5, 5", b"05", b"5 ", b"", b"0x28", b"-1", b"9" * 40):
            self.refused([*POST, (b"content-length", value)], SMUGGLED)
        twice = [(b"content-length", b"%d" % size)] * 2
        self.refused([*POST, *twice], SMUGGLED)
        fields = [*POST, twice[0]]
        self.assertEqual(self.outcome(CarriedOver(fields, SMUGGLED, True)), (200, True))

    def refused(self, fields: Headers, body: bytes | None) -> None:
        status, asked = self.outcome(CarriedOver(fields, body, True))
        self.assertFalse(asked, fields)
        self.assertTrue(status == RESET or int(str(status)) >= 400, (fields, status))

    def whole(self) -> int:
        """How many requests guests have, whole, that nobody took back."""
        return sum(
            event.exchange not in side.aborted for side in self.sides for event in side.asked
        )
