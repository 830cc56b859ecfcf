# One line of the access log, in either format. See _log_format.pyx.
from subproxy.fastpath._bytes cimport u8

cdef struct Text:
    const u8 *at
    Py_ssize_t size

cdef struct LogLine:
    Text date
    Text client  # of no bytes: nobody knows
    Text line  # method, target and version, as they came
    Py_ssize_t method_size
    bint http2  # whatever version the line has
    Text host  # escaped, as are the route and the member
    Text referer  # NULL: none, as with the agent
    Text agent
    Text id
    Text trace  # NULL: none is known
    Text route
    Text member
    int status
    int attempts
    Py_ssize_t sent
    double queued  # it waited for a guest to have room
    double guest  # that it had the request, until the head of the answer was written
    double first  # until then
    double seconds

cdef Py_ssize_t room(const LogLine *line) noexcept nogil
cdef u8 *combined(u8 *o, const LogLine *line) noexcept
cdef u8 *json_line(u8 *o, const LogLine *line) noexcept
