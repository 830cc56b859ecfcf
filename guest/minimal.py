#!/usr/bin/env python3
"""
A whole guest in one file, with the standard library alone (docs/protocol.md).

    python minimal.py --proxy=vsock:2:12345 --host='blog\\.example' --path='/.*' [app.py]

app.py has one function; without it, everybody gets hello:

    def app(method, target, headers, body):
        return 200, [(b"content-type", b"text/plain")], b"hello\\n"

All text is bytes; headers are pairs. body is a Body: body.read() for all of it, or
iterate over its pieces. What is returned is a status, pairs, and bytes or an iterable of
bytes (body itself will do). Each request has a thread of its own, and may block.

As process 1 of a VM it mounts /proc, /sys and /dev, loads the modules that it is told
to, takes its options from kernel arguments too (subproxy.proxy=, subproxy.host=,
subproxy.path=, subproxy.module=), and powers off at the end.

Exit statuses: 0 after SIGTERM, 2 bad usage, 3 no application, 4 refused, 5 replaced.

It stays one file, long as that is: it is copied into an image by itself, where it is the whole
guest, and whoever ports it reads it as a whole.

To port it, read from the top: bytes to frames, frames to messages, one exchange, one
session, then the loop that dials. The lock of a session is held whenever its state is looked at.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import fcntl
import getopt
import hashlib
import os
import queue
import random
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Info = dict[bytes, Any]
Pairs = list[tuple[bytes, bytes]]
Check = Callable[[Any], Any]
Application = Callable[[bytes, bytes, Pairs, Any], Any]

RELEASE = "0.2.0"
VERSION = 1  # of the wire
LIMITS = {b"frame": 262_144, b"window": 65_536, b"inline": 65_536}
BODY_CHUNK = 16_384
BODILESS = (204, 205, 304)  # statuses whose responses have no body
THREADS = 256  # requests at a time
MAX_CREDIT = 2**31 - 1
MAX_NUMBER = 2**53 - 1
MAX_ELEMENTS = 1024  # of a frame, at any depth
GREETING = 10.0  # seconds that the proxy may take to say welcome
LINGER = 2.0  # seconds to wait for the proxy's bye after ours, and for unregistered
TOO_FAST = 1.0  # seconds until a route is asked for again that was refused as too-fast
JUMP = 10.0  # seconds that the wall clock jumps ahead by where a VM was restored


class Broken(Exception):
    """The proxy broke a rule: say bye with this code, and close."""

    def __init__(self, code: bytes, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Violated(Exception):
    """The proxy broke a rule of one exchange: abort that."""


class Gone(Exception):
    """Nobody waits for this answer any more."""


# Frames: tnetstrings.


def encode(value: Any) -> bytes:
    """A value as a tnetstring. Raises TypeError for what the wire has no type for."""
    payload: Any
    if value is None:
        payload, tag = b"", b"~"
    elif value is True or value is False:
        payload, tag = (b"true" if value else b"false"), b"!"
    elif isinstance(value, int):
        payload, tag = b"%d" % value, b"#"
    elif isinstance(value, (bytes, memoryview)):
        payload, tag = value, b","
    elif isinstance(value, (list, tuple)):
        payload, tag = b"".join(map(encode, value)), b"]"
    elif isinstance(value, dict):
        payload, tag = b"".join(encode(k) + encode(v) for k, v in value.items()), b"}"
    else:
        raise TypeError(f"bytes, please, not {value!r}")
    return b"%d:%b%b" % (len(payload), payload, tag)


def length_of(data: bytes | bytearray, start: int = 0) -> tuple[int, int]:
    """The length that begins at START, and where its colon is; (0, -1) if that is not here yet."""
    colon = data.find(b":", start, start + 8)
    digits = bytes(data[start : colon if colon >= 0 else start + 8])
    if colon == start or len(digits) > 7 or (digits and not digits.isdigit()):
        raise Broken(b"frame", "a length is at most 7 decimal digits")
    if len(digits) > 1 and digits.startswith(b"0"):
        raise Broken(b"frame", "a length has no leading zeros")
    return (int(digits), colon) if colon >= 0 else (0, -1)


def decode(payload: bytes, tag: int, depth: int = 1, left: list[int] | None = None) -> Any:
    """The value of a payload; LEFT: how many more elements its frame may have. Raises Broken."""
    left = [MAX_ELEMENTS] if left is None else left
    if tag == ord(","):
        return payload
    if tag == ord("#"):
        digits = payload[1:] if payload.startswith(b"-") else payload
        if not digits.isdigit() or len(digits) > 16 or abs(int(payload)) > MAX_NUMBER:
            raise Broken(b"frame", "no integer")
        if (len(digits) > 1 and digits.startswith(b"0")) or payload == b"-0":
            raise Broken(b"frame", "no integer has leading zeros")
        return int(payload)
    if tag == ord("!") and payload in (b"true", b"false"):
        return payload == b"true"
    if tag == ord("~") and not payload:
        return None
    if tag not in b"]}":
        raise Broken(b"frame", "no value")
    if depth > 8:
        raise Broken(b"frame", "nested deeper than 8")
    items, at = [], 0
    while at < len(payload):
        length, colon = length_of(payload, at)
        at = colon + 1 + length + 1
        if colon < 0 or at > len(payload):
            raise Broken(b"frame", "an element is cut off")
        left[0] -= 1
        if left[0] < 0:
            raise Broken(b"frame", f"more than {MAX_ELEMENTS} elements")
        items.append(decode(payload[colon + 1 : at - 1], payload[at - 1], depth + 1, left))
    if tag == ord("]"):
        return items
    keys, values = items[::2], items[1::2]
    if len(keys) != len(values) or not all(type(key) is bytes for key in keys):
        raise Broken(b"frame", "a dictionary has keys that are byte strings, each with a value")
    if len(set(keys)) != len(keys):
        raise Broken(b"frame", "a key is there twice")
    return dict(zip(keys, values, strict=True))


class Frames:
    """Cuts a stream of bytes into frames. Nothing is allocated from a claimed length."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.data = bytearray()

    def feed(self, data: bytes) -> None:
        """Take what was read."""
        self.data += data

    def next(self) -> Any:
        """The next frame, or None. Raises Broken."""
        length, colon = length_of(self.data)
        if length > self.limit:
            raise Broken(b"frame", f"a frame has at most {self.limit} bytes")
        end = colon + 1 + length
        if colon < 0 or len(self.data) <= end:
            return None
        payload, tag = bytes(self.data[colon + 1 : end]), self.data[end]
        del self.data[: end + 1]
        if tag != ord("]"):
            raise Broken(b"frame", "a frame is a list")
        return decode(payload, tag)


# Messages: what a proxy may say. For each verb how many elements there must be, and their checks.


def integer(low: int, high: int) -> Check:
    """A check for an integer."""
    return lambda value: type(value) is int and low <= value <= high


def octets(low: int, high: int) -> Check:
    """A check for a byte string."""
    return lambda value: type(value) is bytes and low <= len(value) <= high


def info(value: Any) -> bool:
    """A check for a dictionary."""
    return type(value) is dict


def fields(value: Any) -> bool:
    """A check for a header or trailer section."""
    return (
        type(value) is list
        and len(value) <= 128
        and all(type(p) is list and len(p) == 2 and all(type(b) is bytes for b in p) for p in value)
        and sum(len(name) + len(content) for name, content in value) <= 65_536
    )


def body_form(value: Any) -> bool:
    """A check for the last element of a request."""
    return value is None or type(value) in (bytes, dict)


NUMBER, NAME, REASON = integer(1, MAX_NUMBER), octets(1, 128), octets(0, 1024)
MESSAGES: dict[bytes, tuple[int, list[Check]]] = {
    b"welcome": (1, [info]),
    b"registered": (1, [NUMBER, info]),
    b"unregistered": (1, [NUMBER]),
    b"refused": (3, [integer(0, MAX_NUMBER), NAME, REASON]),
    b"ping": (1, [NAME]),
    b"connect": (2, [integer(0, MAX_NUMBER), NAME]),
    b"request": (6, [NUMBER, octets(1, 64), octets(1, 65_536), fields, info, body_form]),
    b"body": (2, [NUMBER, octets(1, MAX_NUMBER)]),
    b"end": (1, [NUMBER, fields, info]),
    b"credit": (2, [NUMBER, integer(1, MAX_CREDIT)]),
    b"abort": (2, [NUMBER, NAME, REASON]),
    b"drain": (0, [info]),
    b"bye": (0, [NAME, REASON]),
}
# The known keys of their dictionaries: none must be there, but for the version.
TEXT = octets(0, 1024)
KEYS = {
    b"welcome": {
        **dict.fromkeys((b"version", b"ping", b"timeout"), NUMBER),
        **{b"frame": integer(1024, 9_999_999), b"window": integer(1, MAX_CREDIT)},
        **{b"inline": integer(0, MAX_CREDIT), b"bulk": integer(0, MAX_NUMBER), b"identity": TEXT},
    },
    b"request": {
        **dict.fromkeys((b"client", b"scheme", b"version", b"id"), TEXT),
        b"expect": lambda value: type(value) is bool,
    },
    b"drain": {b"deadline": integer(0, MAX_NUMBER)},
}
OPEN = set(MESSAGES) - {b"welcome"}
ALLOWED = {
    "idle": {b"welcome", b"refused", b"bye"},
    "open": OPEN,
    "draining": OPEN - {b"request"},
}
OURS = {b"hello", b"register", b"unregister", b"pong", b"response"}


def parse(frame: list[Any]) -> tuple[bytes, list[Any]] | None:
    """The verb and the elements of a frame; None for a verb of the future. Raises Broken."""
    if not frame or type(frame[0]) is not bytes:
        raise Broken(b"message", "a frame begins with a verb")
    verb = frame[0]
    if verb in OURS:
        raise Broken(b"state", f"{verb.decode()} is for guests to say")
    if verb not in MESSAGES:
        return None
    needed, checks = MESSAGES[verb]
    values = frame[1 : 1 + len(checks)]
    keys = next((each for each in values if type(each) is dict), {})
    if (
        len(values) < needed
        or not all(check(value) for check, value in zip(checks, values, strict=False))
        or not all(check(keys[key]) for key, check in KEYS.get(verb, {}).items() if key in keys)
    ):
        raise Broken(b"message", f"no valid {verb.decode()}")
    if verb == b"welcome" and keys.get(b"version") != VERSION:
        raise Broken(b"message", f"this guest speaks version {VERSION}")
    return verb, values


# One exchange.


class Body:
    """The body of a request, as it comes; reading it grants credit. Raises Gone."""

    def __init__(self, session: Session, exchange: Exchange) -> None:
        self.session = session
        self.exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        while (piece := self.session.take(self.exchange)) is not None:
            yield piece

    def read(self) -> bytes:
        """All of it (what was not read yet)."""
        return b"".join(self)

    @property
    def trailers(self) -> Pairs:
        """The fields that came after it, once it has been read."""
        return self.exchange.trailers


class Exchange:
    """One request and its response. STREAMING: the rest of the request's body is to come."""

    def __init__(
        self, number: int, send_window: int, receive_window: int, body: bytes | None
    ) -> None:
        self.number = number
        self.send_window = send_window
        self.receive_window = receive_window
        self.consumed = LIMITS[b"window"] - receive_window
        self.streaming = body is None
        self.pieces = collections.deque([body] if body else [])
        self.trailers: Pairs = []
        self.gone = False


# One connection.


class Session:
    """One subscription: from hello until the connection is gone; OUTCOME says how that was."""

    def __init__(
        self,
        sock: socket.socket,
        hello: dict[bytes, Any],
        routes: Pairs,
        app: Application,
        epoch: bytes | None = None,
    ) -> None:
        self.sock = sock
        self.hello = hello
        self.routes = routes
        self.app = app
        self.lock = threading.Condition()
        self.out: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.frames = Frames(LIMITS[b"frame"])
        self.theirs = "idle"
        self.ours = "open"
        self.peer = dict(LIMITS)
        self.last = 0
        self.exchanges: dict[int, Exchange] = {}
        self.registered: dict[int, tuple[bytes, bytes]] = {}
        self.outcome = "lost"
        self.left = threading.Event()  # no new request comes here any more: dial again
        self.silent = False
        self.epoch = epoch  # of the welcome before, or of ours
        self.restored = False

    def run(self) -> str:
        """Talk to the end; return the outcome: lost, drained, bye, again, refused or replaced."""
        try:
            return self.talk()
        finally:
            self.left.set()

    def talk(self) -> str:
        """The same, and nobody is told of the end."""
        threading.Thread(target=self.write, daemon=True).start()
        self.sock.settimeout(GREETING)
        with self.lock:
            limits = {b"version": VERSION, **LIMITS}
            self.send(b"hello", {**limits, **self.hello})
            for reference, (host, path) in enumerate(self.routes, 1):
                self.registered[reference] = (host, path)
                self.send(b"register", reference, host, path)
        try:
            while data := self.sock.recv(65_536):
                with self.lock:
                    self.received(data)
                if self.theirs == "done":
                    break
        except OSError as error:  # a time-out too: a silent proxy
            self.silent = isinstance(error, TimeoutError)
            if self.theirs != "idle":
                say(f"the connection broke: {error}")
        with self.lock:
            self.ours = "done"
            for number in list(self.exchanges):
                self.over(number)
        self.out.put(None)
        return self.outcome

    def write(self) -> None:
        """A thread: whoever has something to say never waits for the proxy to read."""
        broken = False
        while (data := self.out.get()) is not None:
            try:
                if not broken:
                    self.sock.sendall(data)
            except OSError:
                broken = True  # the reader finds out: it is his until None comes
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def send(self, *frame: Any) -> None:
        """Say something, unless we have said bye."""
        if self.ours != "done":
            self.out.put(encode(frame))

    def later(self, seconds: float, function: Callable[..., None], *arguments: Any) -> None:
        """Call that in a thread of its own, after so many seconds."""
        timer = threading.Timer(seconds, function, arguments)
        timer.daemon = True
        timer.start()

    def received(self, data: bytes) -> None:
        """Handle what was read."""
        if self.theirs in ALLOWED:
            self.frames.feed(data)
        try:
            while self.theirs in ALLOWED and (frame := self.frames.next()) is not None:
                message = parse(frame)
                if message is None:
                    if self.theirs == "idle":
                        raise Broken(b"state", "welcome comes first")
                    continue
                verb, values = message
                if verb not in ALLOWED[self.theirs]:
                    raise Broken(b"state", f"no {verb.decode()} when {self.theirs}")
                if self.ours != "done" or verb == b"bye":
                    self.handle(verb, values)
        except Broken as error:
            say(f"the proxy broke the protocol: {error}")
            self.bye(error.code, str(error).encode())
            self.theirs = "broken"

    def handle(self, verb: bytes, values: list[Any]) -> None:
        """Handle one message: the methods below, named after their verbs."""
        handler = getattr(self, "on_" + verb.decode())
        if verb not in (b"body", b"end", b"credit", b"abort", b"connect"):
            handler(*values)
            return
        number = values[0]
        if number > self.last:
            raise Broken(b"state", f"exchange {number} was never begun")
        if verb == b"abort" and values[1] == b"protocol":  # also of one that is over
            say(f"the proxy refuses response {number}: {text(b''.join(values[2:]))}")
        if number in self.exchanges:
            try:
                handler(self.exchanges[number], *values[1:])
            except Violated as error:
                self.send(b"abort", number, b"protocol", str(error).encode())
                self.over(number)

    # What the proxy says of the subscription.

    def on_welcome(self, info: Info) -> None:
        """Take the proxy's C{welcome}: the subscription stands."""
        self.theirs = "open"
        self.peer.update({key: info[key] for key in LIMITS if key in info})
        self.sock.settimeout(info.get(b"timeout", 10_000) / 1000)
        epoch = info.get(b"epoch")
        if self.epoch is not None and epoch not in (None, self.epoch):
            # This machine goes on from a snapshot: another instance takes our place.
            self.restored = True
            reseed(epoch)
            correct_clock()
            self.drain()
        self.epoch = epoch

    def on_registered(self, reference: int, info: Info | None = None) -> None:
        """Requests for a route may come."""
        if reference in self.registered:
            host, path = self.registered[reference]
            say(f"registered host={text(host)} path={text(path)}")

    def on_unregistered(self, reference: int) -> None:
        """No more of them will."""
        self.registered.pop(reference, None)
        self.bye_if_idle()

    def on_refused(self, reference: int, code: bytes, reason: bytes) -> None:
        """No to a route; 0: no to us."""
        say(f"refused: {text(reason)} ({text(code)})")
        if reference == 0:
            self.outcome = "replaced" if code == b"replaced" else "refused"
        route = self.registered.pop(reference, None)
        if route is not None and code == b"too-fast" and self.ours == "open":
            self.later(TOO_FAST, self.register, reference, route)
        self.bye_if_idle()

    def register(self, reference: int, route: tuple[bytes, bytes]) -> None:
        """A thread: ask for a route again."""
        with self.lock:
            if self.ours == "open":
                self.registered[reference] = route
                self.send(b"register", reference, *route)

    def on_ping(self, nonce: bytes) -> None:
        """Are you there?"""
        self.send(b"pong", nonce)

    def on_drain(self, info: Info | None = None) -> None:
        """No new requests will come on this connection."""
        self.theirs = "draining"
        self.outcome = "drained"
        self.left.set()
        self.bye_if_idle()

    def on_bye(self, code: bytes = b"done", reason: bytes = b"") -> None:
        """The last that it says."""
        if self.ours != "done":
            say(f"the proxy says bye: {text(reason)} ({text(code)})")
            if self.outcome == "lost":
                self.outcome = {b"replaced": "replaced", b"again": "again"}.get(code, "bye")
        self.bye(b"done", b"")
        self.theirs = "done"

    def drain(self) -> None:
        """Take nothing new, finish what is there. Called by another thread."""
        with self.lock:
            if self.ours == "open" and self.theirs != "idle":
                self.send(b"drain")
                self.ours = "draining"
                # The proxy answers in order: after its answers to these no request can come.
                for reference in self.registered:
                    self.send(b"unregister", reference)
                self.later(LINGER, self.unregistered)
                self.bye_if_idle()
            else:
                self.bye(b"done", b"")

    def unregistered(self) -> None:
        """A thread: the proxy has had its time to answer unregister."""
        with self.lock:
            self.registered.clear()
            self.bye_if_idle()

    def bye_if_idle(self) -> None:
        """If we drain, and all is done, there is no more to say."""
        idle = self.theirs == "draining" or (self.ours == "draining" and not self.registered)
        if idle and not self.exchanges:
            self.bye(b"done", b"")

    def bye(self, code: bytes, reason: bytes) -> None:
        """Say our last; then only the proxy's bye is of interest."""
        if self.ours != "done":
            self.send(b"bye", code, reason[:1024])
            self.ours = "done"
            self.later(LINGER, self.out.put, None)
            for number in list(self.exchanges):
                self.over(number)

    # What it says of exchanges.

    def on_request(
        self, number: int, method: bytes, target: bytes, headers: Pairs, info: Info, body: Any
    ) -> None:
        """Begin an exchange."""
        if number <= self.last:
            raise Broken(b"state", f"exchange {number} does not follow {self.last}")
        self.last = number
        if type(body) is dict or (body is not None and len(body) > LIMITS[b"inline"]):
            self.send(b"abort", number, b"protocol", b"no such body here")
            return
        window = 0 if info.get(b"expect") else LIMITS[b"window"]
        exchange = Exchange(number, self.peer[b"window"], window, body)
        self.exchanges[number] = exchange
        headers = [(name, value) for name, value in headers]
        work = (exchange, method, target, headers)
        threading.Thread(target=self.answer, args=work, daemon=True).start()

    def on_body(self, exchange: Exchange, data: bytes) -> None:
        """A piece of its body."""
        exchange.receive_window -= len(data)
        if not exchange.streaming or exchange.receive_window < 0:
            raise Violated("a body where none is allowed")
        exchange.pieces.append(data)
        self.lock.notify_all()

    def on_end(self, exchange: Exchange, trailers: Any = (), info: Info | None = None) -> None:
        """Its body is complete."""
        if not exchange.streaming:
            raise Violated("an end where none is allowed")
        exchange.streaming = False
        exchange.trailers = [(name, value) for name, value in trailers]
        self.lock.notify_all()

    def on_credit(self, exchange: Exchange, amount: int) -> None:
        """Add credit for the body of a response."""
        exchange.send_window += amount
        if exchange.send_window > MAX_CREDIT:
            raise Violated("more credit than a window can hold")
        self.lock.notify_all()

    def on_abort(self, exchange: Exchange, code: bytes, reason: bytes = b"") -> None:
        """Nobody waits for it."""
        self.over(exchange.number)

    def on_connect(self, exchange: Exchange, token: bytes) -> None:
        """Not here."""
        raise Violated("this guest has no data connections")

    def over(self, number: int) -> None:
        """An exchange is over: its thread gets to know when it next does something."""
        exchange = self.exchanges.pop(number, None)
        if exchange is not None:
            exchange.gone = True
            self.lock.notify_all()
            self.bye_if_idle()

    # The thread of a request.

    def take(self, exchange: Exchange) -> bytes | None:
        """The next piece of the request's body, or None at its end."""
        with self.lock:
            if not exchange.pieces and exchange.streaming:
                self.grant(exchange)  # who waits for 100 (Continue) waits for this
            while not exchange.pieces and exchange.streaming and not exchange.gone:
                self.lock.wait()
            if exchange.gone:
                raise Gone
            if not exchange.pieces:
                return None
            piece = exchange.pieces.popleft()
            exchange.consumed += len(piece)
            if exchange.streaming:
                self.grant(exchange)
            return piece

    def grant(self, exchange: Exchange) -> None:
        """Grant credit when half of a window can be granted."""
        if exchange.consumed * 2 >= LIMITS[b"window"]:
            self.send(b"credit", exchange.number, exchange.consumed)
            exchange.receive_window += exchange.consumed
            exchange.consumed = 0

    def answer(self, exchange: Exchange, method: bytes, target: bytes, headers: Pairs) -> None:
        """Ask the application, and send what it says."""
        number, begun = exchange.number, False
        body: Any = None
        try:
            try:
                status, headers, body = self.app(method, target, headers, Body(self, exchange))
                given: Any = headers
                given = given.items() if isinstance(given, dict) else given
                pairs = [[name, value] for name, value in given]
                names = {name.lower() for name, _ in pairs}
                told = b"content-length" in names or status in BODILESS
                if method == b"HEAD" and type(body) is bytes and not told:
                    pairs.append([b"content-length", b"%d" % len(body)])
                head: Any = (b"response", number, status, pairs, {})
                if not fields(pairs) or len(encode((*head, None))) > self.peer[b"frame"]:
                    raise ValueError("more fields in a response than the proxy takes")
                whole = self.whole(method, status, head, body)
            except Gone:
                return
            except Exception:
                say_why()
                plain = [[b"content-type", b"text/plain"]]
                head = (b"response", number, 500, plain, {})
                whole = b"" if method == b"HEAD" else b"500 Internal Server Error\n"
            self.say_in(exchange, *head, whole)
            begun = True
            if whole is None:
                for piece in [body] if isinstance(body, bytes) else body:
                    self.stream(exchange, piece)
                trailers = [[name, value] for name, value in getattr(body, "trailers", [])]
                if not fields(trailers) or len(encode(trailers)) + 32 > self.peer[b"frame"]:
                    raise ValueError("more trailers than the proxy takes")
                self.say_in(exchange, b"end", number, trailers)
        except Gone:
            pass
        except Exception:
            say_why()
            if begun:
                self.send_abort(exchange)
        finally:
            if hasattr(body, "close"):
                body.close()
            with self.lock:
                self.over(number)

    def whole(self, method: bytes, status: int, head: Any, body: Any) -> bytes | None:
        """The body as it goes within a response; None if it must be streamed."""
        if method == b"HEAD" or status in BODILESS:
            return b""
        if type(body) is not bytes:
            iter(body)
            return None
        room = self.peer[b"frame"] - len(encode(head)) - 32
        return body if len(body) <= min(room, self.peer[b"inline"]) else None

    def stream(self, exchange: Exchange, data: bytes) -> None:
        """Send a piece of a body, as there is credit."""
        rest = memoryview(data)
        most = min(BODY_CHUNK, self.peer[b"frame"] - 64)
        while rest:
            with self.lock:
                while not exchange.send_window and not exchange.gone:
                    self.lock.wait()
                size = min(len(rest), exchange.send_window, most)
                exchange.send_window -= size
                self.say_in(exchange, b"body", exchange.number, rest[:size])
            rest = rest[size:]

    def say_in(self, exchange: Exchange, *frame: Any) -> None:
        """Say something in an exchange. Raises Gone if that is over."""
        with self.lock:
            if exchange.gone:
                raise Gone
            self.send(*frame)

    def send_abort(self, exchange: Exchange) -> None:
        """Break off a response that has begun."""
        with self.lock:
            if not exchange.gone:
                self.send(b"abort", exchange.number, b"error", b"the application failed")


# The process.


def text(data: bytes) -> str:
    """Bytes, for a person."""
    return data.decode("utf-8", "replace")


def say(line: str) -> None:
    """One line for a person, or a script that waits for it; none if nobody can have it."""
    try:
        print(line, flush=True)
    except OSError:
        pass


def say_why() -> None:
    """The error that was just caught, likewise."""
    try:
        traceback.print_exc()
    except OSError:
        pass


def hello_app(method: bytes, target: bytes, headers: Pairs, body: Body) -> Any:
    """The application that is there without one."""
    return 200, [(b"content-type", b"text/plain")], b"hello\n"


def load(path: str) -> Application:
    """The function C{app} of a file."""
    found: dict[str, Any] = {"__name__": "application", "__file__": path}
    sys.path.insert(0, str(Path(path).resolve().parent))
    exec(compile(Path(path).read_bytes(), path, "exec"), found)
    application: Application = found["app"]
    return application


def dial(where: str) -> socket.socket:
    """A connected socket. Raises OSError, or ValueError for what is no address."""
    kind, _, rest = where.partition(":")
    numbers = rest.split(":")
    address: Any
    if kind == "unix":
        family, address = socket.AF_UNIX, rest
    elif kind == "vsock" and len(numbers) == 2 and all(map(str.isdecimal, numbers)):
        family, address = socket.AF_VSOCK, (int(numbers[0]), int(numbers[1]))
    else:
        raise ValueError(f"{where}: neither vsock:CID:PORT nor unix:PATH")
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(GREETING)
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def hint(where: str, error: OSError) -> str:
    """Tell what to look at when WHERE cannot be reached."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return "see the mode of the socket: --vsock-mode, --vsock-owner of the proxy"
    if not where.startswith("vsock:"):
        return "is the proxy running, with --vsock=PATH, of which this is PATH_PORT?"
    if error.errno in (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT):
        return "this kernel has no vsock: load vmw_vsock_virtio_transport"
    if error.errno in (errno.ENODEV, errno.ENETUNREACH, errno.EADDRNOTAVAIL):
        return "there is no vsock device: does the VMM give this machine one?"
    return "is the proxy running, with --vsock= for this VM, and may the VMM write to its socket?"


def free_worker(application: str) -> tuple[int, socket.socket]:
    """
    The first worker number that no other process of this application in this VM has.

    Held by an abstract unix socket, which the kernel frees when the process dies.
    """
    for number in range(1024):
        held = socket.socket(socket.AF_UNIX)
        try:
            held.bind(f"\0subproxy-minimal/{application[:32]}/{number}".encode())
        except OSError:
            held.close()
        else:
            return number, held
    raise ValueError(f"no worker number is free for {application}")


def new_instance(salt: bytes = b"") -> bytes:
    """A random id, which says that nobody else is this instance: no copy with another salt."""
    return hashlib.sha256(os.urandom(32) + salt).hexdigest()[:16].encode()


def reseed(salt: bytes) -> None:
    """Other random numbers than those of copies of this machine, which have another salt."""
    with contextlib.suppress(OSError), open("/dev/urandom", "wb", buffering=0) as device:
        device.write(salt)
        fcntl.ioctl(device, 0x5207)  # RNDRESEEDCRNG: take it up now; for root alone
    random.seed(os.urandom(32) + salt)
    if "ssl" in sys.modules:  # an application's
        sys.modules["ssl"].RAND_add(os.urandom(32) + salt, 0.0)


def correct_clock() -> None:
    """Set the wall clock by the hardware's, as at boot: a restored one stands where it was."""
    with contextlib.suppress(OSError, ValueError):
        now = int(Path("/sys/class/rtc/rtc0/since_epoch").read_text("ascii")) + 0.5
        if abs(now - time.time()) > 2:
            time.clock_settime(time.CLOCK_REALTIME, now)


class Options:
    """What a command line asks for; the worker is -1 for the first that is free."""

    def __init__(self) -> None:
        self.proxy, self.name, self.app, self.worker = "vsock:2:12345", "", "", -1
        self.routes: Pairs = []
        self.modules: list[str] = []


class Stay:
    """Stays subscribed until SIGTERM, or until there is no use in it."""

    def __init__(self, options: Options, app: Application) -> None:
        self.proxy = options.proxy
        self.routes = options.routes or [(b".*", b"/.*")]
        self.app = app
        self.session: Session | None = None
        self.threads: list[threading.Thread] = []  # of sessions; all but the last only finish
        self.epoch: bytes | None = None  # of the last welcome
        self.stopping = threading.Event()
        self.told, self.next_time, self.pause = "", 0.0, 0.0
        name = options.name or (Path(options.app).stem if options.app else "hello")
        number, self.slot = options.worker, None
        if number < 0:
            number, self.slot = free_worker(name)
        self.hello = {
            b"application": name.encode(),
            b"instance": new_instance(),
            b"worker": number,
            b"concurrency": THREADS,
            b"agent": b"subproxy minimal guest",
        }

    def run(self) -> int:
        """Dial until we are to stop; return an exit status when all that was begun is done."""
        status = self.dial_again_and_again()
        for thread in self.threads:
            thread.join()
        return status

    def dial_again_and_again(self) -> int:
        """Dial with full jitter from 50 ms to 2.5 s; return an exit status."""
        attempt = 0
        drift = time.time() - time.monotonic()
        while not self.stopping.is_set():
            began = time.monotonic()
            outcome = self.once()
            before, drift = drift, time.time() - time.monotonic()
            if self.session is not None and self.session.restored:
                self.session = None
                self.hello[b"instance"] = new_instance(self.epoch or b"")
                continue
            if drift - before > JUMP or outcome == "again":
                # This machine was restored, or is a copy: that id is not ours alone.
                self.hello[b"instance"] = new_instance()
            elif outcome in ("refused", "replaced"):
                return 4 if outcome == "refused" else 5
            lasted = time.monotonic() - began
            if lasted > 2.5:
                attempt = 0
            if outcome != "drained" or lasted < 0.5:
                self.stopping.wait(random.uniform(0, min(2.5, 0.05 * 2 ** min(attempt, 7))))
            attempt += 1
        return 0

    def once(self) -> str:
        """One connection; return its outcome."""
        try:
            sock = dial(self.proxy)
        except OSError as error:
            self.complain(error)
            return "unreachable"
        session = Session(sock, self.hello, self.routes, self.app, self.epoch)
        self.session = session
        if self.stopping.is_set():
            session.drain()
        # It may finish what it has while the next one serves: a proxy that is replaced drains.
        self.threads = [each for each in self.threads if each.is_alive()]
        self.threads.append(threading.Thread(target=session.run, daemon=True))
        self.threads[-1].start()
        session.left.wait()
        outcome = session.outcome
        self.epoch = session.epoch
        if session.theirs == "idle" and outcome == "lost":
            what = f"no welcome came in {GREETING:.0f} s"
            if not session.silent:
                what = "the connection was closed without a welcome"
            self.complain(OSError(errno.ECONNRESET, what))
        else:
            self.told = ""
        return outcome

    def complain(self, error: OSError) -> None:
        """Say why nobody was reached: once, then at growing intervals, for dials are many."""
        line = f"cannot reach {self.proxy}: {error.strerror or error}; {hint(self.proxy, error)}"
        now = time.monotonic()
        if line != self.told:
            self.told, self.pause = line, 10.0
        elif now < self.next_time:
            return
        self.next_time, self.pause = now + self.pause, min(600.0, 3 * self.pause)
        say(line)

    def stop(self, *ignored: Any) -> None:
        """The handler of SIGTERM. A thread does it: the lock may be ours just now."""
        self.stopping.set()
        if self.session is not None:
            threading.Thread(target=self.session.drain, daemon=True).start()


MOUNTS = ((b"proc", b"/proc"), (b"sysfs", b"/sys"), (b"devtmpfs", b"/dev"))
FINIT_MODULE = {"x86_64": 313, "aarch64": 273, "riscv64": 273}
POWER_OFF = 0x4321FEDC


def become_init() -> tuple[list[str], Any]:
    """Process 1: mount what programs expect; return the kernel arguments that are for us."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    for kind, where in MOUNTS:
        os.makedirs(where, exist_ok=True)
        libc.mount(kind, where, kind, 0, None)
    words = Path("/proc/cmdline").read_text().split()
    ours = ("subproxy.proxy=", "subproxy.host=", "subproxy.path=", "subproxy.module=")
    return [word.replace("subproxy.", "--", 1) for word in words if word.startswith(ours)], libc


def reap(*ignored: Any) -> None:
    """The handler of SIGCHLD in process 1: the orphans of everybody are ours."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def insert_module(libc: Any, path: str) -> None:
    """Load a kernel module, as insmod does."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.syscall(FINIT_MODULE[os.uname().machine], descriptor, b"", 0):
            say(f"cannot load the module {path}")
    finally:
        os.close(descriptor)


def parse_options(arguments: list[str]) -> Options:
    """A command line. Raises ValueError for what is none."""
    found = Options()
    words = [f"{name}=" for name in ("proxy", "host", "path", "name", "worker", "module")]
    try:
        pairs, rest = getopt.gnu_getopt(arguments, "", [*words, "help", "version"])
    except getopt.GetoptError as error:
        raise ValueError(str(error)) from None
    for option, value in pairs:
        if option == "--help":
            print(__doc__)
            sys.exit(0)
        elif option == "--version":
            print(f"subproxy minimal {RELEASE}")
            sys.exit(0)
        elif option == "--host":
            found.routes.append((os.fsencode(value), b"/.*"))
        elif option == "--path":
            if not found.routes:
                raise ValueError(f"which --host is --path={value} for? Give that one before it")
            found.routes[-1] = (found.routes[-1][0], os.fsencode(value))
        elif option == "--module":
            found.modules.append(value)
        elif option == "--worker":
            if not value.isdecimal():
                raise ValueError(f"--worker={value}: a number is needed")
            found.worker = int(value)
        else:
            setattr(found, option[2:], value)
    if len(rest) > 1:
        raise ValueError("more than one application")
    found.app = rest[0] if rest else ""
    return found


def main(arguments: list[str]) -> int:
    """Run a command line; return the exit status."""
    try:
        options = parse_options(arguments)
        try:
            app = load(options.app) if options.app else hello_app
        except Exception as error:
            say(f"cannot load {options.app}: {error}")
            return 3
        stay = Stay(options, app)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stay.stop)
        try:
            return stay.run()
        finally:
            if stay.slot is not None:
                stay.slot.close()
    except ValueError as error:
        say(str(error))
        return 2


def init(arguments: list[str]) -> None:
    """Run as process 1, and power the machine off at the end."""
    more, libc = become_init()
    signal.signal(signal.SIGCHLD, reap)
    try:
        for path in parse_options(more + arguments).modules:
            insert_module(libc, path)
        say(f"ended with status {main(more + arguments)}")
    except (Exception, SystemExit):
        traceback.print_exc()
    os.sync()
    libc.reboot(POWER_OFF)


if __name__ == "__main__":
    if os.getpid() == 1:
        init(sys.argv[1:])
    else:
        sys.exit(main(sys.argv[1:]))
