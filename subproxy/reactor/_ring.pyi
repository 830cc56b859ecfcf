"""See _ring.pyx."""

from collections.abc import Callable
from typing import Any

class Handle:
    """What has operations in a ring."""

    def reader(self) -> Any: ...
    def writer(self) -> Any: ...

class Ring:
    """An io_uring with one ring of provided buffers."""

    looping: bool
    size: int
    enters: int
    starvations: int
    capped: bool
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
    def descriptor(self) -> int: ...
    @property
    def spare(self) -> int: ...
    def begin(self) -> None: ...
    def end(self) -> None: ...
    def close(self) -> None: ...
