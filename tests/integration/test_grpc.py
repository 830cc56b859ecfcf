"""gRPC by its own client, grpcio: all four kinds of calls, through a proxy to a guest."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any
from unittest import SkipTest

try:
    import grpc
except ImportError:
    grpc = None

from subproxy.fastpath.install import unavailable
from tests.integration.tls_case import TlsCase

DEADLINE = 30


class GrpcTests(TlsCase):
    skip = unavailable()

    def setUp(self) -> None:
        if grpc is None:
            raise SkipTest("grpcio is not here")
        super().setUp()
        self.put("blog.pem", "blog.example", "127.0.0.1")
        self.proxy = self.world.start_proxy(
            f"--https=tcp:{self.https}:interface=127.0.0.1",
            f"--certificates={self.certificates}",
            "--response-timeout=20",
        )
        self.proxy.wait_for("HTTPS on")

    def start(self) -> None:
        self.guest = self.world.start_guest("tests.integration.grpc_app:Grpc", "--host=.*")

    def channels(self) -> Iterator[Any]:
        """One in clear text, one over TLS."""
        credentials = grpc.ssl_channel_credentials(self.authority.pem)
        for channel in (
            grpc.insecure_channel(f"127.0.0.1:{self.world.port}"),
            grpc.secure_channel(f"127.0.0.1:{self.https}", credentials),
        ):
            with channel:
                yield channel

    def test_every_kind_of_call(self) -> None:
        """One message or many, either way; with metadata; small and large."""
        self.start()
        for channel in self.channels():
            unary = channel.unary_unary("/test.Echo/Unary")
            said, call = unary.with_call(b"hello", DEADLINE, [("x-given", "metadata")])
            self.assertEqual(said, b"HELLO")
            self.assertIn(("x-given", "metadata"), call.initial_metadata())
            large = b"x" * 3_000_000
            self.assertEqual(unary(large, DEADLINE), large.upper())
            count = channel.unary_stream("/test.Echo/Count")
            self.assertEqual(list(count(b"500", DEADLINE)), [b"%d" % each for each in range(500)])
            total = channel.stream_unary("/test.Echo/Sum")
            self.assertEqual(total(iter([b"x" * 10_000] * 100), DEADLINE), b"1000000")
            self.talk(channel)
        self.assertNotIn("Traceback", self.proxy.output + self.guest.output)

    def talk(self, channel: Any) -> None:
        """Each is said when the answer to the one before is here; the guest ends it."""
        to_say: queue.Queue[bytes] = queue.Queue()
        to_say.put(b"first")
        heard = channel.stream_stream("/test.Echo/Talk")(iter(to_say.get, None), DEADLINE)
        self.assertEqual(next(heard), b"tsrif")
        for each in range(20):
            to_say.put(b"%03d" % each)
            self.assertEqual(next(heard), (b"%03d" % each)[::-1])
        to_say.put(b"bye")
        self.assertEqual(next(heard), b"eyb")
        # The client's half is still open.
        self.assertEqual(list(heard), [])
        self.assertIs(heard.code(), grpc.StatusCode.OK)

    def test_calls_that_fail(self) -> None:
        """The status is the guest's, wherever it stands; the proxy's where there is no guest."""
        with grpc.insecure_channel(f"127.0.0.1:{self.world.port}") as channel:
            # 404 is that, to clients of gRPC.
            self.assertIs(self.code(channel, "Unary"), grpc.StatusCode.UNIMPLEMENTED)
        self.start()
        for channel in self.channels():
            self.assertIs(self.code(channel, "Refused"), grpc.StatusCode.PERMISSION_DENIED)
            self.assertIs(self.code(channel, "Broken"), grpc.StatusCode.ABORTED)
            self.assertIs(self.code(channel, "Slow", 0.3), grpc.StatusCode.DEADLINE_EXCEEDED)
            # And the connection goes on.
            self.assertEqual(channel.unary_unary("/test.Echo/Unary")(b"x", DEADLINE), b"X")

    def code(self, channel: Any, path: str, deadline: float = DEADLINE) -> Any:
        """With which status a call fails."""
        with self.assertRaises(grpc.RpcError) as raised:
            channel.unary_unary(f"/test.Echo/{path}")(b"x", deadline)
        return raised.exception.code()
