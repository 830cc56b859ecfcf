"""
What HTTP allows in a message, as plain data: the one description of it.

The validator, the check of responses and the response writer read these tables, and so does
whatever compiles the common path. Nothing here is a rule that runs; the rules
are in L{subproxy.core.http.request_rules}, L{subproxy.frontend.http1.framing} and
L{subproxy.core.http.response}.

Field names are in lower case. Character tables are C{bytes} that hold each allowed
byte once, made for C{value.translate(None, TABLE)}, which leaves what is not allowed.
"""

from __future__ import annotations

from typing import Final

# Characters (RFC 9110 section 5, RFC 9112 section 3).

ALPHANUMERIC: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

TOKEN: Final = b"!#$%&'*+-.^_`|~" + ALPHANUMERIC
"""A method, a field name, a connection option: RFC 9110 section 5.6.2."""

FIELD_VALUE: Final = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))
"""A field value: visible, space, tab and obs-text; no CR, LF, NUL, control or DEL (section 5.5)."""

REASON: Final = FIELD_VALUE
"""A reason phrase: RFC 9112 section 4."""

TARGET: Final = bytes(byte for byte in range(0x21, 0x7F) if byte not in b'#"<>')
"""A request target: visible ASCII without what could end a URI. The rest that RFC 3986
wants escaped (C{^`{|}}, and a backslash in a query) is sent by browsers, and harmless."""

PATH: Final = bytes(byte for byte in TARGET if byte not in b"\\?")
"""The path of a target: no backslash, which some servers take for a slash."""

REG_NAME: Final = b"-._~" + ALPHANUMERIC
"""A host name. RFC 3986 section 3.2.2 allows escapes and C{!$&'()*+,;=} too, which no name in use
has (but what grpcio makes of a unix socket's path), and by which two parsers could read two
hosts."""

IP_LITERAL: Final = b"0123456789abcdefABCDEF:."
"""What stands between the brackets of an IPv6 address."""

DIGITS: Final = b"0123456789"

# Names.

HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"te",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    }
)
"""Fields of one connection, never forwarded (RFC 9110 section 7.6.1), besides what C{Connection}
nominates."""

FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
"""Fields that say where a message ends: parsed, and written anew for the next hop."""

FORWARDING: Final = frozenset(
    {
        b"forwarded",
        b"via",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-proto",
    }
)
"""Fields that the proxy sets, and that only a trusted peer may have set before."""

FORWARDING_DROPPED: Final = frozenset(
    {
        b"true-client-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"x-original-forwarded-for",
        b"x-original-host",
        b"x-original-method",
        b"x-original-uri",
        b"x-original-url",
        b"x-real-ip",
        b"x-rewrite-url",
        b"x-url-scheme",
    }
)
"""
Fields of the same kind that the proxy does not set: kept from a trusted peer only.

There are applications that take a path from C{X-Original-URL} or C{X-Rewrite-URL}, instead of that
of the request line, by which routes and sites were found.
"""

FORWARDING_PREFIX: Final = b"x-forwarded"
"""Any other field whose name begins so is of that kind too. An underscore counts as a hyphen:
applications behind CGI or WSGI can't tell them apart."""

REQUEST_ID: Final = b"x-request-id"
"""The id that the client, the log and the guest share."""

NOT_IN_TRAILERS: Final = (
    HOP_BY_HOP
    | FRAMING
    | FORWARDING
    | FORWARDING_DROPPED
    | frozenset(
        {
            b"age",
            b"authorization",
            b"cache-control",
            b"content-encoding",
            b"content-range",
            b"content-type",
            b"cookie",
            b"date",
            b"expect",
            b"expires",
            b"host",
            b"location",
            b"max-forwards",
            b"pragma",
            b"proxy-status",
            b"range",
            b"retry-after",
            b"set-cookie",
            b"trailer",
            b"vary",
            b"warning",
            b"www-authenticate",
            REQUEST_ID,
        }
    )
)
"""Fields about framing, routing, authentication, caching or the form of the content, which a
recipient must not take from trailers (RFC 9110 section 6.5.1): dropped there."""

# Methods and statuses.

METHODS: Final = frozenset(
    (
        b"ACL BIND CHECKOUT COPY DELETE GET HEAD LINK LOCK M-SEARCH MERGE MKACTIVITY MKCALENDAR "
        b"MKCOL MOVE NOTIFY OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT "
        b"SEARCH SUBSCRIBE UNBIND UNLINK UNLOCK UNSUBSCRIBE"
    ).split()
)
"""Methods that are forwarded."""

METHODS_REFUSED: Final = frozenset({b"CONNECT", b"TRACE"})
"""Methods answered with 405; any other is answered with 501."""

BODILESS: Final = frozenset({204, 205, 304})
"""Final statuses that never have a body (RFC 9110 sections 6.4.1 and 15.3.6); nor has any answer
to HEAD. 205 alone has to say so, by a length of 0: its head does not end it for every reader."""

PHRASES: Final[dict[int, bytes]] = {
    100: b"Continue",
    101: b"Switching Protocols",
    102: b"Processing",
    103: b"Early Hints",
    200: b"OK",
    201: b"Created",
    202: b"Accepted",
    203: b"Non-Authoritative Information",
    204: b"No Content",
    205: b"Reset Content",
    206: b"Partial Content",
    207: b"Multi-Status",
    208: b"Already Reported",
    226: b"IM Used",
    300: b"Multiple Choices",
    301: b"Moved Permanently",
    302: b"Found",
    303: b"See Other",
    304: b"Not Modified",
    305: b"Use Proxy",
    307: b"Temporary Redirect",
    308: b"Permanent Redirect",
    400: b"Bad Request",
    401: b"Unauthorized",
    402: b"Payment Required",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    406: b"Not Acceptable",
    407: b"Proxy Authentication Required",
    408: b"Request Timeout",
    409: b"Conflict",
    410: b"Gone",
    411: b"Length Required",
    412: b"Precondition Failed",
    413: b"Content Too Large",
    414: b"URI Too Long",
    415: b"Unsupported Media Type",
    416: b"Range Not Satisfiable",
    417: b"Expectation Failed",
    418: b"I'm a teapot",
    421: b"Misdirected Request",
    422: b"Unprocessable Content",
    423: b"Locked",
    424: b"Failed Dependency",
    425: b"Too Early",
    426: b"Upgrade Required",
    428: b"Precondition Required",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    451: b"Unavailable For Legal Reasons",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
    506: b"Variant Also Negotiates",
    507: b"Insufficient Storage",
    508: b"Loop Detected",
    511: b"Network Authentication Required",
}
"""The phrase of a status to which no other was given."""

# Sizes of a response head. Those of a request are the operator's: L{subproxy.frontend.limits}.

MAX_LENGTH: Final = 2**63 - 1
"""The largest Content-Length that means anything, in bytes."""

MAX_RESPONSE_FIELDS: Final = 256
"""Fields in a response, or in its trailers."""

MAX_RESPONSE_HEAD: Final = 65_536
"""Bytes of names and values in a response head, or in its trailers."""

MAX_INTERIM: Final = 16_384
"""Bytes of all interim responses of one exchange: of names and values, and for each..."""

INTERIM_COST: Final = 128
"""... so many: 128 of them at most, then (docs/protocol.md, "response")."""

MAX_REASON: Final = 256
"""Bytes of a reason phrase."""
