"""See _stream.pyx."""

from typing import Any

from subproxy.reactor._ring import Handle

class Receiver:
    """A compiled protocol."""

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
    def goNative(self) -> None: ...
    def sendClassically(self) -> None: ...
    def rawWrite(self, data: bytes) -> None: ...
    def rawLoseConnection(self) -> None: ...
    def _getOption(self, level: int, name: int) -> int: ...
    def _setOption(self, level: int, name: int, value: int) -> None: ...
