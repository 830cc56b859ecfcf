from collections.abc import Mapping

MEMORY_NAMES: tuple[str, ...]

class WheelContext:
    def __init__(self, address: int, alpn: bytes, asks_clients: bool) -> None: ...

def load(functions: Mapping[str, int]) -> None: ...
