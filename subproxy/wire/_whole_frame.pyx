# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""The frame of a whole request, taken apart in one pass: a recogniser, and no judge.

It accepts only what the reference surely accepts. What is not plain it leaves to that.

The same in Python: C{subproxy.wire.whole} (see C{subproxy.fastpath.twins}).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int64_t
from libc.string cimport memcmp

from subproxy.wire.limits import (
    MAX_HEADER_BYTES as _most_bytes, MAX_HEADERS as _most_fields, MAX_NUMBER as _most_number,
    MAX_REASON as _most_text,
)

ctypedef const unsigned char u8

cdef Py_ssize_t MOST_BYTES = _most_bytes
cdef Py_ssize_t MOST_FIELDS = _most_fields
cdef int64_t MOST_NUMBER = _most_number
cdef Py_ssize_t MOST_TEXT = _most_text
cdef Py_ssize_t MOST_METHOD = 64
cdef Py_ssize_t MOST_TARGET = 65_536

cdef unsigned char LOWER[256]
cdef int _i
for _i in range(256):
    LOWER[_i] = _i + 32 if 65 <= _i <= 90 else _i


cdef inline u8 *element(u8 *at, u8 *end, unsigned char *tag, Py_ssize_t *size) noexcept nogil:
    """The payload of the element at C{at}, its size and its tag; NULL if it is not all there."""
    cdef Py_ssize_t number = 0
    cdef int digits = 0
    while at < end and 48 <= at[0] <= 57:
        number = number * 10 + (at[0] - 48)
        digits += 1
        if digits > 7 or (digits == 2 and number < 10):
            return NULL
        at += 1
    if not digits or at >= end or at[0] != 58:
        return NULL
    at += 1
    if number >= end - at:
        return NULL
    tag[0] = at[number]
    size[0] = number
    return at


cdef bytes lowered(u8 *at, Py_ssize_t size):
    cdef bytes made = PyBytes_FromStringAndSize(NULL, size)
    cdef unsigned char *to = <unsigned char *>PyBytes_AS_STRING(made)
    cdef Py_ssize_t i
    for i in range(size):
        to[i] = LOWER[at[i]]
    return made


cdef list fields(u8 *at, u8 *end, bint lower):
    """The header section between C{at} and C{end}; None if it is not plain."""
    cdef list found = []
    cdef u8 *pair
    cdef u8 *name
    cdef u8 *value
    cdef unsigned char tag = 0
    cdef Py_ssize_t size = 0, name_size = 0, value_size = 0, total = 0, count = 0
    while at < end:
        pair = element(at, end, &tag, &size)
        if pair == NULL or tag != 93:
            return None
        at = pair + size + 1
        name = element(pair, pair + size, &tag, &name_size)
        if name == NULL or tag != 44:
            return None
        value = element(name + name_size + 1, pair + size, &tag, &value_size)
        if value == NULL or tag != 44 or value + value_size + 1 != pair + size:
            return None
        count += 1
        total += name_size + value_size
        if count > MOST_FIELDS or total > MOST_BYTES:
            return None
        found.append((
            lowered(name, name_size) if lower
            else PyBytes_FromStringAndSize(<char *>name, name_size),
            PyBytes_FromStringAndSize(<char *>value, value_size),
        ))
    return found


cdef inline int known(u8 *key, Py_ssize_t size) noexcept nogil:
    """1: a text is under that key; 2: a boolean; 0: it is not known here."""
    if size == 6 and memcmp(key, b"client", 6) == 0:
        return 1
    if size == 6 and memcmp(key, b"scheme", 6) == 0:
        return 1
    if size == 7 and memcmp(key, b"version", 7) == 0:
        return 1
    if size == 2 and memcmp(key, b"id", 2) == 0:
        return 1
    if size == 8 and memcmp(key, b"trailers", 8) == 0:
        return 2
    if size == 7 and memcmp(key, b"stamped", 7) == 0:
        return 2
    return 0


cdef dict info(u8 *at, u8 *end):
    """The dictionary between C{at} and C{end}; None if it is not plain."""
    cdef dict found = {}
    cdef u8 *key
    cdef u8 *value
    cdef unsigned char tag = 0
    cdef Py_ssize_t key_size = 0, size = 0, count = 0
    cdef int kind
    while at < end:
        key = element(at, end, &tag, &key_size)
        if key == NULL or tag != 44:
            return None
        value = element(key + key_size + 1, end, &tag, &size)
        if value == NULL:
            return None
        kind = known(key, key_size)
        if kind == 1 and tag == 44 and size <= MOST_TEXT:
            found[PyBytes_FromStringAndSize(<char *>key, key_size)] = (
                PyBytes_FromStringAndSize(<char *>value, size)
            )
        elif kind == 2 and tag == 33 and size == 4 and memcmp(value, b"true", 4) == 0:
            found[PyBytes_FromStringAndSize(<char *>key, key_size)] = True
        elif kind == 2 and tag == 33 and size == 5 and memcmp(value, b"false", 5) == 0:
            found[PyBytes_FromStringAndSize(<char *>key, key_size)] = False
        else:
            return None
        count += 1
        at = value + size + 1
    return found if len(found) == count else None


def whole_request(bytes data, Py_ssize_t start, Py_ssize_t end, Py_ssize_t inline, bint lower):
    """See L{subproxy.wire.whole.whole_request}."""
    if not 0 <= start < end <= len(data):
        return None
    cdef u8 *base = <u8 *>PyBytes_AS_STRING(data)
    cdef u8 *at
    cdef u8 *stop = base + end
    cdef u8 *method
    cdef u8 *target
    cdef u8 *section
    cdef u8 *body
    cdef unsigned char tag = 0
    cdef Py_ssize_t size = 0, method_size = 0, target_size = 0, section_size = 0
    cdef int64_t number = 0
    cdef Py_ssize_t i
    at = element(base + start, stop, &tag, &size)
    if at == NULL or tag != 93 or at + size + 1 != stop:
        return None
    stop = at + size
    at = element(at, stop, &tag, &size)
    if at == NULL or tag != 44 or size != 7 or memcmp(at, b"request", 7) != 0:
        return None
    at = element(at + size + 1, stop, &tag, &size)
    if at == NULL or tag != 35 or not 1 <= size <= 16 or at[0] == 48:
        return None
    for i in range(size):
        if not 48 <= at[i] <= 57:
            return None
        number = number * 10 + (at[i] - 48)
    if number > MOST_NUMBER:
        return None
    method = element(at + size + 1, stop, &tag, &method_size)
    if method == NULL or tag != 44 or not 1 <= method_size <= MOST_METHOD:
        return None
    target = element(method + method_size + 1, stop, &tag, &target_size)
    if target == NULL or tag != 44 or not 1 <= target_size <= MOST_TARGET:
        return None
    section = element(target + target_size + 1, stop, &tag, &section_size)
    if section == NULL or tag != 93:
        return None
    cdef list headers = fields(section, section + section_size, lower)
    if headers is None:
        return None
    section = element(section + section_size + 1, stop, &tag, &section_size)
    if section == NULL or tag != 125:
        return None
    cdef dict about = info(section, section + section_size)
    if about is None:
        return None
    body = element(section + section_size + 1, stop, &tag, &size)
    if body == NULL or tag != 44 or size > inline or body + size + 1 != stop:
        return None
    return (
        number,
        PyBytes_FromStringAndSize(<char *>method, method_size),
        PyBytes_FromStringAndSize(<char *>target, target_size),
        headers,
        about,
        PyBytes_FromStringAndSize(<char *>body, size),
    )
