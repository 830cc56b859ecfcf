"""
What must hold of the HTTP frontend, whatever comes in: checked with h11, which shares no code
with it.
"""

from __future__ import annotations

import h11

from subproxy.core.exchange import Exchange, Headers, RequestHead
from subproxy.core.http.fields import FIELD_VALUE, HOP_BY_HOP, TARGET, TOKEN
from subproxy.telemetry.exchange_record import ExchangeRecord
from tests.rigs.fake_dispatcher import Client


class Recorder:
    """A log that keeps every exchange that ended, in order, and its status."""

    def __init__(self) -> None:
        self.exchanges: list[tuple[Exchange, int, int]] = []
        self.records: list[ExchangeRecord] = []

    def exchangeEnded(self, record: ExchangeRecord) -> None:
        self.records.append(record)
        self.exchanges.append((record.exchange, record.status, record.sent))


class Parsed:
    """A response as h11 read it."""

    def __init__(self) -> None:
        self.interim: list[int] = []
        self.status = 0
        self.headers: Headers = []
        self.body = b""
        self.trailers: Headers = []
        self.complete = False


def parse_responses(data: bytes, methods: list[bytes], closed: bool) -> list[Parsed]:
    """
    Read C{data} as the responses to requests with C{methods}.

    @param closed: the connection was closed behind it, properly.
    @raise h11.RemoteProtocolError: it is not that.
    """
    connection = h11.Connection(h11.CLIENT)
    if data:
        connection.receive_data(data)
    if closed:
        connection.receive_data(b"")
    found: list[Parsed] = []
    for number, method in enumerate(methods):
        connection.send(
            h11.Request(method=method or b"GET", target=b"/", headers=[(b"Host", b"a")])
        )
        connection.send(h11.EndOfMessage())
        parsed = Parsed()
        found.append(parsed)
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                return found
            if isinstance(event, h11.InformationalResponse):
                parsed.interim.append(event.status_code)
            elif isinstance(event, h11.Response):
                parsed.status = event.status_code
                parsed.headers = list(event.headers)
            elif isinstance(event, h11.Data):
                parsed.body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                parsed.trailers = list(event.headers)
                parsed.complete = True
                break
            elif isinstance(event, h11.ConnectionClosed):
                return found
        if connection.our_state is h11.MUST_CLOSE:
            if number != len(methods) - 1:
                raise AssertionError("an answer behind one that closes the connection")
            break
        connection.start_next_cycle()
    trailing = connection.trailing_data[0]
    if trailing:
        raise AssertionError(f"bytes behind the last answer: {trailing[:100]!r}")
    return found


def check_request_head(request: RequestHead) -> None:
    """
    What a guest is shown must be one unambiguous request: rules first, then h11's opinion.
    """
    assert request.method
    assert not request.method.translate(None, TOKEN)
    assert request.target[:1] == b"/", request.target
    assert not request.target.translate(None, TARGET)
    assert request.path[:1] == b"/"
    names = [name.lower() for name, _ in request.headers]
    for name, value in request.headers:
        assert name
        assert not name.translate(None, TOKEN), name
        assert not value.translate(None, FIELD_VALUE), value
        assert value == value.strip(b" \t")
    assert not set(names) & (HOP_BY_HOP | {b"content-length", b"expect"})
    assert names.count(b"host") == (request.host != b"")
    for name in (b"x-forwarded-for", b"x-forwarded-proto", b"forwarded", b"via", b"x-request-id"):
        assert names.count(name) == 1, name
    connection = h11.Connection(h11.SERVER)
    lines = [b"%b %b HTTP/1.1" % (request.method, request.target)]
    if not request.host:
        lines.append(b"Host: none")
    lines += [b"%b: %b" % pair for pair in request.headers]
    connection.receive_data(b"\r\n".join([*lines, b"", b""]))
    event = connection.next_event()
    assert isinstance(event, h11.Request)
    assert event.method == request.method
    assert event.target == request.target
    sent = [(name.lower(), value) for name, value in request.headers]
    got = [pair for pair in event.headers if pair != (b"host", b"none")]
    assert got == sent, (got, sent)


def check_client(client: Client, recorder: Recorder) -> list[Parsed]:
    """Everything that C{client} got, against everything that was logged."""
    transport = client.transport
    ended = recorder.exchanges
    data = transport.value()
    for guest in client.dispatcher.guests:
        check_request_head(guest.exchange.request)
    closed = client.closed and not transport.aborted
    methods = [exchange.request.method for exchange, _, _ in ended]
    if transport.aborted:
        return []
    pending = client.protocol.client_stream
    if pending is not None:
        # An answer that has not ended: interim responses at most, or a part of it.
        methods.append(pending.request.method)
        responses = parse_responses(data, methods, closed)
        if len(responses) == len(methods):
            assert not responses.pop().complete
    else:
        responses = parse_responses(data, methods, closed)
    for (_, status, sent), parsed in zip(ended, responses, strict=True):
        assert parsed.complete
        assert parsed.status == status
        assert len(parsed.body) == sent
    return responses
