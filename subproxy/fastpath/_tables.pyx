# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""Tables of C, filled once from tables.py, where they are described."""

from libc.string cimport memcpy

from subproxy.fastpath._bytes cimport u8

from subproxy.fastpath import tables as described

cdef Tables _tables
cdef u8 _same[256]


cdef int fill(Names *names, dict kinds, const u8 *fold) except -1:
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
        entry = &names.name[names.count]
        entry.size = len(text)
        entry.kind = kind
        memcpy(entry.text, <const u8 *><char *><bytes>text, len(text))
        key = (entry.size * 33 + fold[entry.text[0]] * 5 + fold[entry.text[entry.size - 1]]) & (BUCKETS - 1)
        entry.next = names.bucket[key]
        names.bucket[key] = names.count
        names.count += 1
    return 0


cdef const Tables *tables():
    return &_tables


cdef int _i
for _i in range(256):
    _same[_i] = _i
    _tables.lower[_i] = _i + 32 if 65 <= _i <= 90 else _i
    _tables.classes[_i] = (<bytes>described.CLASSES)[_i]
fill(&_tables.request, described.REQUEST_KINDS, _tables.lower)
fill(&_tables.response, described.RESPONSE_KINDS, _tables.lower)
fill(&_tables.methods, described.METHOD_KINDS, _same)
for _name, _value in (
    ("KEEP", KEEP), ("DROP", DROP), ("ODD", ODD), ("HOST", HOST), ("LENGTH", LENGTH),
    ("CONNECTION", CONNECTION), ("AGENT", AGENT), ("REFERER", REFERER), ("DATE", DATE),
    ("UPGRADE", UPGRADE), ("TE", TE),
    ("CLAIMED", CLAIMED), ("SENT_FOR", SENT_FOR), ("SENT_PROTO", SENT_PROTO),
    ("SENT_HOST", SENT_HOST), ("SENT_PORT", SENT_PORT), ("SENT_FORWARDED", SENT_FORWARDED),
    ("SENT_VIA", SENT_VIA), ("SENT_ID", SENT_ID), ("IS_ID", IS_ID),
    ("IS_TOKEN", IS_TOKEN), ("IS_TARGET", IS_TARGET), ("IS_PLAIN", IS_PLAIN),
    ("IS_UNDERSCORE", IS_UNDERSCORE), ("IS_VALUE", IS_VALUE),
):
    if getattr(described, _name) != _value:
        raise ImportError(f"{_name} differs from tables.py")
