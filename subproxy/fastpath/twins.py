"""
The rules that stand twice: in Python, for reference, and compiled.

Tables are shared (L{subproxy.fastpath.tables}); a rule that is code is written a second time.
Who changes one side changes the other: the docstring of each module names that of its twin, and the
test given here plays both and finds where they differ.
"""

from __future__ import annotations

from typing import Final, NamedTuple

_CONVERSATIONS: Final = "tests.fastpath.test_differential.ConversationTests"
_GUESTS: Final = "tests.fastpath.test_differential_guests.GuestConversationTests"
_HTTP2: Final = "tests.fastpath.test_http2_differential.Http2ConversationTests"
_OPENINGS: Final = "tests.fastpath.test_tunnel_openings.TunnelOpeningTests.test_any_handshake"
_TUNNELS: Final = "tests.fastpath.test_tunnels.TunnelConversationTests.test_any_tunnel"
_PEERS: Final = "tests.fastpath.test_peer.PeerConversationTests"
_CHOICES: Final = "tests.fastpath.test_route_cache.ChoiceTests"

_BODIES: Final = "tests.integration.test_body_paths.BodyPathTests.test_the_same_is_seen"


class Twin(NamedTuple):
    """
    One rule.

    @ivar references: the functions and classes that have it in Python, by full name.
    @ivar compiled: those of the compiled path.
    @ivar test: the test that compares them, by full name.
    """

    references: tuple[str, ...]
    compiled: tuple[str, ...]
    test: str


TWINS: Final = {
    "request head grammar and field kinds": Twin(
        (
            "subproxy.frontend.http1.framing.RequestValidator",
            "subproxy.core.http.request_rules.RequestRules",
            "subproxy.frontend.http1.head_parser.MessageParser",
        ),
        ("subproxy.fastpath._request_head.scan",),
        f"{_CONVERSATIONS}.test_any_request",
    ),
    "forwarding fields and their order": Twin(
        ("subproxy.core.http.forwarded.Forwarding",),
        (
            "subproxy.fastpath._request_frame.encode",
            "subproxy.fastpath._client_info.ClientInfo",
        ),
        f"{_GUESTS}.test_whatever_a_trusted_peer_tells",
    ),
    "the trace of a request": Twin(
        ("subproxy.core.http.trace_context.TraceContext",),
        (
            "subproxy.fastpath._trace_field.find_trace",
            "subproxy.fastpath._trace_field.add_traceparent",
        ),
        "tests.fastpath.test_traces.TraceTests.test_any_trace",
    ),
    "request frame": Twin(
        (
            "subproxy.subscription.request_frame.request_headers",
            "subproxy.subscription.request_frame.request_info",
            "subproxy.wire.frames.encoded_pieces",
        ),
        ("subproxy.fastpath._request_frame.encode",),
        f"{_CONVERSATIONS}.test_any_request",
    ),
    "whole request frame, at the guest": Twin(
        ("subproxy.wire.whole.whole_request",),
        ("subproxy.wire._whole_frame.whole_request",),
        "tests.wire.test_whole.WholeFrameTests.test_any_frame",
    ),
    "request of another process": Twin(
        ("subproxy.frontend.peer.protocol.PeerProtocol",),
        (
            "subproxy.fastpath._peer.FastPeer",
            "subproxy.fastpath._peer_frames.decode_request",
        ),
        f"{_PEERS}.test_any_conversation",
    ),
    "answer to another process": Twin(
        ("subproxy.frontend.peer.stream.PeerStream",),
        (
            "subproxy.fastpath._peer.FastPeerRequest",
            "subproxy.fastpath._peer_frames.back_answer",
        ),
        f"{_PEERS}.test_any_conversation",
    ),
    "response frame grammar": Twin(
        (
            "subproxy.wire.frames.FrameDecoder",
            "subproxy.wire.messages.Response",
            "subproxy.wire.fields.headers",
        ),
        ("subproxy.fastpath._response.decode",),
        f"{_CONVERSATIONS}.test_any_response",
    ),
    "response check": Twin(
        ("subproxy.core.http.response.check_response",),
        ("subproxy.fastpath._response.decode",),
        f"{_CONVERSATIONS}.test_any_response",
    ),
    "response head": Twin(
        ("subproxy.frontend.http1.response_writer.write_head",),
        ("subproxy.fastpath._response.write_head",),
        f"{_CONVERSATIONS}.test_any_response",
    ),
    "HPACK": Twin(
        (
            "subproxy.frontend.http2.hpack.HpackDecoder",
            "subproxy.frontend.http2.hpack.encode_field",
            "subproxy.frontend.http2.huffman.huffman_decode",
            "subproxy.frontend.http2.field_table.DynamicTable",
        ),
        (
            "subproxy.fastpath._hpack.FastHpackDecoder",
            "subproxy.fastpath._hpack.put_field",
            "subproxy.fastpath._hpack.huffman",
        ),
        "tests.fastpath.test_hpack.HpackTests.test_any_block",
    ),
    "frames of HTTP/2": Twin(
        ("subproxy.frontend.http2.frames.FrameReader",),
        ("subproxy.fastpath._http2_connection.walk",),
        f"{_HTTP2}.test_any_conversation",
    ),
    "request fields of HTTP/2": Twin(
        ("subproxy.frontend.http2.request_fields.read_request",),
        ("subproxy.fastpath._http2_head.write_text",),
        f"{_HTTP2}.test_any_conversation",
    ),
    "response of HTTP/2": Twin(
        ("subproxy.frontend.http2.response_encoder.Http2Encoder",),
        ("subproxy.fastpath._http2_response.write_answer",),
        f"{_HTTP2}.test_any_conversation",
    ),
    "log line": Twin(
        (
            "subproxy.telemetry.log_format.combined",
            "subproxy.telemetry.log_format.json_line",
        ),
        ("subproxy.fastpath._log_format.combined", "subproxy.fastpath._log_format.json_line"),
        "tests.fastpath.test_log_format.LogFormatTests.test_any_line_of_the_log",
    ),
    "two choices and slow start": Twin(
        ("subproxy.core.balancing.balancer.PowerOfTwo",),
        ("subproxy.fastpath._route_cache.choose", "subproxy.fastpath._route_cache.weight"),
        f"{_CHOICES}.test_the_same_choice",
    ),
    "who waits for a guest, and whose turn it is": Twin(
        (
            "subproxy.core.balancing.admission.Admission",
            "subproxy.core.dispatcher.Dispatcher",
        ),
        (
            "subproxy.fastpath._waiting_queue.wait",
            "subproxy.fastpath._waiting_queue.release",
            "subproxy.fastpath._waiting_queue.relieve",
            "subproxy.fastpath._waiting_queue.remove",
        ),
        "tests.fastpath.test_waiting_queue.WaitingQueueTests.test_any_turns",
    ),
    "a request that is taken from its guest": Twin(
        ("subproxy.core.dispatcher.Dispatcher", "subproxy.core.exchange.Exchange"),
        ("subproxy.fastpath._connection.failed",),
        "tests.fastpath.test_waiting_queue.WaitingQueueTests.test_any_turns",
    ),
    "an answer of a member that may fail": Twin(
        ("subproxy.core.failing_members.FailingMembers",),
        ("subproxy.fastpath._waiting_queue.judge",),
        f"{_CHOICES}.test_the_same_verdict",
    ),
    "ClientHello": Twin(
        ("subproxy.frontend.tls.client_hello.read_client_hello",),
        ("subproxy.frontend.tls._client_hello.read_client_hello",),
        "tests.frontend.tls.test_client_hello.CompiledTests.test_the_same",
    ),
    "a connection over TLS": Twin(
        ("subproxy.frontend.tls.connection.TlsConnection",),
        (
            "subproxy.frontend.tls._connection.CompiledTlsConnection",
            "subproxy.frontend.tls._memory_connection.MemoryTlsConnection",
        ),
        "tests.frontend.tls.test_differential.DifferentialTests.test_any_conversation",
    ),
    "a connection with another host over TLS": Twin(
        ("subproxy.frontend.peer.host_tls.TwistedHostTls",),
        (
            "subproxy.frontend.peer._host_context.HostContext",
            "subproxy.frontend.peer._host_transport.CompiledHostTransport",
        ),
        "tests.frontend.peer.test_host_differential.DifferentialTests.test_any_conversation",
    ),
    "frames of bodies": Twin(
        (
            "subproxy.wire.messages.Abort",
            "subproxy.wire.messages.Body",
            "subproxy.wire.messages.Connect",
            "subproxy.wire.messages.Credit",
            "subproxy.wire.messages.End",
        ),
        (
            "subproxy.fastpath._body_frames.decode_connect",
            "subproxy.fastpath._body_frames.decode_end",
            "subproxy.fastpath._body_frames.decode_body",
            "subproxy.fastpath._body_frames.decode_credit",
            "subproxy.fastpath._body_frames.decode_abort",
            "subproxy.fastpath._body_frames.connect_frame",
            "subproxy.fastpath._body_frames.credit_frame",
            "subproxy.fastpath._body_frames.body_frame",
            "subproxy.fastpath._body_frames.end_with_length",
        ),
        "tests.fastpath.test_body_frames.BodyFrameTests.test_what_is_written",
    ),
    "handshake of a WebSocket": Twin(
        ("subproxy.core.http.upgrade.requested_upgrade",),
        (
            "subproxy.fastpath._request_head.scan",
            "subproxy.fastpath._request_head.is_nonce",
        ),
        _OPENINGS,
    ),
    "who may have a tunnel": Twin(
        ("subproxy.subscription.tunnels.Tunnels",),
        ("subproxy.fastpath._guest_tunnels.GuestTunnels",),
        _OPENINGS,
    ),
    "head by which a WebSocket begins": Twin(
        ("subproxy.frontend.http1.response_writer.Http1Encoder",),
        ("subproxy.fastpath._response.write_switch",),
        _OPENINGS,
    ),
    "how a WebSocket begins": Twin(
        ("subproxy.frontend.client_stream.ClientStream",),
        ("subproxy.fastpath._tunnelling_connection.TunnellingConnection",),
        _OPENINGS,
    ),
    "what passes through a tunnel, and its credit": Twin(
        (
            "subproxy.frontend.client_tunnel.ClientTunnel",
            "subproxy.subscription.tunnel_request.TunnelRequest",
            "subproxy.wire.credit.SendWindow",
            "subproxy.wire.credit.ReceiveWindow",
        ),
        (
            "subproxy.fastpath._fast_tunnel.FastTunnel",
            "subproxy.fastpath._tunnelling_connection.TunnellingConnection",
        ),
        _TUNNELS,
    ),
    "what a client sends through a tunnel": Twin(
        (
            "subproxy.frontend.client_tunnel.ClientTunnel",
            "subproxy.subscription.tunnel_request.TunnelRequest",
            "subproxy.subscription.upstream_request.UpstreamRequest",
            "subproxy.wire.bodies.WireBodies",
            "subproxy.wire.credit.SendWindow",
        ),
        ("subproxy.fastpath._client_tunnel.pass_to_guest",),
        _TUNNELS,
    ),
    "what a guest sends through a tunnel": Twin(
        (
            "subproxy.subscription.channel.Channel",
            "subproxy.frontend.client_stream.ClientStream",
            "subproxy.wire.credit.ReceiveWindow",
        ),
        ("subproxy.fastpath._tunnel_channel.FastTunnelChannel",),
        _TUNNELS,
    ),
    "what a guest sends of a streamed answer": Twin(
        (
            "subproxy.subscription.channel.Channel",
            "subproxy.frontend.client_stream.ClientStream",
            "subproxy.frontend.http1.response_writer.Http1Encoder",
            "subproxy.wire.credit.ReceiveWindow",
        ),
        ("subproxy.fastpath._answer_channel.FastAnswerChannel",),
        "tests.fastpath.test_answer_streams.AnswerStreamTests.test_any_stream",
    ),
    "claims of data connections": Twin(
        (
            "subproxy.subscription.bodies.connect_peeker.ConnectPeeker",
            "subproxy.subscription.bodies.data_connection.DataConnection",
            "subproxy.subscription.bodies.tokens.Tokens",
        ),
        (
            "subproxy.fastpath._claim_watch.ClaimWatch",
            "subproxy.fastpath._claim_watch.ClaimTable",
        ),
        _BODIES,
    ),
    "bodies over data connections": Twin(
        (
            "subproxy.subscription.bodies.response_transfer.ResponseTransfer",
            "subproxy.subscription.bodies.transfer.RequestTransfer",
        ),
        (
            "subproxy.fastpath._fast_body.FastBody",
            "subproxy.fastpath._download.FastDownload",
            "subproxy.fastpath._upload.FastUpload",
        ),
        _BODIES,
    ),
    "room of collected bodies": Twin(
        ("subproxy.frontend.http2.window.held_beyond",),
        ("subproxy.fastpath._http2_counts.holds_much",),
        "tests.fastpath.test_http2_collected.TogetherTests.test_more_than_a_connection_has_room_for",
    ),
    "route cache": Twin(
        ("subproxy.core.routing.router.Router",),
        ("subproxy.fastpath._route_cache.route", "subproxy.fastpath._route_cache.find"),
        f"{_CONVERSATIONS}.test_any_conversation",
    ),
}
"""Every rule that stands twice, by what it is about."""
