"""See _ring.pyx."""

from collections.abc import Callable

from subproxy.reactor._engine import Engine

class Ring(Engine):
    """An io_uring with one ring of provided buffers."""

    def __init__(
        self,
        epoll_fd: int,
        on_epoll: Callable[[], object] | None,
        *,
        entries: int = 1024,
        completions: int = 8192,
        buffers: int = 512,
        size: int = 16384,
    ) -> None: ...
    @property
    def spare(self) -> int: ...
