"""See _epoll.pyx."""

from collections.abc import Callable

from subproxy.reactor._engine import Engine

class Epoll(Engine):
    """Streams by readiness, edge-triggered."""

    def __init__(
        self, epoll_fd: int, on_epoll: Callable[[], object] | None, *, size: int = 16384
    ) -> None: ...
