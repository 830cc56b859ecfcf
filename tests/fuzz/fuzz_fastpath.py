"""
Fuzzes the compiled path against the Python path, with atheris or with random bytes.

    python -m tests.fuzz.fuzz_fastpath [KIND] [-runs=N] [FOLDER...]   # libFuzzer's options
    python -m tests.fuzz.fuzz_fastpath [KIND] --random SEED N         # N inputs without atheris

The first byte of an input chooses what it is: one request, one response, or a conversation
(see L{tests.rigs.fastpath_inputs}). As KIND, C{messages} leaves conversations out, which is a
hundred
times as many inputs a second, and C{conversations} leaves out all else.
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

from tests.fuzz.fastpath_target import CONVERSATION, one_input


class Run:
    """Compares input after input, of one kind or of all, and tells what became of them."""

    def __init__(self, kind: str, every: int) -> None:
        self.kind = kind
        self.every = every
        self.count = 0
        self.became: collections.Counter[str] = collections.Counter()

    def __call__(self, data: bytes) -> None:
        first = data[0] if data else 0
        if self.kind == "messages":
            first %= CONVERSATION
        elif self.kind == "conversations":
            first |= CONVERSATION
        self.count += 1
        try:
            self.became[one_input(bytes([first]) + data[1:])] += 1
        except Exception:
            print(f"input {bytes([first]).hex()}{data[1:].hex()}", flush=True)
            raise
        if self.count % self.every == 0:
            self.tell()

    def tell(self) -> None:
        print(self.count, dict(self.became), flush=True)


def at_random(run: Run, seed: int, count: int) -> None:
    """That many inputs."""
    source = random.Random(seed)
    for _ in range(count):
        run(source.randbytes(source.choice((10, 25, 60, 120, 250))))
    run.tell()


def main() -> None:
    """See above."""
    arguments = sys.argv[1:]
    kind = next((each for each in arguments if each in ("messages", "conversations")), "")
    if kind:
        arguments.remove(kind)
    run = Run(kind, 1_000_000 if kind == "messages" else 10_000)
    if "--random" in arguments:
        at = arguments.index("--random")
        at_random(run, int(arguments[at + 1]), int(arguments[at + 2]))
        return
    if atheris is None:
        raise SystemExit("atheris is not installed")
    atheris.Setup(sys.argv[:1] + arguments, run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
