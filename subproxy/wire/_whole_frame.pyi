from subproxy.wire.fields import Headers, Info

def whole_request(
    data: bytes, start: int, end: int, inline: int, lower: bool
) -> tuple[int, bytes, bytes, Headers, Info, bytes] | None: ...
