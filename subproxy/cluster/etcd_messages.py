"""
What is said to etcd's JSON gateway, and what it answers: no I/O.

Its quirks, each seen with 3.4.23: numbers of 64 bits are texts, and what is zero or false is left
out; keys and values are base64, and what is not is refused or, if it looks like it, stored as
something else; an event that writes has no C{type}; C{TTL} is missing in the answer for a lease
that is no more, with status 200; an error may stand in C{error} or in C{message}, and its status
differs between versions, its code does not.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any, Final

from subproxy.cluster.publication import Batch
from subproxy.cluster.store import (
    KeyDeleted,
    KeyWritten,
    LeaseLost,
    StoreError,
    WatchBegun,
    WatchCanceled,
    WatchEvents,
    WatchMessage,
    WatchProgress,
)
from subproxy.core.printable import printable

MAX_LINE: Final = 64 << 20
"""Bytes of one message of a watch at most; etcd sends as much as has happened at once."""

PAGE: Final = 1000
"""Records that are asked for at once: some 300 kB."""

GRANT, KEEP_ALIVE, REVOKE = "/v3/lease/grant", "/v3/lease/keepalive", "/v3/lease/revoke"
RANGE, TRANSACTION, WATCH = "/v3/kv/range", "/v3/kv/txn", "/v3/watch"
AUTHENTICATE = "/v3/auth/authenticate"

NOT_FOUND: Final = 5
"""Code of gRPC: there is no such lease."""

UNAUTHENTICATED: Final = 16
"""Code of gRPC: the token is not, or no longer, good."""


class TokenRefused(StoreError):
    """The token has expired, or there is none: another one is needed."""


def text(value: bytes) -> str:
    """Bytes as JSON has them."""
    return b64encode(value).decode("ascii")


def data(value: Any) -> bytes:
    """
    Bytes that JSON has.

    @raise StoreError: there are none.
    """
    try:
        return b64decode(value or "", validate=True)
    except (ValueError, TypeError):
        raise StoreError("etcd answers what is no base64") from None


def number(said: Any, key: str) -> int:
    """
    A number of an answer; what is left out is 0.

    @raise StoreError: it is none.
    """
    try:
        return int(said.get(key, 0))
    except (ValueError, TypeError, AttributeError):
        raise StoreError(f"etcd answers '{key}' that is no number") from None


def prefix_end(prefix: bytes) -> bytes:
    """The first key behind all that begin with C{prefix}, which has a byte below 255."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1])


def range_body(prefix: bytes, after: bytes | None, revision: int) -> dict[str, Any]:
    """
    Ask for a page of what is under C{prefix}.

    @param after: the last key of the page before.
    @param revision: of the first page; 0 for that itself.
    """
    found: dict[str, Any] = {
        "key": text(prefix if after is None else after + b"\0"),
        "range_end": text(prefix_end(prefix)),
        "limit": str(PAGE),
    }
    if revision:
        found["revision"] = str(revision)
    return found


def range_page(said: Any) -> tuple[list[tuple[bytes, bytes]], int, bool]:
    """
    The answer to it: keys and values, the revision of the store, and whether there are more.

    @raise StoreError: it is none.
    """
    found = [(data(each.get("key")), data(each.get("value"))) for each in _dicts(said, "kvs")]
    return found, number(_dict(said, "header"), "revision"), said.get("more") is True


def write_body(lease: int, batch: Batch) -> dict[str, Any]:
    """A transaction that writes C{batch}. What another lease has by now is not deleted."""
    done: list[dict[str, Any]] = [
        {"request_put": {"key": text(key), "value": text(value), "lease": str(lease)}}
        for key, value in batch.puts.items()
    ]
    for key in batch.deletes:
        ours = {"key": text(key), "target": "LEASE", "result": "EQUAL", "lease": str(lease)}
        deletes = {"request_delete_range": {"key": text(key)}}
        done.append({"request_txn": {"compare": [ours], "success": [deletes]}})
    return {"success": done}


def watch_body(prefix: bytes, revision: int) -> bytes:
    """
    Ask to watch, and at once for progress: two requests, in one body that ends.

    Nothing is answered as long as the body has not ended, so nothing can be asked later.
    """
    asked = {
        "create_request": {
            "key": text(prefix),
            "range_end": text(prefix_end(prefix)),
            "start_revision": str(revision),
        }
    }
    return (json.dumps(asked) + json.dumps({"progress_request": {}})).encode()


def watch_messages(line: bytes) -> list[WatchMessage]:
    """
    What a line of the answer says.

    @raise StoreError: nothing of that kind.
    """
    said = parse(line)
    if "error" in said:
        raise refusal(200, said)
    result = _dict(said, "result")
    revision = number(_dict(result, "header"), "revision")
    if result.get("canceled") is True or number(result, "compact_revision"):
        reason = result.get("cancel_reason") or "what was asked for is forgotten"
        return [WatchCanceled(printable(str(reason)))]
    found: list[WatchMessage] = []
    if result.get("created") is True:
        found.append(WatchBegun(revision))
    events = [_event(each) for each in _dicts(result, "events")]
    if events:
        found.append(WatchEvents(events, revision))
    return found or [WatchProgress()]


def _event(said: dict[str, Any]) -> KeyWritten | KeyDeleted:
    what = _dict(said, "kv")
    key = data(what.get("key"))
    if said.get("type", "PUT") == "DELETE":
        return KeyDeleted(key)
    return KeyWritten(key, data(what.get("value")))


def parse(body: bytes) -> dict[str, Any]:
    """
    An answer.

    @raise StoreError: it is no object of JSON.
    """
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise StoreError(f"etcd answers what is no JSON: {printable(body[:80])}")
    return said


def refusal(status: int, said: dict[str, Any]) -> Exception:
    """What an answer says that is no success."""
    error = said.get("error")
    inner = error if isinstance(error, dict) else said
    reason = str(inner.get("message") or error or f"status {status}")
    code = number(inner, "code") or number(inner, "grpc_code")
    if code == NOT_FOUND and "lease" in reason:
        return LeaseLost(printable(reason))
    if code == UNAUTHENTICATED or "invalid auth token" in reason:
        return TokenRefused(printable(reason))
    return StoreError(printable(reason))


def _dict(said: dict[str, Any], key: str) -> dict[str, Any]:
    found = said.get(key)
    if not isinstance(found, dict):
        raise StoreError(f"etcd answers without '{key}'")
    return found


def _dicts(said: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = said.get(key) or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise StoreError(f"etcd answers '{key}' that is no list")
    return found


class LineSplitter:
    """Cuts what comes into lines."""

    def __init__(self, most: int = MAX_LINE) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._most = most

    def feed(self, received: bytes) -> list[bytes]:
        """
        The lines that are complete now.

        @raise StoreError: one is too long.
        """
        *whole, rest = received.split(b"\n")
        if whole:
            whole[0] = b"".join([*self._parts, whole[0]])
            self._parts, self._size = [], 0
        self._parts.append(rest)
        self._size += len(rest)
        if self._size > self._most:
            raise StoreError(f"etcd says more than {self._most} bytes at once")
        return [line for line in whole if line.strip()]
