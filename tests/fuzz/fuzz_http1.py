"""
Fuzzes the HTTP/1.1 frontend from the client's side, with atheris.

    python -m tests.fuzz.fuzz_http1 [-runs=N] [FOLDER...]     # libFuzzer's options
    python -m tests.fuzz.fuzz_http1 --seeds FOLDER            # writes seeds made of the corpus

The first two bytes of an input choose how the guest answers, where the input is split, and
how it ends; the rest is what the client sends. Nothing may raise, and what a guest is shown must be
clean; some inputs are also read a second time in other pieces, and some answers by h11.
"""

from __future__ import annotations

import importlib
import json
import sys
import zlib
from dataclasses import replace
from pathlib import Path

try:
    import atheris
except ImportError:
    atheris = None

if __name__ == "__main__" and atheris is not None and "--seeds" not in sys.argv:
    with atheris.instrument_imports(include=["subproxy"]):
        importlib.import_module("subproxy.frontend.factory")

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from subproxy.core.exchange import Exchange, ExchangeState
from subproxy.core.http.fields import FIELD_VALUE, TARGET, TOKEN
from subproxy.frontend.limits import HttpLimits
from tests.rigs.fake_dispatcher import Client, FakeGuest, echo
from tests.rigs.http_oracle import Recorder, check_client

LIMITS = HttpLimits(target=200, head=2000, fields=20, body=50_000, inline=32, chunk_overhead=200)
CASES = Path(__file__).parent.parent / "corpus" / "http" / "cases.json"


def at_once(guest: FakeGuest) -> None:
    """Answers without looking at a body."""
    guest.respond(200, [(b"X-A", b"b")], b"hello")


def streamed(guest: FakeGuest) -> None:
    """Answers in pieces, and takes any body."""
    if guest.exchange.body is None:
        guest.exchange.resume_request()
    guest.respond(200, [], None)
    guest.data(b"one")
    guest.end([(b"X-T", b"u")])


def slowly(guest: FakeGuest) -> None:
    """Takes a body a read at a time, and never answers."""
    if guest.exchange.body is None:

        def pause() -> None:
            guest.exchange.pause_request()

        guest.on_body = pause
        guest.exchange.resume_request()


def broken(guest: FakeGuest) -> None:
    """Says what it must not."""
    guest.interim(103, [(b"Link", b"x")])
    guest.respond(200, [(b"Content-Length", b"3")], None)
    guest.data(b"four")


ANSWERS = (at_once, streamed, slowly, broken, echo)


class Bench:
    """What all inputs share: a factory that knows no clock but a number."""

    def __init__(self, trust: list[str]) -> None:
        self.recorder = Recorder()
        self.client = Client(None, LIMITS, trust, self.recorder)
        factory = self.client.factory
        factory.context = replace(factory.context, monotonic=lambda: 1000.0)
        self.client.lose()

    def connect(self, answer: int) -> Client:
        """A client on a fresh connection."""
        client = self.client
        self.recorder.exchanges.clear()
        client.dispatcher.guests.clear()
        client.dispatcher.answer = ANSWERS[answer]
        transport = client.transport = Transport()
        client.protocol = client.factory.buildProtocol(None)
        client.protocol.makeConnection(transport)
        return client


PEER = IPv4Address("TCP", "192.0.2.7", 4711)


class Transport:
    """As little as a protocol needs."""

    disconnecting = halfClosed = aborted = False
    producerState = "producing"

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.write = self.written.append
        self.writeSequence = self.written.extend

    def value(self) -> bytes:
        return b"".join(self.written)

    def getPeer(self) -> IPv4Address:
        return PEER

    def registerProducer(self, producer: object, streaming: bool) -> None:
        pass

    def unregisterProducer(self) -> None:
        pass

    def pauseProducing(self) -> None:
        self.producerState = "paused"

    def resumeProducing(self) -> None:
        self.producerState = "producing"

    def loseConnection(self) -> None:
        self.disconnecting = True

    def loseWriteConnection(self) -> None:
        self.halfClosed = True

    def abortConnection(self) -> None:
        self.aborted = True


BENCHES = (Bench([]), Bench(["192.0.2.0/24"]))


def run(
    data: bytes, answer: int, pieces: int, ending: int, checked: bool
) -> list[tuple[object, ...]]:
    """Send C{data} in C{pieces}; what became of it."""
    bench = BENCHES[ending & 1]
    client = bench.connect(answer)
    protocol = client.protocol
    if pieces > 1:
        size = max(1, len(data) // pieces)
        for at in range(0, len(data), size):
            protocol.dataReceived(data[at : at + size])
    elif data:
        protocol.dataReceived(data)
    guests = client.dispatcher.guests
    if answer == 2:
        for guest in guests:
            if guest.exchange.state is ExchangeState.SENT:
                guest.exchange.resume_request()
    if ending & 2:
        protocol.readConnectionLost()
    for guest in guests:
        check(guest.exchange)
    if checked:
        check_client(client, bench.recorder)
    seen: list[tuple[object, ...]] = [
        (status, exchange.request.target, exchange.request.host) if status == 200 else (400,)
        for exchange, status, _ in bench.recorder.exchanges
    ]
    protocol.connectionLost(LOST)
    assert not client.factory.connections
    for call in client.clock.getDelayedCalls():
        call.cancel()
    return seen


LOST = Failure(ConnectionDone())


def check(exchange: Exchange) -> None:
    """Cheaply: what a guest is shown is clean."""
    request = exchange.request
    assert request.target[:1] == b"/"
    assert not request.target.translate(None, TARGET)
    assert not request.method.translate(None, TOKEN)
    for name, value in request.headers:
        assert name
        assert not name.translate(None, TOKEN)
        assert not value.translate(None, FIELD_VALUE)


def one_input(data: bytes, checked: bool = True) -> None:
    """Run one input, with h11 if C{checked}."""
    if len(data) < 2:
        return
    first, second = data[0], data[1]
    data = data[2:]
    pieces, ending = 1 + (first >> 2 & 7), second & 3
    if second & 0xC0 == 0xC0:
        # Into how many reads it is cut makes no difference, if the guest waits for the body.
        seen = run(data, 4, pieces, ending, checked)
        assert seen == run(data, 4, 1, ending, False), seen
    else:
        run(data, first & 3, pieces, ending, checked)


def fuzzed(data: bytes) -> None:
    """What the fuzzer calls: h11 reads one answer in 32, for it is ten times slower."""
    one_input(data, zlib.crc32(data) & 31 == 0)


def write_seeds(folder: Path) -> None:
    """The corpus of requests, as inputs."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, case in enumerate(json.loads(CASES.read_text())):
        request = case["request"].encode("latin-1")[:4000]
        for answer in range(4):
            (folder / f"{number:03}-{answer}").write_bytes(bytes((answer | 8, 0)) + request)
        (folder / f"{number:03}-4").write_bytes(bytes((0x14, 0xC0)) + request)


def main() -> None:
    """Fuzz, or write seeds."""
    if "--seeds" in sys.argv:
        write_seeds(Path(sys.argv[-1]))
        return
    assert atheris is not None, "pip install atheris"
    atheris.Setup(sys.argv, fuzzed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
