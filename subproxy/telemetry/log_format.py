"""
Access log lines, as bytes: the combined format and JSON.

Pure. Nothing that a client or a guest sent can end a line, close a quote or reach a terminal:
what is not printable ASCII, and quotes and backslashes, are written as escapes.

Combined is what every log reader knows, with five fields behind it::

    192.0.2.7 - - [24/Nov/2026:08:01:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8" \
        9f3ac41be07d2a66-0000002a "a\\x5C.example /.*" "/run/vms/a.sock" 0.001 0.002 -

request id, route (host and path pattern), subscriber (the identity of its VM), seconds to the first
and to the last byte of the response, and in one word what went wrong, if anything did.

Compiled a second time: L{subproxy.fastpath._log_format} (see L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from weakref import WeakKeyDictionary

from subproxy.core.balancing.member import Pool
from subproxy.core.exchange import Exchange
from subproxy.core.http.request import Headers
from subproxy.telemetry.dates import iso_date, log_date
from subproxy.telemetry.exchange_record import ExchangeRecord

_PLAIN = bytes(byte for byte in range(0x20, 0x7F) if byte not in b'"\\')
_ESCAPES = [bytes((byte,)) if byte in _PLAIN else b"\\x%02X" % byte for byte in range(256)]
_JSON_ESCAPES = [bytes((byte,)) if byte in _PLAIN else b"\\u%04x" % byte for byte in range(256)]

Format = Callable[[ExchangeRecord, bytes], bytes]
"""A line, with its end, from an exchange that has ended and the time of day."""


def escaped(text: bytes) -> bytes:
    """C{text} with C{\\xHH} for whatever is not plain."""
    if not text.translate(None, _PLAIN):
        return text
    return b"".join([_ESCAPES[byte] for byte in text])


def json_escaped(text: bytes) -> bytes:
    """C{text} as the inside of a JSON string, byte by byte, as Latin-1 is read."""
    if not text.translate(None, _PLAIN):
        return text
    return b"".join([_JSON_ESCAPES[byte] for byte in text])


def combined(record: ExchangeRecord, date: bytes) -> bytes:
    """
    One line of the combined format, and what is behind it.

    @param date: as L{subproxy.telemetry.dates.log_date} has it.
    """
    exchange = record.exchange
    request = exchange.request
    referer, agent = _client_says(exchange)
    line = request.target
    if request.method:
        line = request.method + b" " + line
        if request.version:
            line += b" HTTP/" + request.version
    if line.translate(None, _PLAIN):
        line = escaped(line)
    started = record.started
    first = record.first_byte
    member, error = exchange.member, exchange.error
    return b'%b - - [%b] "%b" %d %d "%b" "%b" %b "%b" "%b" %b %.3f %b\n' % (
        request.client or b"-",
        date,
        line,
        record.status,
        record.sent,
        escaped(referer),
        escaped(agent),
        request.request_id or b"-",
        b"-" if exchange.pool is None else route_name(exchange.pool),
        b"-" if member is None else escaped(member.identity.encode("utf-8", "replace")),
        b"%.3f" % (first - started) if first else b"-",
        record.ended - started,
        b"-" if error is None else error.code.encode("ascii", "replace"),
    )


def json_line(record: ExchangeRecord, date: bytes) -> bytes:
    """
    One JSON object.

    @param date: as L{subproxy.telemetry.dates.iso_date} has it.
    """
    exchange = record.exchange
    request = exchange.request
    referer, agent = _client_says(exchange)
    started = record.started
    first = record.first_byte
    member, error = exchange.member, exchange.error
    guest = guest_time(record)
    return (
        b'{"time":"%b","client":"%b","method":"%b","host":"%b","target":"%b","version":"%b",'
        b'"status":%d,"bytes":%d,"referer":"%b","user_agent":"%b","id":"%b","trace":%b,'
        b'"route":"%b","subscriber":"%b","queued":%.6f,"wake":%.6f,"guest":%b,"first_byte":%b,'
        b'"last_byte":%.6f,"attempts":%d,"error":%b}\n'
    ) % (
        date,
        json_escaped(request.client),
        json_escaped(request.method),
        json_escaped(request.host),
        json_escaped(request.target),
        json_escaped(request.version),
        record.status,
        record.sent,
        json_escaped(referer),
        json_escaped(agent),
        json_escaped(request.request_id),
        b'"%b"' % request.trace if request.trace else b"null",
        b"-" if exchange.pool is None else json_route_name(exchange.pool),
        b"-" if member is None else json_escaped(member.identity.encode("utf-8", "replace")),
        exchange.queued,
        exchange.wake,
        b"null" if guest is None else b"%.6f" % guest,
        b"%.6f" % (first - started) if first else b"null",
        record.ended - started,
        exchange.attempts,
        b"null" if error is None else b'"%b"' % error.code.encode("ascii", "replace"),
    )


def guest_time(record: ExchangeRecord) -> float | None:
    """
    Seconds that guests had the request, until the head of the answer was written.

    @return: None if none had it.
    """
    exchange = record.exchange
    if not exchange.given:
        return exchange.guest or None
    return exchange.guest + (record.first_byte or record.ended) - exchange.given


def logged_fields(headers: Headers) -> Headers:
    """Those fields of a request that a line has: Referer and User-Agent."""
    return [pair for pair in headers if pair[0].lower() in _LOGGED]


_LOGGED = frozenset({b"referer", b"user-agent"})


def _client_says(exchange: Exchange) -> tuple[bytes, bytes]:
    """Referer and User-Agent."""
    referer = agent = b"-"
    for name, value in exchange.request.headers:
        size = len(name)
        if size == 10 and name.lower() == b"user-agent":
            agent = value
        elif size == 7 and name.lower() == b"referer":
            referer = value
    return referer, agent


_routes: WeakKeyDictionary[Pool, bytes] = WeakKeyDictionary()
_json_routes: WeakKeyDictionary[Pool, bytes] = WeakKeyDictionary()


def route_name(pool: Pool) -> bytes:
    """
    The route of C{pool} as it was registered: a pattern is printable ASCII.

    A quotation mark ends the field, so it is C{\\x22}, which means the same in a pattern.
    """
    route = _routes.get(pool)
    if route is None:
        route = _routes[pool] = _pattern(pool).replace(b'"', b"\\x22")
    return route


def json_route_name(pool: Pool) -> bytes:
    """The route of C{pool} as it was registered, as the inside of a JSON string."""
    route = _json_routes.get(pool)
    if route is None:
        route = _json_routes[pool] = json_escaped(_pattern(pool))
    return route


def _pattern(pool: Pool) -> bytes:
    route = pool.route
    return route.host.source + b" " + route.path.source


class LogFormat(NamedTuple):
    """
    One format of the access log.

    @ivar line: makes a line of an exchange.
    @ivar date: the time of day, of seconds since the epoch, as its lines have it.
    @ivar escape: what stands there for a text of which nobody knows what is in it.
    @ivar route_name: the route of a pool, as it stands there.
    """

    line: Format
    date: Callable[[float], bytes]
    escape: Callable[[bytes], bytes]
    route_name: Callable[[Pool], bytes]


FORMATS = {
    "combined": LogFormat(combined, log_date, escaped, route_name),
    "json": LogFormat(json_line, iso_date, json_escaped, json_route_name),
}
"""By the name on the command line."""
