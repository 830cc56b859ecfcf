from subproxy.frontend.tls._libssl import Context

class HostContext(Context):
    def __init__(self, chain: tuple[bytes, ...], key: bytes, roots: tuple[bytes, ...]) -> None: ...
