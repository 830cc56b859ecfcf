"""What the head of a request or response says of how its body comes."""

from __future__ import annotations

from subproxy.wire import messages as m
from subproxy.wire.fields import Info
from subproxy.wire.info import tunnel_asked
from subproxy.wire.states import Event


def head_event(body: bytes | Info | None) -> Event:
    """The event that a head with this as its last element is, in an exchange without a tunnel."""
    if type(body) is bytes:
        return Event.WHOLE
    return Event.STREAM if body is None else Event.BULK


def asks(message: m.Request, tunnels: frozenset[bytes]) -> bool:
    """Whether a request is for a tunnel; the key means nothing where there are none."""
    return bool(tunnels) and b"tunnel" in message.info


def asking_fault(message: m.Request, tunnels: frozenset[bytes]) -> str | None:
    """What is wrong with a request for a tunnel where the guest takes those."""
    if tunnel_asked(message.info) not in tunnels:
        return "a tunnel that was not announced"
    return None if message.body is None else "a tunnel begins with null"


def waits(message: m.Request, tunnels: frozenset[bytes]) -> bool:
    """Whether the body of a request has no window before the guest grants one."""
    return (
        message.info.get(b"expect") is True or type(message.body) is dict or asks(message, tunnels)
    )
