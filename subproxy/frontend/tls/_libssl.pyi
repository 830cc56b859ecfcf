class Context:
    def __init__(
        self,
        chain: tuple[bytes, ...],
        key: bytes,
        alpn: bytes,
        ciphers: bytes,
        scope: bytes,
        tickets: int,
        lifetime: int,
        authorities: tuple[bytes, ...] = (),
        optional: bool = False,
        revoked: tuple[bytes, ...] = (),
    ) -> None: ...

def load(seconds: int, ssl: bytes = ..., libcrypto: bytes = ...) -> tuple[int, str]: ...
def share_ticket_keys(given: bytes) -> None: ...
def age_ticket_keys(seconds: int) -> None: ...
