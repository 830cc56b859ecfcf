"""See _stream.pyx."""

from typing import Any

from subproxy.reactor._engine import Handle

class Receiver:
    """A compiled protocol."""

def gathered(stream: Stream, data: bytes) -> None: ...

class Stream(Handle):
    """The stream half of a transport."""

    fd: int
    reading: bool
    native_write: bool
    former: type | None
    reactor: Any
    producer: Any
    connected: int
    disconnected: int
    disconnecting: int
    producerPaused: bool
    streamingProducer: bool
    TLS: bool
    protocol: Any
    socket: Any
    def go_native(self) -> None: ...
    def fall_back_to_epoll_writes(self) -> None: ...
    def raw_write(self, data: bytes) -> None: ...
    def raw_lose_connection(self) -> None: ...
    def _get_option(self, level: int, name: int) -> int: ...
    def _set_option(self, level: int, name: int, value: int) -> None: ...
