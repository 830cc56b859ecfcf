"""
Fuzzes the compiled path against the Python path, with atheris or with random bytes.

    python -m tests.fuzz.fuzz_fastpath [-runs=N] [FOLDER...]       # libFuzzer's options
    python -m tests.fuzz.fuzz_fastpath --random SEED N [messages]   # N inputs without atheris

The first byte of an input chooses what it is: one request, one response, or a conversation
(see L{tests.fastpath_inputs}). C{messages} leaves conversations out: a hundred times as many
inputs a second.
"""

from __future__ import annotations

import collections
import importlib
import random
import sys

try:
    import atheris
except ImportError:
    atheris = None

if atheris is not None and "--random" not in sys.argv:
    with atheris.instrument_imports(include=["subproxy"]):
        importlib.import_module("subproxy.frontend.factory")
        importlib.import_module("subproxy.subscription.factory")

from tests import fastpath_inputs as inputs

CONVERSATION = 128


def one_input(data: bytes) -> str:
    """Compare the two paths; what became of it."""
    kind, data = data[:1] or b"\0", data[1:]
    if kind[0] >= CONVERSATION:
        for side in inputs.play(data).sides:
            side.log.close()
        return "conversation"
    take = inputs.Bytes(data)
    if kind[0] >= 64:
        number = take.one([1, 9, 10, 12345, 2**53 - 1])
        method = take.one([b"GET", b"HEAD"])
        return "response " + inputs.compare_response(inputs.answer(take, number), method)
    return "request " + inputs.compare_request(
        inputs.request(take) if kind[0] else data  # zero: the bytes as they are
    )


def at_random(seed: int, count: int, messages: bool) -> None:
    """That many inputs; prints what became of them."""
    source = random.Random(seed)
    became: collections.Counter[str] = collections.Counter()
    for number in range(1, count + 1):
        data = source.randbytes(source.choice((10, 25, 60, 120, 250)))
        if messages:
            data = bytes([data[0] % CONVERSATION]) + data[1:]
        try:
            became[one_input(data)] += 1
        except Exception:
            print(f"input {data.hex()}", flush=True)
            raise
        if (number % 10_000 == 0 and not messages) or number % 1_000_000 == 0 or number == count:
            print(number, dict(became), flush=True)


def main() -> None:
    """See above."""
    if "--random" in sys.argv:
        at = sys.argv.index("--random")
        at_random(int(sys.argv[at + 1]), int(sys.argv[at + 2]), "messages" in sys.argv)
        return
    if atheris is None:
        raise SystemExit("atheris is not installed")
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
