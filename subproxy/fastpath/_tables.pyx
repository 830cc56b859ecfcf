# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""Tables of C, filled once from tables.py, where they are described."""

from libc.string cimport memcpy

from subproxy.fastpath._bytes cimport name_run, put_plain_run, target_run, u8

from subproxy.fastpath import tables as described

cdef Tables _tables


cdef int fill(Names *names, dict kinds, bint folded) except -1:
    cdef int i, key
    cdef Name *entry
    if len(kinds) > MOST_NAMES:
        raise ImportError("a table of names is full")
    names.count = 0
    for i in range(BUCKETS):
        names.bucket[i] = -1
    for text, kind in sorted(kinds.items()):
        if not 0 < len(text) <= 32:
            raise ImportError(f"{text!r} does not fit into a table of names")
        if folded and text.translate(None, b"abcdefghijklmnopqrstuvwxyz0123456789-"):
            raise ImportError(f"{text!r} is not compared rightly")
        entry = &names.name[names.count]
        entry.size = len(text)
        entry.kind = kind
        memcpy(entry.text, <const u8 *><char *><bytes>text, len(text))
        key = bucket_of(entry.text, entry.size)
        entry.next = names.bucket[key]
        names.bucket[key] = names.count
        names.count += 1
    return 0


cdef const Tables *tables():
    return &_tables


cdef int _i
for _i in range(256):
    _tables.lower[_i] = _i + 32 if 65 <= _i <= 90 else _i
    _tables.classes[_i] = (<bytes>described.CLASSES)[_i]
fill(&_tables.request, described.REQUEST_KINDS, True)
fill(&_tables.response, described.RESPONSE_KINDS, True)
fill(&_tables.methods, described.METHOD_KINDS, False)
for _name, _value in (
    ("KEEP", KEEP), ("DROP", DROP), ("ODD", ODD), ("HOST", HOST), ("LENGTH", LENGTH),
    ("CONNECTION", CONNECTION), ("AGENT", AGENT), ("REFERER", REFERER), ("DATE", DATE),
    ("UPGRADE", UPGRADE), ("TE", TE), ("WEBSOCKET_KEY", WEBSOCKET_KEY),
    ("WEBSOCKET_VERSION", WEBSOCKET_VERSION), ("WEBSOCKET_ACCEPT", WEBSOCKET_ACCEPT),
    ("CLAIMED", CLAIMED), ("SENT_FOR", SENT_FOR), ("SENT_PROTO", SENT_PROTO),
    ("SENT_HOST", SENT_HOST), ("SENT_PORT", SENT_PORT), ("SENT_FORWARDED", SENT_FORWARDED),
    ("SENT_VIA", SENT_VIA), ("SENT_ID", SENT_ID), ("IS_ID", IS_ID),
    ("IS_TOKEN", IS_TOKEN), ("IS_TARGET", IS_TARGET), ("IS_PLAIN", IS_PLAIN),
    ("IS_UNDERSCORE", IS_UNDERSCORE), ("IS_VALUE", IS_VALUE),
):
    if getattr(described, _name) != _value:
        raise ImportError(f"{_name} differs from tables.py")


cdef bint agrees(int byte) noexcept:
    """Whether fast_text.h takes C{byte} for what it is by tables.py. It may take nothing for anything."""
    cdef u8 text[16]
    cdef u8 room[64]
    cdef const u8 *at = text
    cdef int i, found = _tables.classes[byte]
    for i in range(16):
        text[i] = byte
    put_plain_run(room, &at, text + 16, _tables.classes, IS_PLAIN)
    return (
        (at == text + 16) == bool(found & IS_PLAIN)
        and (target_run(text, text + 16, True) == text or found & IS_TARGET)
        and (target_run(text, text + 16, False) == text or found & IS_TARGET and byte != c"?")
        and (name_run(text, text + 16) == text or found & (IS_TOKEN | IS_UNDERSCORE) == IS_TOKEN)
    )


for _i in range(256):
    if not agrees(_i):
        raise ImportError(f"what {_i} is differs in tables.py and fast_text.h")
