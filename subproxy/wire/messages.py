"""
The messages of version 1: one class a verb, and the table of their elements.

A message class lists its elements in order; C{ELEMENTS} gives the check of each and how
many of them must be there. What follows the last known element is ignored, and so are
unknown keys of a dictionary: that is how version 1 can grow (docs/protocol.md, "Growth").

Compiled a second time: L{subproxy.fastpath._response} and L{subproxy.fastpath._body_frames}
(see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, fields
from typing import Any, ClassVar, TypeVar

from subproxy.wire import fields as check
from subproxy.wire.errors import HelloError, MessageError
from subproxy.wire.fields import Headers, Info
from subproxy.wire.frames import Frame, Piece, encoded_pieces
from subproxy.wire.values import record_class

_NAMES: dict[type, list[str]] = {}
"""The elements of each kind of message."""


@record_class
class Message:
    """
    The root of all messages.

    @cvar verb: the first element of its frame.
    """

    verb: ClassVar[bytes] = b""

    def frame(self) -> list[Any]:
        """The list that is encoded."""
        kind = type(self)
        names = _NAMES.get(kind)
        if names is None:
            names = _NAMES[kind] = [each.name for each in fields(kind)]
        return [self.verb, *[getattr(self, name) for name in names]]

    def encode(self) -> bytes:
        """The bytes of its frame."""
        return b"".join(self.pieces())

    def pieces(self) -> list[Piece]:
        """The bytes of its frame, in pieces, so that a body need not be copied."""
        return encoded_pieces(self.frame())


def _pairs(headers: Headers) -> list[list[bytes]]:
    """A header section in the types that frames have: no tuples."""
    return [[name, value] for name, value in headers]


@record_class
class Hello(Message):
    """Guest: this is a subscription, of this application and instance."""

    verb = b"hello"
    info: Info


@record_class
class Connect(Message):
    """
    Guest, first on a connection: this is a data connection, claimed by a one-time token.

    Proxy, on a subscription: dial a data connection for that exchange.
    """

    verb = b"connect"
    exchange: int
    token: bytes


@record_class
class Register(Message):
    """Guest: I serve what matches these patterns."""

    verb = b"register"
    reference: int
    host: bytes
    path: bytes
    info: Info = field(default_factory=dict)


@record_class
class Unregister(Message):
    """Guest: no longer what C{reference} registered."""

    verb = b"unregister"
    reference: int


@record_class
class Pong(Message):
    """Guest: the answer to a ping, with its nonce."""

    verb = b"pong"
    nonce: bytes
    info: Info = field(default_factory=dict)


@record_class
class Response(Message):
    """Guest: the head of a response, interim (1xx) or final."""

    verb = b"response"
    exchange: int
    status: int
    headers: Headers
    info: Info = field(default_factory=dict)
    body: bytes | Info | None = b""

    def frame(self) -> list[Any]:
        """The list that is encoded."""
        headers = _pairs(self.headers)
        return [self.verb, self.exchange, self.status, headers, self.info, self.body]


@record_class
class Welcome(Message):
    """Proxy: the subscription stands; these are my limits."""

    verb = b"welcome"
    info: Info


@record_class
class Registered(Message):
    """Proxy: the route of C{reference} is in the table."""

    verb = b"registered"
    reference: int
    info: Info = field(default_factory=dict)


@record_class
class Unregistered(Message):
    """Proxy: the route of C{reference} is out of the table."""

    verb = b"unregistered"
    reference: int


@record_class
class Refused(Message):
    """Proxy: no to the C{register} of that reference; 0: no to C{hello}."""

    verb = b"refused"
    reference: int
    code: bytes
    reason: bytes


@record_class
class Ping(Message):
    """Proxy: are you there?"""

    verb = b"ping"
    nonce: bytes


@record_class
class Request(Message):
    """Proxy: a request, to be answered under that exchange number."""

    verb = b"request"
    exchange: int
    method: bytes
    target: bytes
    headers: Headers
    info: Info = field(default_factory=dict)
    body: bytes | Info | None = b""

    def frame(self) -> list[Any]:
        """The list that is encoded."""
        headers = _pairs(self.headers)
        return [
            self.verb,
            self.exchange,
            self.method,
            self.target,
            headers,
            self.info,
            self.body,
        ]


@record_class
class Body(Message):
    """Both: a piece of a streamed body, never empty."""

    verb = b"body"
    exchange: int
    data: bytes


@record_class
class End(Message):
    """Both: a body is complete."""

    verb = b"end"
    exchange: int
    trailers: Headers = field(default_factory=list)
    info: Info = field(default_factory=dict)

    def frame(self) -> list[Any]:
        """The list that is encoded."""
        return [self.verb, self.exchange, _pairs(self.trailers), self.info]


@record_class
class Move(Message):
    """
    Both: what follows of our half of a tunnel goes over its data connection.

    C{length} bytes of it went in frames.
    """

    verb = b"move"
    exchange: int
    length: int


@record_class
class Credit(Message):
    """Both: so many more bytes of body may come."""

    verb = b"credit"
    exchange: int
    amount: int


@record_class
class Abort(Message):
    """Both: the exchange is over before its time."""

    verb = b"abort"
    exchange: int
    code: bytes
    reason: bytes = b""


@record_class
class Drain(Message):
    """Guest: send me nothing new. Proxy: I shall send nothing new, and close when all is done."""

    verb = b"drain"
    info: Info = field(default_factory=dict)


@record_class
class Bye(Message):
    """Both: the last frame of this direction."""

    verb = b"bye"
    code: bytes = b"done"
    reason: bytes = b""


ELEMENTS: dict[type[Message], tuple[int, tuple[check.Check, ...]]] = {
    Hello: (1, (check.hello,)),
    Connect: (2, (check.reference, check.token)),
    Register: (3, (check.number, check.pattern, check.pattern, check.register)),
    Unregister: (1, (check.number,)),
    Pong: (1, (check.nonce, check.pong)),
    Response: (5, (check.number, check.status, check.headers, check.response, check.body)),
    Welcome: (1, (check.welcome,)),
    Registered: (1, (check.number, check.registered)),
    Unregistered: (1, (check.number,)),
    Refused: (3, (check.reference, check.name, check.reason)),
    Ping: (1, (check.nonce,)),
    Request: (
        6,
        (check.number, check.method, check.target, check.headers, check.request, check.body),
    ),
    Body: (2, (check.number, check.data)),
    End: (1, (check.number, check.headers, check.info)),
    Move: (2, (check.number, check.reference)),
    Credit: (2, (check.number, check.credit)),
    Abort: (2, (check.number, check.name, check.reason)),
    Drain: (0, (check.drain,)),
    Bye: (0, (check.name, check.reason)),
}
"""For each message: how many elements must follow the verb, and the check of each."""

BY_VERB: dict[bytes, type[Message]] = {kind.verb: kind for kind in ELEMENTS}


def parse(frame: Frame) -> Message | None:
    """
    The message of a frame, or None for a verb that this version does not know.

    @raise MessageError: no verb; too few elements; an element of the wrong type or value.
    """
    if not frame or type(frame[0]) is not bytes:
        raise MessageError("a frame begins with a verb")
    kind = BY_VERB.get(frame[0])
    if kind is None:
        return None
    needed, checks = ELEMENTS[kind]
    if len(frame) <= needed:
        raise MessageError(f"{kind.verb.decode()}: {needed} elements must follow the verb")
    try:
        values = [each(value) for each, value in zip(checks, frame[1:], strict=False)]
    except HelloError:
        raise
    except MessageError as error:
        raise MessageError(f"{kind.verb.decode()}: {error}") from None
    return kind(*values)


T = TypeVar("T")


def lookup(info: Info, key: bytes, checked: Callable[[Any], T], default: T) -> T:
    """
    C{info[key]}, checked; C{default} where it is absent.

    @raise MessageError: the value is there but wrong.
    """
    if key not in info:
        return default
    try:
        return checked(info[key])
    except MessageError as error:
        raise MessageError(f"{key.decode('ascii', 'replace')}: {error}") from None
