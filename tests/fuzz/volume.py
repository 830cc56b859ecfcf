"""
Millions of nearly right inputs to what is compiled of HTTP/2 and TLS, for AddressSanitizer to see.

    ASAN_TIMEOUT=9000 tests/integration/asan.sh .venv/bin/python -m tests.fuzz.volume blocks

Kinds: C{blocks} of HPACK, each to a decoder that lives until one is malformed; C{frames} of HTTP/2,
to connections that live until they are ended, with a guest that answers; C{heads} of HTTP/1.1;
C{hellos}, first messages of TLS; C{records} of TLS, to whole connections by the system's libssl,
and C{wheel_records} by that of cryptography.

What is looked for is a bad access and an exception. What is compared is found by C{fuzz_http2} and
C{tls_target}, which are slower. A seed and a count say which input it was: all are made anew.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from random import Random
from typing import Any

from hpack import Encoder

from subproxy.fastpath._hpack import FastHpackDecoder
from subproxy.frontend.http2.frames import PREFACE, write_settings
from subproxy.frontend.http2.hpack import HpackError
from subproxy.frontend.tls._client_hello import read_client_hello
from subproxy.frontend.tls.client_hello import NotTls
from subproxy.frontend.tls.client_hello import read_client_hello as reference
from subproxy.frontend.tls.context_cache import ContextCache
from subproxy.frontend.tls.interfaces import ITlsEngine
from subproxy.frontend.tls.system_engine import SystemEngine
from subproxy.frontend.tls.wheel_engine import WheelEngine
from tests.fastpath.test_http2_differential import request
from tests.frontend.tls.test_client_hello import HELLO, OTHERS
from tests.fuzz.client_after_client import GONE, Clients
from tests.fuzz.http2_frames import Frames
from tests.fuzz.mutator import Mutator
from tests.rigs.fake_dispatcher import Transport
from tests.rigs.hpack_blocks import some_blocks
from tests.rigs.tls_line import AUTHORITY, Line

TOLD = 100_000  # inputs between two lines of output


def blocks(chosen: Random) -> Callable[[], int]:
    """HPACK."""
    seeds = [block for _ in range(300) for block in some_blocks(chosen) if block]
    seeds += [Encoder().encode(request(chosen)) for _ in range(300)]
    mutated = Mutator(chosen, seeds)
    decoders = [FastHpackDecoder()]

    def step() -> int:
        decoder = decoders[0]
        for _ in range(1000):
            try:
                decoder.decode(mutated(), 60_000, 200)
            except HpackError:
                decoders[0] = decoder = FastHpackDecoder()
        return 1000

    return step


def hellos(chosen: Random) -> Callable[[], int]:
    """First messages, which the reference reads likewise."""
    mutated = Mutator(chosen, [HELLO, *OTHERS])

    def read(reader: Callable[[bytes], Any], data: bytes) -> Any:
        try:
            return reader(data)
        except NotTls:
            return NotTls

    def step() -> int:
        for _ in range(1000):
            data = mutated()
            if read(read_client_hello, data) != read(reference, data):
                raise AssertionError(data.hex())
        return 1000

    return step


def frames(chosen: Random) -> Callable[[], int]:
    """HTTP/2."""
    return feed_frames(chosen, Clients(chosen))


def feed_frames(chosen: Random, clients: Clients) -> Callable[[], int]:
    """HTTP/2, to these."""
    source = Frames(chosen)
    bits = chosen.getrandbits

    def step() -> int:
        count, source.number = 0, 1
        begin = PREFACE + write_settings({})
        while True:
            # Few at a time: behind one that ends the connection no other is counted.
            some = [source.next() for _ in range(1 + bits(5))]
            data = begin + b"".join([frame for frame, _ in some])
            begin = b""
            cut = len(data) if bits(2) else 1 + bits(10)
            if not clients.say(data[:cut]) or (data[cut:] and not clients.say(data[cut:])):
                return count + 1
            count += sum([many for _, many in some])

    return step


def heads(chosen: Random) -> Callable[[], int]:
    """HTTP/1.1: one request behind the other until the connection ends."""
    clients = Clients(chosen)
    seeds = []
    for _ in range(400):
        fields = [(name, value) for name, value in request(chosen) if not name.startswith(b":")]
        lines = [b"%b: %b\r\n" % field for field in fields]
        target = chosen.choice((b"/", b"/a?b=c", b"http://a.example/x", b"*", b"/%2e"))
        method = chosen.choice((b"GET", b"GET", b"POST", b"HEAD", b"OPTIONS"))
        start = b"%b %b HTTP/1.1\r\nHost: a.example\r\n" % (method, target)
        if method == b"POST":
            lines.append(
                chosen.choice((b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"))
            )
        body = b"" if method != b"POST" else chosen.choice((b"abc", b"3\r\nabc\r\n0\r\n\r\n"))
        seeds.append(start + b"".join(lines) + b"\r\n" + body)
    mutated = Mutator(chosen, seeds)

    def step() -> int:
        count = 0
        while True:
            count += 1
            if not clients.say(mutated()):
                return count

    return step


def records(chosen: Random) -> Callable[[], int]:
    """TLS: a first flight, or what comes behind a handshake; most end the connection."""
    return feed_records(chosen, SystemEngine())


def wheel_records(chosen: Random) -> Callable[[], int]:
    """The same, to the other library."""
    return feed_records(chosen, WheelEngine())


def feed_records(chosen: Random, engine: ITlsEngine) -> Callable[[], int]:
    """TLS, to this engine."""
    contexts = ContextCache(engine, (b"http/1.1",), lambda: 0.0)
    context = AUTHORITY.client_context()
    line = Line(engine, context=context, contexts=contexts)
    alert, change = b"\x15\3\3\0\2\1\0", b"\x14\3\3\0\1\1"
    data = b"\x17\3\3\0\x20" + bytes(32)
    first = Mutator(chosen, [HELLO, HELLO[:60], *OTHERS, alert + HELLO, change + data, data])
    later = Mutator(chosen, [alert, change, data, change + data, data + alert, HELLO])

    def connect() -> Any:
        transport: Any = Transport("192.0.2.7")
        transport.protocol = line.factory.buildProtocol(None)
        transport.protocol.makeConnection(transport)
        return transport

    def step() -> int:
        if bits := chosen.getrandbits(6):
            pieces = [first()]
            transport = connect()
        else:
            line.transport = transport = connect()
            line.client = type(line.client)(AUTHORITY, "a.example", context, None)
            line.shake()
            pieces = [line.client.send(bytes(chosen.getrandbits(12))) + later()]
        if bits & 1:
            at = chosen.getrandbits(9)
            pieces = [pieces[0][:at], pieces[0][at:]]
        for piece in pieces:
            if piece and not (transport.disconnecting or transport.aborted):
                transport.protocol.dataReceived(piece)
        transport.protocol.connectionLost(GONE)
        return 1

    return step


KINDS = {each.__name__: each for each in (blocks, frames, heads, hellos, records, wheel_records)}


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--count", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    done, due, seed = 0, 0, options.seed
    while done < options.count:
        # A seed for each part, so that what fails can be played again soon.
        step, end = KINDS[options.kind](Random(seed)), min(done + TOLD, options.count)
        while done < end:
            try:
                done += step()
            except BaseException:
                print(f"{options.kind}: part of seed {seed}, behind {done} inputs", flush=True)
                raise
        seed += 1
        if done >= due or done >= options.count:
            due = done + TOLD
            rate = done / (time.monotonic() - began)
            print(f"{options.kind}: {done} inputs, {rate:.0f}/s", flush=True)


if __name__ == "__main__":
    main()
