"""Who is measured: one file a contender, all behind one small interface."""

from __future__ import annotations

from .base import Contender, Server
from .floor import Floor, GuestFloor
from .haproxy import HAProxy
from .nginx import UNBUFFERED, Nginx
from .subproxy import Subproxy
from .twisted_echo import TwistedEcho
from .uwsgi import UWSGI

REFERENCE = "nginx"
"""Whom the ratios are to."""

USUAL = (
    *("subproxy-io-uring", "subproxy-compiled-epoll"),
    *(REFERENCE, "haproxy", "uwsgi", "floor"),
)
"""Those of C{for_requests} that are measured if nobody says who."""

USUAL_OF_BODIES = (
    *("subproxy-io-uring", "subproxy-compiled-epoll"),
    *("haproxy", "nginx-unbuffered"),
)
"""Those of C{for_bodies}: who passes a body on as it comes."""


def for_scale(
    guests: int, routes: int, reactor: str = "io_uring"
) -> dict[str, tuple[Contender, Contender]]:
    """With one guest, and with many that have so many routes each: the proxy, and the floor."""
    return {
        "subproxy": (
            Subproxy(reactor, run=True),
            Subproxy(reactor, subscriptions=guests, routes=routes, run=True),
        ),
        "floor": (GuestFloor(1), GuestFloor(guests)),
    }


def for_requests() -> list[Contender]:
    """The contenders of C{benchmarks.bench}, in the order of the tables."""
    return [
        Subproxy("io_uring", run=True),
        Subproxy("compiled_epoll", run=True),
        Subproxy("epoll"),
        Subproxy("io_uring", fastpath=False),
        Nginx(),
        HAProxy(),
        UWSGI(keepalive=False),
        UWSGI(keepalive=True),
        TwistedEcho("io_uring"),
        TwistedEcho("compiled_epoll"),
        TwistedEcho("epoll"),
        Floor(),
    ]


def for_bodies() -> list[Contender]:
    """The contenders of C{benchmarks.bodies}."""
    splice = "option splice-request\n  option splice-response"
    pipes = "tune.pipesize 1048576"
    return [
        Subproxy("io_uring", bodies=True, run=True),
        Subproxy("compiled_epoll", bodies=True, run=True),
        Subproxy("epoll", bodies=True),
        HAProxy(name="haproxy", title="HAProxy, splice", tuning=pipes, extra=splice),
        Nginx(name="nginx-unbuffered", title="nginx, buffering off", extra=UNBUFFERED),
        Nginx(name="nginx", title="nginx, buffering on"),
    ]


__all__ = [
    "REFERENCE",
    "USUAL",
    "USUAL_OF_BODIES",
    "Contender",
    "Server",
    "for_bodies",
    "for_requests",
    "for_scale",
]
