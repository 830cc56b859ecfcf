"""
Fuzz without atheris: C{python -m tests.fuzz.mutate TARGET CORPUS [--runs N] [--seed N]}.

Blind, and many times faster: for volume, from the corpus that the guided one has found. TARGET is
a module with a function C{run(data)}, such as C{tests.fuzz.wire_target}. An input that raises is
written to the working directory, and ends the run.
"""

from __future__ import annotations

import argparse
import importlib
import random
import time
import zlib
from collections.abc import Callable
from pathlib import Path

TOKENS = [
    *(b":", b",", b"]", b"}", b"#", b"~", b"!", b"^", b"0:", b"0:]", b"0:}", b"0:,", b"0:~"),
    *(b"1:1#", b"1:2#", b"2:01#", b"4:true!", b"\xff", b"\0", b"-", b"+", b"9999999:", b"\r\n"),
]


def mutated(rng: random.Random, inputs: list[bytes], longest: int) -> bytes:
    """An input made of one or two others."""
    data = bytearray(rng.choice(inputs))
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        size = len(data)
        at = rng.randrange(size + 1)
        match rng.randrange(9):
            case 0 if at < size:
                data[at] ^= 1 << rng.randrange(8)
            case 1 if at < size:
                data[at] = rng.randrange(256)
            case 2:
                data[at:at] = rng.choice(TOKENS)
            case 3:
                del data[at : at + rng.choice((1, 1, 2, 5, 30))]
            case 4:
                other = rng.choice(inputs)
                begin = rng.randrange(len(other) + 1)
                data[at:] = other[begin:]
            case 5:
                other = rng.choice(inputs)
                begin = rng.randrange(len(other) + 1)
                data[at:at] = other[begin : begin + rng.randrange(40)]
            case 6:
                data[at:at] = data[at : at + rng.randrange(60)]
            case 7:
                data += rng.choice(inputs)[1:]
            case 8 if data:
                data[0] = rng.randrange(256)
    return bytes(data[:longest])


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("corpus", type=Path, nargs="+")
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=int, default=400)
    options = parser.parse_args()
    run: Callable[[bytes], None] = importlib.import_module(options.target).run
    files = (path for each in options.corpus for path in sorted(each.rglob("*")) if path.is_file())
    inputs = [path.read_bytes() for path in files]
    rng = random.Random(options.seed)
    began = time.monotonic()
    for count in range(1, options.runs + 1):
        data = mutated(rng, inputs, options.longest)
        try:
            run(data)
        except BaseException:
            path = Path(f"crash-{zlib.crc32(data):08x}")
            path.write_bytes(data)
            print(f"input {count} raised; it is in {path}", flush=True)
            raise
        if count % 100_000 == 0:
            print(f"{count} runs, {count / (time.monotonic() - began):.0f}/s", flush=True)


if __name__ == "__main__":
    main()
