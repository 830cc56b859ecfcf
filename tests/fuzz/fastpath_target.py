"""One input of the fuzzer of the compiled path: fuzz_fastpath.py, and what replays its corpus."""

from __future__ import annotations

from tests.rigs import fastpath_inputs as inputs

CONVERSATION = 128


def one_input(data: bytes) -> str:
    """Compare the two paths; what became of it."""
    kind, data = data[:1] or b"\0", data[1:]
    if kind[0] >= CONVERSATION:
        inputs.play(data, "json" if kind[0] & 1 else "combined").close()
        return "conversation"
    take = inputs.Bytes(data)
    if kind[0] >= 64:
        number = take.one([1, 9, 10, 12345, 2**53 - 1])
        method = take.one([b"GET", b"HEAD"])
        return "response " + inputs.compare_response(inputs.answer(take, number), method)
    return "request " + inputs.compare_request(
        inputs.request(take) if kind[0] else data  # zero: the bytes as they are
    )
