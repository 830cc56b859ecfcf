"""The HTTP/1.1 frontend, for L{tests.fuzz.mutate}: blind, and many times faster than atheris."""

from tests.fuzz.fuzz_http1 import fuzzed as run

__all__ = ["run"]
