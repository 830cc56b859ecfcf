"""C{subproxy logs}: the access log, as it is written, and what somebody wants of it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TextIO

from subproxy.cli.client import AdminError
from subproxy.cli.log_lines import LogFilter
from subproxy.core.printable import printable
from subproxy.telemetry.log_reader import parsed

LOOK_AGAIN = 0.25
"""Seconds between looks at a file that has no more."""


def logs(
    path: str, wanted: LogFilter, *, last: int, follow: bool, as_json: bool, out: TextIO
) -> None:
    """
    Print the lines of a log that are wanted.

    @param path: a file; C{-} for standard input.
    @param last: how many of those that are there already.
    @param follow: go on with what is written from now on, also after a rotation.
    @raise AdminError: the file can't be read.
    """
    if path == "-":
        _print(sys.stdin, wanted, as_json, out)
        return
    kept: deque[str] = deque(maxlen=last)
    rest = b""
    try:
        with open(path, "rb") as file:
            for line in file:
                rest = b"" if line.endswith(b"\n") else line
                text = None if rest else _shown(line.decode("latin-1"), wanted, as_json)
                if text is not None:
                    kept.append(text)
            at, seen = file.tell(), os.fstat(file.fileno())
        for text in kept:
            print(text, file=out, flush=True)
        if follow:
            lines = _follow(path, at, (seen.st_dev, seen.st_ino), rest)
            _print((line.decode("latin-1") for line in lines), wanted, as_json, out)
    except BrokenPipeError:
        raise  # of who reads what is printed
    except OSError as error:
        raise AdminError(f"{path}: {error.strerror}") from None


def _follow(path: str, at: int, seen: tuple[int, int], rest: bytes) -> Iterator[bytes]:
    """
    Whole lines from C{at} on, without end.

    A file that has been moved away is read to its end, then the one that has its place; one that
    has become shorter is read from its beginning.

    @param seen: device and inode of the file that was read up to C{at}.
    @param rest: a line of it that has no end yet.
    """
    # Another one takes its place.
    file = open(path, "rb")  # noqa: SIM115
    try:
        found = os.fstat(file.fileno())
        if (found.st_dev, found.st_ino) == seen and found.st_size >= at:
            file.seek(at)
        else:
            rest = b""
        while True:
            for piece in iter(file.readline, b""):
                rest += piece
                if rest.endswith(b"\n"):
                    yield rest
                    rest = b""
            here = os.fstat(file.fileno())
            try:
                there = os.stat(path)
            except OSError:
                there = here
            if (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino):
                fresh = open(path, "rb")  # noqa: SIM115
                file.close()
                file, rest = fresh, b""
            elif here.st_size < file.tell():
                file.seek(0)
                rest = b""
            else:
                time.sleep(LOOK_AGAIN)
    finally:
        file.close()


def _shown(line: str, wanted: LogFilter, as_json: bool) -> str | None:
    data = parsed(line.rstrip("\n"))
    if data is None or not wanted.wants(data, _serves):
        return None
    return json.dumps(data) if as_json else printable(line.rstrip("\n"))


def _print(lines: Iterable[str], wanted: LogFilter, as_json: bool, out: TextIO) -> None:
    for line in lines:
        text = _shown(line, wanted, as_json)
        if text is not None:
            print(text, file=out, flush=True)


def _serves(pattern: str, host: str) -> bool:
    """Whether a host pattern of a route, as the log has it, matches C{host}."""
    import re2  # a quarter of the start, and seldom needed

    try:
        return re2.fullmatch(pattern, host) is not None
    except re2.error:
        return False
