"""
A guest that starts quickly, for machines that are processes.

    machine_guest.py LISTENER HOST CONCURRENCY

It notes each of its starts, is the instance that a file C{instance} says, if there is one, and
answers C{/held...} when there is a file C{released}: all in the folder that C{MACHINE_GUEST} names.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

from subproxy.wire.frames import encoded_pieces
from tests.integration.light import ANSWER, Subscriber

FOLDER = Path(os.environ["MACHINE_GUEST"])


def instance() -> bytes:
    """What the file of that name says; else it is another one each time."""
    try:
        return (FOLDER / "instance").read_bytes()
    except FileNotFoundError:
        return b"%d" % os.getpid()


class HoldingSubscriber(Subscriber):
    """Answers some requests later."""

    concurrency = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        info = {
            b"version": 1,
            b"application": b"machine",
            b"instance": instance(),
            b"concurrency": self.concurrency,
        }
        for frame in ([b"hello", info], [b"register", 1, self.host, b"/.*"]):
            self.transport.write(b"".join(encoded_pieces(frame)))

    def received(self, frame: bytes) -> None:
        if frame.startswith(b"7:request,") and b":/held" in frame:
            found = re.match(rb"7:request,\d+:(\d+)#", frame)
            assert found is not None
            self.answer_later(found[1])
        else:
            super().received(frame)

    def answer_later(self, number: bytes) -> None:
        if not (FOLDER / "released").exists():
            asyncio.get_running_loop().call_later(0.02, self.answer_later, number)
            return
        said = ANSWER % (len(number), number)
        self.transport.write(b"%d:%b]" % (len(said), said))


async def main(path: str, host: str, concurrency: int) -> None:
    gone = asyncio.Event()

    def subscriber() -> HoldingSubscriber:
        made = HoldingSubscriber(host.encode(), gone)
        made.concurrency = concurrency
        return made

    await asyncio.get_running_loop().create_unix_connection(subscriber, path)
    await gone.wait()


if __name__ == "__main__":
    with open(FOLDER / "starts", "a", encoding="ascii") as starts:
        starts.write(f"{os.getpid()}\n")
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
