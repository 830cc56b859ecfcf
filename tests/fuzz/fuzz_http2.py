"""
Fuzzes the compiled side of HTTP/2 against the reference, blindly, by seeds.

    python -m tests.fuzz.fuzz_http2 blocks 1 100000         # HPACK, of one connection each
    python -m tests.fuzz.fuzz_http2 frames 1 100000         # frames, nearly right, in any pieces
    python -m tests.fuzz.fuzz_http2 conversations 1 10000   # requests and answers
    python -m tests.fuzz.fuzz_http2 hpack 1 100000          # HPACK, against python's hpack
    python -m tests.fuzz.fuzz_http2 requests 1 10000        # any frames, against python's h2

The numbers are the first seed and how many; a seed that differs is printed, and ends the run. Under
AddressSanitizer: C{tests/integration/asan.sh .venv/bin/python -m tests.fuzz.fuzz_http2 ...}.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable

from subproxy.frontend.http2.frames import FrameType, write_frame, write_settings
from subproxy.frontend.http2.hpack import encode_fields
from tests.fastpath.test_hpack import play as blocks
from tests.fastpath.test_http2_differential import Http2ConversationTests, request
from tests.fuzz import http2_oracle
from tests.rigs.hpack_blocks import hostile
from tests.rigs.http2_sides import Http2Side


class RawSide(Http2Side):
    """A side whose client says any bytes, and is told by stream what came."""

    def connect(self) -> None:
        super().connect()
        self.came: dict[int, list[tuple[int, int, bytes]]] = {}

    def turn(self) -> None:
        for _ in range(3):
            self.world.advance(0)
        heard = self.renamed(self.guest_transport.value())
        self.heard = self.__dict__.get("heard", b"") + heard
        self.guest_transport.clear()
        data = self.renamed(self.transport.value())
        self.transport.clear()
        while data:
            size = int.from_bytes(data[:3], "big")
            stream = int.from_bytes(data[5:9], "big")
            told = self.__dict__.setdefault("came", {}).setdefault(stream, [])
            told.append((data[3], data[4], data[9 : 9 + size]))
            data = data[9 + size :]


def frame(chosen: random.Random) -> bytes:
    """One frame, nearly right."""
    kind = chosen.choice([0, 0, 1, 1, 1, 1, 2, 3, 3, 4, 5, 6, 7, 8, 8, 9, 16, 99])
    stream = chosen.choice([0, 1, 1, 3, 3, 5, 7, 9, 2, 1001])
    flags = chosen.choice([0, 1, 4, 5, 5, 8, 13, 32, 37, 255])
    if kind == FrameType.HEADERS:
        payload = encode_fields(request(chosen))
        if flags & 8:
            payload = b"\2" + payload + b"\0\0"
        if chosen.random() < 0.2:
            payload = hostile(chosen, payload)
    elif kind == FrameType.SETTINGS:
        settings = {
            chosen.choice([1, 2, 3, 4, 5, 6, 9]): chosen.choice([0, 1, 50, 16384, 2**31 - 1])
        }
        payload = write_settings(settings)[9:]  # type: ignore[arg-type]
        stream, flags = chosen.choice([(0, 0), (0, 0), (0, 0), (0, 1), (1, 0)])
    elif kind == FrameType.WINDOW_UPDATE:
        payload = chosen.choice([0, 1, 1000, 2**31 - 1]).to_bytes(4, "big")
    else:
        payload = chosen.randbytes(chosen.choice([0, 1, 4, 4, 5, 8, 8, 30]))
    if chosen.random() < 0.05:
        payload = payload[: chosen.randrange(len(payload) + 1)]
    return write_frame(kind, flags, stream, payload)


def frames(seed: int) -> None:
    """Any frames in any pieces, and the same is seen of both sides."""
    chosen = random.Random(seed)
    data = b"".join([frame(chosen) for _ in range(chosen.randrange(1, 12))])
    cuts = sorted(chosen.randrange(len(data) + 1) for _ in range(chosen.randrange(4)))
    sides = [RawSide(True), RawSide(False)]
    at = 0
    for end in [*cuts, len(data)]:
        for side in sides:
            side.say(data[at:end])
        at = end
    fast, slow = ({**side.observed(), "came": side.came, "heard": side.heard} for side in sides)
    for side in sides:
        side.log.close()
    for key, value in fast.items():
        assert value == slow[key], (seed, key, value, slow[key])


def main() -> None:
    """See above."""
    kinds: dict[str, Callable[[int], None]] = {
        "blocks": blocks,
        "frames": frames,
        "conversations": Http2ConversationTests("test_plain").play,
        "hpack": http2_oracle.blocks,
        "requests": http2_oracle.requests,
    }
    kind, first, count = kinds[sys.argv[1]], int(sys.argv[2]), int(sys.argv[3])
    began = time.monotonic()
    for seed in range(first, first + count):
        try:
            kind(seed)
        except BaseException:
            print(f"seed {seed}", flush=True)
            raise
    print(f"{count} in {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
