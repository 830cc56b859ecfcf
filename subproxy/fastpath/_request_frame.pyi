def request_frame(
    data: bytes,
    number: int,
    id: bytes,
    address: bytes,
    node: bytes,
    via: bytes,
    target: int = ...,
    most_head: int = ...,
    fields: int = ...,
) -> tuple[bytes, int, bytes, bytes, bool] | bool | None: ...
