"""
What the keys of C{info} say that revision 3 has brought: their types, ranges and defaults.

One function a key. All take the C{info} of a message and raise L{MessageError} where the value is
wrong; in one that L{subproxy.wire.messages.parse} has returned, only C{length} can be.
"""

from __future__ import annotations

from subproxy.wire import fields as check
from subproxy.wire.fields import Info
from subproxy.wire.limits import DEFAULT_WEIGHT
from subproxy.wire.messages import lookup
from subproxy.wire.values import value_class

# hello


def tunnel_tokens(hello: Info) -> list[bytes]:
    """For what a guest takes tunnels: none by default."""
    return lookup(hello, b"tunnel", check.tunnel_tokens, [])


def takes_ahead(hello: Info) -> bool:
    """Whether a guest takes tokens for bodies of responses with their requests."""
    return lookup(hello, b"ahead", check.boolean, False)


def process_wanted(hello: Info) -> int | None:
    """To which process a guest would like to come; None for any."""
    found: int | None = lookup(hello, b"process", check.process, None)
    return found


@value_class
class PeerProcess:
    """
    Another proxy.

    @ivar host: its host, for hops between hosts.
    @ivar process: which of its processes speaks.
    """

    host: bytes
    process: int


def peer(hello: Info) -> PeerProcess | None:
    """Which other proxy this is, where it is one."""
    found = lookup(hello, b"peer", check.peer, None)
    return None if found is None else PeerProcess(found[b"host"], found.get(b"process", 0))


# welcome


def tunnel_moves_at(welcome: Info) -> int | None:
    """From how many bytes of one half a tunnel moves; 0: never; None: there are no tunnels."""
    found: int | None = lookup(welcome, b"tunnel", check.reference, None)
    return found


def process(welcome: Info) -> tuple[int, int]:
    """Which process of the proxy this is, and of how many: by default the one that there is."""
    return (
        lookup(welcome, b"process", check.process, 0),
        lookup(welcome, b"processes", check.processes, 1),
    )


def epoch(welcome: Info) -> bytes | None:
    """What differs when the machine has been restored; None if the proxy does not know."""
    found: bytes | None = lookup(welcome, b"epoch", check.name, None)
    return found


# pong


def full(pong: Info) -> bool:
    """Whether the guest takes nothing new until a C{pong} without it."""
    return lookup(pong, b"full", check.boolean, False)


# register, registered


@value_class
class PeerRoute:
    """
    What a peer says of a route of its guests.

    @ivar identity: whose it is.
    @ivar concurrency: most exchanges at a time; 0: no limit.
    @ivar weight: 1 to 1,000.
    """

    identity: bytes
    concurrency: int
    weight: int


def peer_route(register: Info) -> PeerRoute | None:
    """What a peer says of a route; None where it does not say whose it is."""
    identity = lookup(register, b"identity", check.identity, None)
    if identity is None:
        return None
    return PeerRoute(
        identity,
        lookup(register, b"concurrency", check.reference, 0),
        lookup(register, b"weight", check.weight, DEFAULT_WEIGHT),
    )


def tls_names(registration: Info) -> list[bytes]:
    """
    What a guest wants to know of TLS (C{register}), or is told (C{registered}).

    Names that nobody knows may be among them.
    """
    return lookup(registration, b"tls", check.tls_names, [])


def passthrough(registration: Info) -> bool:
    """Whether the guest wants TLS itself (C{register}), or gets it (C{registered})."""
    return lookup(registration, b"passthrough", check.boolean, False)


def wakes_machine(registration: Info) -> bool:
    """Whether a machine is started for who asks another proxy for the route: no guest serves it."""
    return lookup(registration, b"wakes", check.boolean, False)


# request


def tunnel_asked(request: Info) -> bytes | None:
    """For what a tunnel is asked, where one is."""
    return lookup(request, b"tunnel", check.tunnel_token, None)


def token_ahead(request: Info) -> bytes | None:
    """The token for the body of the response, where there is one."""
    found: bytes | None = lookup(request, b"ahead", check.token, None)
    return found


def takes_trailers(request: Info) -> bool:
    """Whether the client takes trailers."""
    return lookup(request, b"trailers", check.boolean, False)


def hops(request: Info) -> int:
    """How many proxies have passed it on."""
    return lookup(request, b"hops", check.hops, 0)


def stamped(request: Info) -> bool:
    """Whether the fields that a proxy sets are right as they are."""
    return lookup(request, b"stamped", check.boolean, False)


@value_class
class Tls:
    """
    What a guest is told of a client's TLS.

    @ivar version: C{1.2} or C{1.3}.
    @ivar sni: the name that the client asked for.
    @ivar alpn: the protocol that was agreed upon.
    @ivar verified: the client's certificate is good, as the proxy's operator has it.
    @ivar sha256: its digest, 32 bytes.
    @ivar cert: it, in DER.
    """

    version: bytes
    sni: bytes | None
    alpn: bytes | None
    verified: bool
    sha256: bytes | None
    cert: bytes | None


def tls(request: Info) -> Tls | None:
    """What is told of the client's TLS; None if nothing is, as by default."""
    found = lookup(request, b"tls", check.tls, None)
    if found is None:
        return None
    return Tls(
        found[b"version"],
        found.get(b"sni"),
        found.get(b"alpn"),
        found.get(b"verified", False),
        found.get(b"sha256"),
        found.get(b"cert"),
    )


# end


def end_length(end: Info) -> int | None:
    """How many bytes the body had, where that is said."""
    found: int | None = lookup(end, b"length", check.reference, None)
    return found
