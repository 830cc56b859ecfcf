"""
The state machines of version 1, as tables (docs/protocol.md, "States").

Everything that decides whether a message is allowed now is here. A connection has two
sides, each with a state of its own that only its own messages change; an exchange has two
halves, the request's and the response's, likewise. What is not in a table is an error: of
ours if we were about to send it, of the peer's if it came.
"""

from __future__ import annotations

from enum import Enum, auto


class Role(Enum):
    """Role of this side on a connection."""

    GUEST = auto()
    PROXY = auto()

    @property
    def peer(self) -> Role:
        """The other one."""
        return Role.PROXY if self is Role.GUEST else Role.GUEST


class Side(Enum):
    """The state of one side of a connection."""

    __hash__ = object.__hash__  # that of Enum is Python code, and costs a microsecond a request

    IDLE = auto()
    """It has sent nothing, or (the proxy) only refusals."""
    OPEN = auto()
    """It has greeted."""
    DRAINING = auto()
    """It has said that it wants nothing new (guest), or sends nothing new (proxy)."""
    DATA = auto()
    """The connection is a data connection: no more frames of this machine."""
    DONE = auto()
    """It has said its last."""


class Half(Enum):
    """The state of one half of an exchange: of the message that one side sends."""

    __hash__ = object.__hash__  # that of Enum is Python code, and costs a microsecond a request

    WAITING = auto()
    """Its head has not come."""
    STREAMING = auto()
    """Its body comes in C{body} frames."""
    BULK = auto()
    """Its body comes over a data connection, or else in C{body} frames."""
    RAW = auto()
    """Of a tunnel: what follows goes over a data connection, and only there."""
    DONE = auto()
    """It is complete."""


class Tunnel(Enum):
    """How far a tunnel is, that has not been refused: what both halves have in common."""

    __hash__ = object.__hash__  # that of Enum is Python code

    ASKED = auto()
    """There is no final response."""
    FRAMED = auto()
    """It was accepted with null: its bytes come in frames."""
    OFFERED = auto()
    """The proxy has said C{connect}: each half may move."""
    MOVING = auto()
    """One half has moved, or both have."""
    DIRECT = auto()
    """It was accepted with a dictionary: its bytes go over a data connection only."""


_BOTH_TALK = (b"body", b"end", b"credit", b"abort", b"move")
_GUEST_TALK = (b"register", b"unregister", b"pong", b"response", *_BOTH_TALK)
_PROXY_TALK = (b"registered", b"unregistered", b"refused", b"ping", b"connect", *_BOTH_TALK)


def _still(state: Side, verbs: tuple[bytes, ...]) -> dict[bytes, Side]:
    """These verbs are allowed and change nothing."""
    return dict.fromkeys(verbs, state)


SIDES: dict[Role, dict[Side, dict[bytes, Side]]] = {
    Role.GUEST: {
        Side.IDLE: {b"hello": Side.OPEN, b"connect": Side.DATA, b"bye": Side.DONE},
        Side.OPEN: {**_still(Side.OPEN, _GUEST_TALK), b"drain": Side.DRAINING, b"bye": Side.DONE},
        Side.DRAINING: {
            **_still(Side.DRAINING, _GUEST_TALK),
            b"drain": Side.DRAINING,
            b"bye": Side.DONE,
        },
        Side.DATA: {},
        Side.DONE: {},
    },
    Role.PROXY: {
        Side.IDLE: {
            b"welcome": Side.OPEN,
            b"connect": Side.DATA,
            b"refused": Side.IDLE,
            b"bye": Side.DONE,
        },
        Side.OPEN: {
            **_still(Side.OPEN, _PROXY_TALK),
            b"request": Side.OPEN,
            b"drain": Side.DRAINING,
            b"bye": Side.DONE,
        },
        Side.DRAINING: {
            **_still(Side.DRAINING, _PROXY_TALK),
            b"drain": Side.DRAINING,
            b"bye": Side.DONE,
        },
        Side.DATA: {},
        Side.DONE: {},
    },
}
"""For each role and state of its side: the verbs that it may send, and the state after each."""


class Event(Enum):
    """Event in one half of an exchange: the input of the tables."""

    __hash__ = object.__hash__  # that of Enum is Python code, and costs a microsecond a request

    INTERIM = auto()
    """A 1xx head."""
    WHOLE = auto()
    """A head with its whole body."""
    STREAM = auto()
    """A head whose body will be streamed."""
    BULK = auto()
    """A head whose body goes over a data connection."""
    DIRECT = auto()
    """A final head that accepts a tunnel with a dictionary: it moves both halves."""
    BODY = auto()
    MOVE = auto()
    """What follows of this half goes over a data connection."""
    END = auto()
    CONNECT = auto()
    """Of the proxy, on the subscription: it changes no half, but the tunnel."""


_HEAD = {Event.WHOLE: Half.DONE, Event.STREAM: Half.STREAMING, Event.BULK: Half.BULK}
_REST: dict[Half, dict[Event, Half]] = {
    Half.STREAMING: {Event.BODY: Half.STREAMING, Event.MOVE: Half.RAW, Event.END: Half.DONE},
    Half.BULK: {Event.BODY: Half.STREAMING, Event.END: Half.DONE},
    Half.RAW: {Event.END: Half.DONE},
    Half.DONE: {},
}

REQUEST: dict[Half, dict[Event, Half]] = {
    Half.WAITING: _HEAD,
    **_REST,
    Half.STREAMING: {**_REST[Half.STREAMING], Event.DIRECT: Half.RAW},
}
"""The request half: the proxy's messages."""

RESPONSE: dict[Half, dict[Event, Half]] = {
    Half.WAITING: {**_HEAD, Event.INTERIM: Half.WAITING, Event.DIRECT: Half.RAW},
    **_REST,
}
"""The response half: the guest's messages."""

TUNNEL: dict[Tunnel, dict[Event, Tunnel]] = {
    Tunnel.ASKED: {Event.STREAM: Tunnel.FRAMED, Event.DIRECT: Tunnel.DIRECT},
    Tunnel.FRAMED: {Event.CONNECT: Tunnel.OFFERED},
    Tunnel.OFFERED: {Event.CONNECT: Tunnel.OFFERED, Event.MOVE: Tunnel.MOVING},
    Tunnel.MOVING: {Event.MOVE: Tunnel.MOVING},
    Tunnel.DIRECT: {Event.CONNECT: Tunnel.DIRECT},
}
"""A tunnel: the events that concern both of its halves, from whichever side; without refusals."""
