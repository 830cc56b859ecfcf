"""The corpus of requests, each with the status that its first request gets and what follows."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.fuzz_http1 import one_input
from tests.rigs.fake_dispatcher import Client, FakeGuest
from tests.rigs.http_oracle import Recorder, check_client
from tests.rigs.paths import ROOT

CORPUS = ROOT / "tests" / "corpus" / "http"


def answer(guest: FakeGuest) -> None:
    """OK, or the body."""
    if guest.exchange.body is not None:
        guest.respond(200, [], guest.exchange.body or b"OK")
        return

    def end(trailers: object) -> None:
        guest.respond(200, [], guest.body or b"OK")

    guest.endBody = end  # type: ignore[method-assign, assignment]
    guest.exchange.resume_request()


class CorpusTests(SynchronousTestCase):
    def test_each_request_gets_its_status(self) -> None:
        cases = json.loads((CORPUS / "cases.json").read_text())
        self.assertGreater(len(cases), 100)
        wrong = []
        for case in cases:
            request = case["request"].encode("latin-1")
            for size in (len(request), 1 if len(request) < 1000 else 100, 7):
                recorder = Recorder()
                client = Client(answer, log=recorder)
                for at in range(0, len(request), size):
                    client.send(request[at : at + size])
                client.wait(1)
                check_client(client, recorder)
                status = recorder.exchanges[0][1] if recorder.exchanges else 0
                if (status, client.closed) != (case["status"], case["closed"]):
                    wrong.append((case["name"], size, status, client.closed))
        self.assertEqual(wrong, [])

    def test_what_the_fuzzer_found(self) -> None:
        for path in sorted((CORPUS / "found").iterdir()):
            one_input(path.read_bytes())
