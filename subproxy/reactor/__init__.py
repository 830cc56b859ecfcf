"""Twisted reactors with compiled streams, on io_uring and on epoll, for any Twisted program.

C{twistd --reactor=io_uring} names the first, C{install} makes it the process's
reactor, C{unavailable} tells why it can't be. The second is C{compiled_epoll}, which has functions
of the same names. See docs/explanation/reactor.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from subproxy.reactor.availability import RingUnavailable, unavailable

if TYPE_CHECKING:
    from subproxy.reactor.epoll_reactor import CompiledEpollReactor
    from subproxy.reactor.ring_reactor import IOUringReactor

__all__ = ["CompiledEpollReactor", "IOUringReactor", "RingUnavailable", "install", "unavailable"]


def install() -> IOUringReactor:
    """Make an io_uring reactor the reactor of this process, and return it.

    @raise RingUnavailable: it cannot be used here.
    @raise twisted.internet.error.ReactorAlreadyInstalledError: there is one.
    """
    reason = unavailable()
    if reason is not None:
        raise RingUnavailable(f"io_uring cannot be used: {reason}")
    from subproxy.reactor import ring_reactor

    return ring_reactor.install()


def __getattr__(name: str) -> Any:
    # The classes need the extension; asking why there is none must not.
    if name == "CompiledEpollReactor":
        from subproxy.reactor.epoll_reactor import CompiledEpollReactor

        return CompiledEpollReactor
    if name == "IOUringReactor":
        from subproxy.reactor.ring_reactor import IOUringReactor

        return IOUringReactor
    raise AttributeError(name)
