"""A Twisted reactor on io_uring, for any Twisted program.

C{twistd --reactor=io_uring} names it, C{install} makes it the process's
reactor, C{unavailable} tells why it can't be. See docs/explanation/reactor.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from subproxy.reactor.availability import RingUnavailable, unavailable

if TYPE_CHECKING:
    from subproxy.reactor.reactor import IOUringReactor

__all__ = ["IOUringReactor", "RingUnavailable", "install", "unavailable"]


def install() -> IOUringReactor:
    """Make an io_uring reactor the reactor of this process, and return it.

    @raise RingUnavailable: it cannot be used here.
    @raise twisted.internet.error.ReactorAlreadyInstalledError: there is one.
    """
    reason = unavailable()
    if reason is not None:
        raise RingUnavailable(f"io_uring cannot be used: {reason}")
    from subproxy.reactor import reactor

    return reactor.install()


def __getattr__(name: str) -> Any:
    # The class needs the extension; asking why there is none must not.
    if name == "IOUringReactor":
        from subproxy.reactor.reactor import IOUringReactor

        return IOUringReactor
    raise AttributeError(name)
