"""
What a client of TLS may send that is none, to all engines: C{python -m tests.fuzz.mutate
tests.fuzz.tls_target FOLDER}, where C{python -m tests.fuzz.tls_target FOLDER} has written seeds.

The first byte of an input chooses when it comes (first, behind the ClientHello, behind the
handshake), the second in which pieces. Nothing may raise, and all engines do the same.
"""

from __future__ import annotations

import ssl
import sys
from pathlib import Path
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from subproxy.frontend.tls.context_cache import ContextCache
from subproxy.frontend.tls.python_engine import PythonEngine
from subproxy.frontend.tls.system_engine import SystemEngine
from subproxy.frontend.tls.wheel_engine import WheelEngine
from tests.rigs.tls_line import AUTHORITY, Line

ENGINES = (PythonEngine(), SystemEngine(), WheelEngine())
CONTEXTS = [ContextCache(each, (b"http/1.1",), lambda: 0.0) for each in ENGINES]
CLIENT = AUTHORITY.client_context()
CLIENT_1_2 = AUTHORITY.client_context()
CLIENT_1_2.maximum_version = ssl.TLSVersion.TLSv1_2
STAGES = 6  # three of each version


def one_side(number: int, data: bytes) -> Any:
    """What one engine does with it."""
    stage = data[0] % STAGES
    client = CLIENT if stage < 3 else CLIENT_1_2
    line = Line(ENGINES[number], context=client, contexts=CONTEXTS[number])
    match stage % 3:
        case 1:
            line.server.dataReceived(line.client.start())
        case 2:
            line.shake()
    line.take()
    rest, size = data[2:], data[1] or len(data)
    for at in range(0, len(rest), size):
        if not line.transport.aborted:
            line.server.dataReceived(rest[at : at + size])
    inner = getattr(line.server, "inner", None)
    found = (
        getattr(line.server, "state", None),
        None if inner is None else inner.events,
        bool(line.take()),
        line.transport.disconnecting,
        line.transport.aborted,
        dict(line.counts),
    )
    line.server.connectionLost(Failure(ConnectionDone()))
    assert len(line.http.connections) == 0
    return found


def run(data: bytes) -> None:
    """One input; raises if the engines differ."""
    if len(data) > 2:
        reference, *compiled = (one_side(number, data) for number in range(len(ENGINES)))
        for each in compiled:
            if reference != each:
                raise AssertionError(f"{reference}\n{each}")


def seeds(folder: Path) -> None:
    """Write what real clients send, at each stage."""
    folder.mkdir(parents=True, exist_ok=True)
    for version, context in enumerate((CLIENT, CLIENT_1_2)):
        line = Line(ENGINES[1], context=context)
        hello = line.client.start()
        line.server.dataReceived(hello)
        second = line.client.feed(line.take())
        line.move(second)
        sent = (hello, second, line.client.send(b"hello") + line.client.close())
        for stage, piece in enumerate(sent):
            for split in (0, 7):
                name = f"{version}-{stage}-{split}"
                (folder / name).write_bytes(bytes([version * 3 + stage, split]) + piece)


if __name__ == "__main__":
    seeds(Path(sys.argv[1]))
