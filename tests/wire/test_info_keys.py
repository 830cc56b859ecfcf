"""Each key of C{info} has the type and range of docs/protocol.md, wherever a message has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from subproxy.wire import messages as m
from subproxy.wire.errors import MessageError

Range = tuple[list[Any], list[Any]]


def integer(low: int, high: int = 2**53 - 1) -> Range:
    """The first and last that are right; what is wrong."""
    return [low, high], [low - 1, high + 1, b"%d" % low, True, None]


def octets(low: int, high: int) -> Range:
    """Likewise of byte strings, by their length."""
    wrong: list[Any] = [b"x" * (high + 1), low, None, [b"x"]]
    return [b"x" * low, b"x" * high], [*wrong, b""] if low else wrong


def names(most: int) -> Range:
    """Lists of byte strings of 1 to 32 bytes."""
    return [[], [b"x"], [b"x" * 32] * most], [[b"x"] * (most + 1), [b""], [b"x" * 33], [1], b"x"]


BOOLEAN: Range = [True, False], [0, 1, b"true", None]
GREETING = {
    "frame": integer(1024, 9_999_999),
    "window": integer(1, 2**31 - 1),
    "inline": integer(0, 2**31 - 1),
}
PEER: Range = (
    [{b"host": b"x"}, {b"host": b"x" * 128, b"process": 1023}],
    [{}, {b"host": b""}, {b"host": b"x", b"process": 1024}, {b"process": 1}, b"x", None],
)
CERTIFICATE = {
    "sni": octets(0, 1024),
    "alpn": octets(0, 1024),
    "verified": BOOLEAN,
    "sha256": octets(32, 32),
    "cert": octets(1, 65_536),
}
TLS: Range = (
    [
        {b"version": b"x"},
        {b"version": b"x" * 128},
        *(
            {b"version": b"1.3", key.encode(): value}
            for key, (good, _) in CERTIFICATE.items()
            for value in good
        ),
    ],
    [
        {},
        {b"sni": b"x"},
        {b"version": b""},
        *(
            {b"version": b"1.3", key.encode(): value}
            for key, (_, wrong) in CERTIFICATE.items()
            for value in wrong
        ),
    ],
)

KEYS: dict[str, tuple[dict[bytes, Any], dict[str, Range]]] = {
    "hello": (
        {b"version": 1, b"application": b"a", b"instance": b"i"},
        {
            **GREETING,
            "application": octets(1, 128),
            "instance": octets(1, 128),
            "worker": integer(0),
            "concurrency": integer(0),
            "weight": integer(1, 1000),
            "agent": octets(0, 1024),
            "bulk": BOOLEAN,
            "ahead": BOOLEAN,
            "tunnel": names(8),
            "process": integer(0, 1023),
            "peer": PEER,
        },
    ),
    "welcome": (
        {b"version": 1, b"processes": 1024},
        {
            **GREETING,
            "identity": octets(0, 1024),
            "ping": integer(1),
            "timeout": integer(1),
            "bulk": integer(0),
            "tunnel": integer(0),
            "process": integer(0, 1023),
            "processes": integer(1, 1024),
            "epoch": octets(1, 128),
        },
    ),
    "pong": ({}, {"concurrency": integer(0), "full": BOOLEAN}),
    "register": (
        {},
        {
            "identity": octets(1, 1024),
            "concurrency": integer(0),
            "weight": integer(1, 1000),
            "tls": names(8),
            "passthrough": BOOLEAN,
            "wakes": BOOLEAN,
        },
    ),
    "registered": ({}, {"tls": names(8), "passthrough": BOOLEAN}),
    "request": (
        {},
        {
            "client": octets(0, 1024),
            "scheme": octets(0, 1024),
            "version": octets(0, 1024),
            "id": octets(0, 1024),
            "expect": BOOLEAN,
            "tunnel": (
                [b"x", b"a" * 32, b"TLS/1.3", b"!#$%&'*+-.^_`|~"],
                [b"", b"a" * 33, b"a b", b"/", b"a/", b"/a", b"a/b/c", b"a,b", 1, None],
            ),
            "ahead": octets(1, 128),
            "trailers": BOOLEAN,
            "tls": TLS,
            "hops": integer(0, 2),
            "stamped": BOOLEAN,
        },
    ),
    "response": ({}, {"reason": octets(0, 1024)}),
    "drain": ({}, {"deadline": integer(0)}),
}
"""By verb: what must be there, and what each key may be."""

BEFORE: dict[str, list[Any]] = {
    "pong": [b"nonce"],
    "register": [1, b"host", b"path"],
    "registered": [1],
    "request": [1, b"GET", b"/", []],
    "response": [1, 200, []],
}
BEHIND = {"request": [b""], "response": [b""]}
"""The elements of each before its C{info}, and behind it."""


def every_key() -> Iterator[tuple[str, str, dict[bytes, Any], Range]]:
    """Each verb and key, with what must be there beside it, and its range."""
    for verb, (needed, keys) in KEYS.items():
        for key, values in keys.items():
            yield verb, key, needed, values


def parse(verb: str, info: Any) -> m.Message | None:
    """The message of that verb with that C{info}."""
    return m.parse([verb.encode(), *BEFORE.get(verb, []), info, *BEHIND.get(verb, [])])


class InfoKeyTests(SynchronousTestCase):
    def test_what_is_right(self) -> None:
        for verb, key, needed, (good, _) in every_key():
            for value in good:
                info = {**needed, key.encode(): value}
                message: Any = parse(verb, info)
                self.assertEqual(message.info, info)

    def test_what_is_wrong(self) -> None:
        """It is said of which key."""
        for verb, key, needed, (_, wrong) in every_key():
            for value in wrong:
                error = self.assertRaises(
                    MessageError, parse, verb, {**needed, key.encode(): value}
                )
                self.assertIn(f"{verb}: {key}: ", str(error), value)

    def test_what_must_be_there(self) -> None:
        for verb, needed in (
            ("hello", ("version", "application", "instance")),
            ("welcome", ("version",)),
        ):
            for key in needed:
                info = {
                    each: value for each, value in KEYS[verb][0].items() if each != key.encode()
                }
                error = self.assertRaises(MessageError, parse, verb, info)
                self.assertIn(f"{key} is missing", str(error))

    def test_other_keys_mean_nothing(self) -> None:
        for verb, (needed, _) in KEYS.items():
            message: Any = parse(verb, {**needed, b"new": [None]})
            self.assertEqual(message.info[b"new"], [None])

    def test_one_of_so_many_processes(self) -> None:
        """By default the first of one."""
        for process, processes, right in (
            (0, 1, True),
            (1, 1, False),
            (1, 2, True),
            (2, 2, False),
            (None, 1, True),
            (0, None, True),
            (1, None, False),
        ):
            info: dict[bytes, Any] = {b"version": 1}
            if process is not None:
                info[b"process"] = process
            if processes is not None:
                info[b"processes"] = processes
            if right:
                parse("welcome", info)
            else:
                self.assertRaises(MessageError, parse, "welcome", info)
