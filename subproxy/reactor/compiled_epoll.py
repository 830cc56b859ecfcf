"""C{twistd --reactor=compiled_epoll}: where there is no io_uring, or none is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from subproxy.reactor.epoll_reactor import CompiledEpollReactor


def unavailable() -> str | None:
    """Why the compiled epoll reactor cannot be used here, for people; None if it can."""
    try:
        import subproxy.reactor._epoll_turn  # noqa: F401
    except ImportError as e:
        return f"the compiled extension is not there ({e})"
    return None


def install() -> CompiledEpollReactor:
    """Make a compiled epoll reactor the reactor of this process, and return it.

    @raise ImportError: the extension is not there.
    @raise twisted.internet.error.ReactorAlreadyInstalledError: there is one.
    """
    from subproxy.reactor import epoll_reactor

    return epoll_reactor.install()
