# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""Access-log lines, byte by byte as C{subproxy.telemetry.log_format} makes them of the same exchange.

An exchange of the compiled path is answered by a guest: it has waited for no machine, and has no
error.

The same in Python: C{subproxy.telemetry.log_format} (see C{subproxy.fastpath.twins}).
"""

from subproxy.fastpath._bytes cimport (
    put_bytes, put_literal, put_microseconds, put_milliseconds, put_number, put_plain_run, u8,
)
from subproxy.fastpath._tables cimport IS_PLAIN, Tables, tables

cdef const Tables *T = tables()

cdef enum:
    VERSION = 9  # bytes of " HTTP/1.1"
    REST = 2048  # what is fixed in a line, and numbers


cdef Py_ssize_t room(const LogLine *line) noexcept nogil:
    """What a line needs at most, in either format: a byte can become six."""
    return (
        6 * (line.client.size + line.line.size + line.referer.size + line.agent.size)
        + line.date.size + line.host.size + line.id.size + line.route.size + line.member.size
        + REST
    )


cdef u8 *combined(u8 *o, const LogLine *line) noexcept:
    """C{subproxy.telemetry.log_format.combined}."""
    cdef u8 *first
    cdef u8 *end
    cdef Text asked
    o = put_text(o, &line.client) if line.client.size else put_literal(o, b"-")
    o = put_literal(o, b" - - [")
    o = put_text(o, &line.date)
    o = put_literal(o, b'] "')
    if line.http2:
        asked = line.line
        asked.size -= VERSION
        o = put_escaped(o, &asked)
        o = put_literal(o, b' HTTP/2" ')
    else:
        o = put_escaped(o, &line.line)
        o = put_literal(o, b'" ')
    o = put_number(o, line.status)
    o = put_literal(o, b" ")
    o = put_number(o, line.sent)
    o = put_literal(o, b' "')
    o = put_escaped(o, &line.referer) if line.referer.at != NULL else put_literal(o, b"-")
    o = put_literal(o, b'" "')
    o = put_escaped(o, &line.agent) if line.agent.at != NULL else put_literal(o, b"-")
    o = put_literal(o, b'" ')
    o = put_text(o, &line.id)
    o = put_literal(o, b' "')
    o = put_text(o, &line.route)
    o = put_literal(o, b'" "')
    o = put_text(o, &line.member)
    o = put_literal(o, b'" ')
    first = o
    o = put_milliseconds(o, line.first)
    end = o
    o = put_literal(o, b" ")
    if line.seconds == line.first:
        o = put_bytes(o, first, end - first)
    else:
        o = put_milliseconds(o, line.seconds)
    return put_literal(o, b" -\n")


cdef u8 *json_line(u8 *o, const LogLine *line) noexcept:
    """C{subproxy.telemetry.log_format.json_line}."""
    cdef Text method
    cdef Text target
    cdef u8 *first
    cdef u8 *end
    method.at = line.line.at
    method.size = line.method_size
    target.at = line.line.at + line.method_size + 1
    target.size = line.line.size - line.method_size - 1 - VERSION
    o = put_literal(o, b'{"time":"')
    o = put_text(o, &line.date)
    o = put_literal(o, b'","client":"')
    o = put_json_escaped(o, &line.client)
    o = put_literal(o, b'","method":"')
    o = put_json_escaped(o, &method)
    o = put_literal(o, b'","host":"')
    o = put_text(o, &line.host)
    o = put_literal(o, b'","target":"')
    o = put_json_escaped(o, &target)
    if line.http2:
        o = put_literal(o, b'","version":"2","status":')
    else:
        o = put_literal(o, b'","version":"1.1","status":')
    o = put_number(o, line.status)
    o = put_literal(o, b',"bytes":')
    o = put_number(o, line.sent)
    o = put_literal(o, b',"referer":"')
    o = put_json_escaped(o, &line.referer) if line.referer.at != NULL else put_literal(o, b"-")
    o = put_literal(o, b'","user_agent":"')
    o = put_json_escaped(o, &line.agent) if line.agent.at != NULL else put_literal(o, b"-")
    o = put_literal(o, b'","id":"')
    o = put_text(o, &line.id)
    if line.trace.at != NULL:
        o = put_literal(o, b'","trace":"')
        o = put_text(o, &line.trace)
        o = put_literal(o, b'","route":"')
    else:
        o = put_literal(o, b'","trace":null,"route":"')
    o = put_text(o, &line.route)
    o = put_literal(o, b'","subscriber":"')
    o = put_text(o, &line.member)
    if line.queued == 0.0:
        o = put_literal(o, b'","queued":0.000000')
    else:
        o = put_literal(o, b'","queued":')
        o = put_microseconds(o, line.queued)
    o = put_literal(o, b',"wake":0.000000,"guest":')
    o = put_microseconds(o, line.guest)
    o = put_literal(o, b',"first_byte":')
    first = o
    o = put_microseconds(o, line.first)
    end = o
    o = put_literal(o, b',"last_byte":')
    if line.seconds == line.first:
        o = put_bytes(o, first, end - first)
    else:
        o = put_microseconds(o, line.seconds)
    o = put_literal(o, b',"attempts":')
    o = put_number(o, line.attempts)
    return put_literal(o, b',"error":null}\n')


cdef inline u8 *put_text(u8 *o, const Text *text) noexcept nogil:
    return put_bytes(o, text.at, text.size)


cdef u8 *put_escaped(u8 *o, const Text *text) noexcept nogil:
    """C{subproxy.telemetry.log_format.escaped}: up to four times as long."""
    cdef const u8 *p = text.at
    cdef const u8 *end = p + text.size
    while True:
        o = put_plain_run(o, &p, end, T.classes, IS_PLAIN)
        if p == end:
            return o
        o[0] = c"\\"
        o[1] = c"x"
        o[2] = (<const u8 *>b"0123456789ABCDEF")[p[0] >> 4]
        o[3] = (<const u8 *>b"0123456789ABCDEF")[p[0] & 15]
        o += 4
        p += 1


cdef u8 *put_json_escaped(u8 *o, const Text *text) noexcept nogil:
    """C{subproxy.telemetry.log_format.json_escaped}: up to six times as long."""
    cdef const u8 *p = text.at
    cdef const u8 *end = p + text.size
    while True:
        o = put_plain_run(o, &p, end, T.classes, IS_PLAIN)
        if p == end:
            return o
        o = put_literal(o, b"\\u00")
        o[0] = (<const u8 *>b"0123456789abcdef")[p[0] >> 4]
        o[1] = (<const u8 *>b"0123456789abcdef")[p[0] & 15]
        o += 2
        p += 1
