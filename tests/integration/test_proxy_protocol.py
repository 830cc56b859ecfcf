"""Clients behind a real HAProxy, which tells of them by the PROXY protocol."""

from __future__ import annotations

import shutil
import socket
import ssl
import time
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from subproxy.reactor.availability import unavailable as without_ring
from tests.integration.certificate import certificate
from tests.integration.harness import World, free_port, wait_until

CLIENT = "127.0.0.9"
GET = b"GET / HTTP/1.1\r\nHost: blog.example\r\nConnection: close\r\n\r\n"

CONFIGURATION = """
global
  maxconn 200
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 10s
"""

SECTION = """
frontend {name}
  bind {bind}
  default_backend {name}
backend {name}
  server one {server} {options}
"""


class HAProxyTests(SynchronousTestCase):
    def setUp(self) -> None:
        if shutil.which("haproxy") is None:
            raise SkipTest("no haproxy")
        self.world = World()
        self.addCleanup(self.world.close)
        self.socket = self.world.folder / "http.sock"
        self.pem = self.world.folder / "pem"
        self.pem.write_bytes(certificate())

    def serve(self, *options: str, reactor: str = "epoll") -> None:
        """A proxy that expects PROXY on TCP and on a UNIX socket, with a guest."""
        self.port = free_port()
        self.proxy = self.world.start_proxy(
            f"--http=haproxy:tcp:{self.port}:interface=127.0.0.1",
            f"--http=haproxy:unix:{self.socket}",
            *options,
            twistd=(f"--reactor={reactor}",),
        )
        self.proxy.wait_for("HTTP on", 3)
        self.world.start_guest("tests.integration.apps:WhoAsks", r"--host=blog\.example")

    def section(self, options: str, *, bind: str = "", server: str = "") -> int | str:
        """One way through HAProxy; where clients come."""
        port: int | str = bind or free_port()
        number = len(self.sections)
        where = bind or f"127.0.0.1:{port}"
        if "send-proxy-v2-ssl" in options:
            where += f" ssl crt {self.pem}"
        self.sections.append(
            SECTION.format(
                name=f"f{number}",
                bind=where,
                server=server or f"127.0.0.1:{self.port}",
                options=options,
            )
        )
        return port

    def start_haproxy(self) -> None:
        file = self.world.folder / "haproxy.cfg"
        file.write_text(CONFIGURATION + "".join(self.sections))
        self.haproxy = self.world.start("haproxy", ["haproxy", "-db", "-f", str(file)])

    def ask(self, where: int | str, tls: bool = False, data: bytes = GET) -> tuple[int, str]:
        """Status and body of a request from C{CLIENT}."""

        def connect() -> socket.socket | None:
            family = socket.AF_INET if isinstance(where, int) else socket.AF_UNIX
            client = socket.socket(family)
            client.settimeout(20)
            try:
                if isinstance(where, int):
                    client.bind((CLIENT, 0))
                    client.connect(("127.0.0.1", where))
                else:
                    client.connect(where.removeprefix("unix@"))
            except OSError:
                client.close()
                return None
            return client

        client = wait_until(connect, f"somebody listens on {where}: {self.haproxy.output}")
        if tls:
            context = ssl.create_default_context(cafile=self.pem)
            client = context.wrap_socket(client, server_hostname="127.0.0.1")
        with client:
            client.sendall(data)
            got = b""
            while more := client.recv(65536):
                got += more
        head, _, body = got.partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()

    def _ways(self) -> None:
        """Each form, over TCP and over a UNIX socket."""
        self.sections: list[str] = []
        unix = f"unix@{self.socket}"
        public = f"unix@{self.world.folder / 'public.sock'}"
        more = "proxy-v2-options crc32c,authority,unique-id,ssl,cert-cn"
        cases: list[tuple[int | str, str, bool]] = []
        for server in ("", unix):
            for options in ("send-proxy", "send-proxy-v2", f"send-proxy-v2 {more}"):
                cases.append((self.section(options, server=server), f"{CLIENT} http", False))
            cases.append((self.section(f"send-proxy-v2-ssl {more}"), f"{CLIENT} https", True))
            # From a UNIX socket: UNKNOWN in version 1.
            own = "unix" if server else "127.0.0.1"
            path = f"{public}.{len(self.sections)}"
            cases.append(
                (self.section("send-proxy", bind=path, server=server), f"{own} http", False)
            )
        path = f"{public}.2"
        cases.append((self.section("send-proxy-v2", bind=path), "", False))
        self.start_haproxy()
        for where, said, tls in cases:
            status, body = self.ask(where, tls)
            self.assertEqual(status, 200, f"{where}: {self.proxy.output}")
            if said:
                client, scheme = said.split()
                self.assertEqual(body, f"{client} {scheme} {client}\n", str(where))
        self.assertNotIn("refused", self.proxy.output)
        self.assertNotIn("Traceback", self.proxy.output)
        wait_until(lambda: f"{CLIENT} - - " in self.proxy.output, "the log names the client")

    def test_epoll(self) -> None:
        """On epoll."""
        self.serve()
        self._ways()

    def test_io_uring(self) -> None:
        """On io_uring, where the compiled path has whole transports."""
        if without_ring() is not None:
            raise SkipTest("no io_uring")
        self.serve(reactor="io_uring")
        self._ways()

    def test_python_path(self) -> None:
        """Without the compiled path."""
        self.serve("--no-fastpath")
        self._ways()

    def test_health_checks(self) -> None:
        """HAProxy's own, with LOCAL and with UNKNOWN, find us healthy."""
        self.serve()
        self.sections = []
        for options in ("send-proxy", "send-proxy-v2"):
            self.section(f"{options} check check-send-proxy inter 100ms fall 1 rise 1")
        self.start_haproxy()
        time.sleep(1.0)
        self.assertNotIn("DOWN", self.haproxy.output)
        self.assertNotIn("refused", self.proxy.output)

    def test_http_checks(self) -> None:
        """Those that ask, too."""
        self.serve()
        self.sections = []
        port = self.section("send-proxy-v2 check check-send-proxy inter 100ms")
        check = "  option httpchk GET / HTTP/1.1\n  http-check send hdr Host blog.example\n"
        self.sections[0] += check + "  http-check expect status 200\n"
        self.start_haproxy()
        wait_until(lambda: self.proxy.output.count("127.0.0.1 - - ") > 2, "checks")
        self.assertEqual(self.ask(port), (200, f"{CLIENT} http {CLIENT}\n"))
        self.assertNotIn("DOWN", self.haproxy.output)

    def test_a_peer_that_is_not_listed(self) -> None:
        """It gets no answer, and the log says why; so does one that sends no header."""
        self.serve("--proxy-protocol=192.0.2.0/24", "--proxy-protocol=unix")
        self.sections = []
        port = self.section("send-proxy")
        good = self.section("send-proxy", server=f"unix@{self.socket}")
        bad = self.section("", server=f"unix@{self.socket}")
        self.start_haproxy()
        self.assertEqual(self.ask(good)[0], 200)
        self.assertIn(self.ask(port)[0], (502, 503))
        self.proxy.wait_for("refused a connection of 127.0.0.1: it is not among those")
        self.assertIn(self.ask(bad)[0], (502, 503))
        self.proxy.wait_for("refused a connection of unix: the connection does not begin with")

    def test_an_option_without_listener(self) -> None:
        """It is an error, and not forgotten."""
        from tests.integration.harness import TWISTD

        line = [*TWISTD, "-n", "--pidfile=", "subproxy", "--http=8080"]
        process = self.world.start("bad", [*line, "--proxy-protocol=127.0.0.1"])
        self.assertEqual(process.wait(), 1)
        process.wait_for("say --http=haproxy:tcp:PORT")


class SocketTests(SynchronousTestCase):
    """What a real socket does behind a header, on both reactors."""

    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)

    def _serve(self, reactor: str) -> None:
        if reactor == "io_uring" and without_ring() is not None:
            raise SkipTest("no io_uring")
        self.port = free_port()
        proxy = self.world.start_proxy(
            f"--http=haproxy:tcp:{self.port}:interface=127.0.0.1", twistd=(f"--reactor={reactor}",)
        )
        proxy.wait_for("HTTP on", 2)
        self.world.start_guest("tests.integration.apps:WhoAsks", r"--host=blog\.example")
        self.world.start_guest("tests.integration.apps:Endless", r"--host=big\.example", name="big")

    def _exchange(self, *pieces: bytes, half_close: bool = False) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                client.sendall(piece)
                if len(pieces) > 1:
                    time.sleep(0.002)
            if half_close:
                client.shutdown(socket.SHUT_WR)
            got = b""
            while more := client.recv(1 << 20):
                got += more
            return got

    def _sockets(self) -> None:
        data = b"PROXY TCP4 203.0.113.9 198.51.100.1 56324 443\r\n" + GET
        good = b"\r\n\r\n203.0.113.9 http 203.0.113.9\n"
        self.assertTrue(self._exchange(data).endswith(good))
        pieces = [data[at : at + 1] for at in range(len(data))]
        self.assertTrue(self._exchange(*pieces).endswith(good))
        self.assertTrue(self._exchange(data, half_close=True).endswith(good))
        self.assertEqual(self._exchange(data[:20], half_close=True), b"")
        self.assertEqual(self._exchange(half_close=True), b"")
        big = data.replace(b"blog", b"big").replace(b"GET / ", b"GET /10000000 ")
        body = self._exchange(big).partition(b"\r\n\r\n")[2]
        self.assertEqual(len(body), 10_000_000)
        self.assertEqual(body, (b"0123456789abcdef" * 625_000))
        assert self.world.proxy is not None
        self.assertNotIn("Traceback", self.world.proxy.output)

    def test_epoll(self) -> None:
        self._serve("epoll")
        self._sockets()

    def test_io_uring(self) -> None:
        self._serve("io_uring")
        self._sockets()


class TlsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)

    def test_tls_begins_behind_the_header(self) -> None:
        """As HAProxy's C{server ... ssl send-proxy} and balancers of clouds have it."""
        pem, port = self.world.folder / "pem", free_port()
        pem.write_bytes(certificate())
        proxy = self.world.start_proxy(
            f"--http=haproxy:ssl:{port}:privateKey={pem}:interface=127.0.0.1"
        )
        proxy.wait_for("HTTP on", 2)
        self.world.start_guest("tests.integration.apps:WhoAsks", r"--host=blog\.example")
        context = ssl.create_default_context(cafile=pem)
        plain = socket.create_connection(("127.0.0.1", port), timeout=20)
        plain.sendall(b"PROXY TCP4 203.0.113.9 198.51.100.1 56324 443\r\n")
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as client:
            client.sendall(GET)
            got = b""
            while more := client.recv(65536):
                got += more
        self.assertTrue(got.endswith(b"203.0.113.9 https 203.0.113.9\n"), got)

    def test_handed_over(self) -> None:
        """The new process goes on with the listener, and with what it expects."""
        from tests.integration.successors import Line

        port = free_port()
        proxy = self.world.start_proxy(f"--http=haproxy:tcp:{port}:interface=127.0.0.1")
        proxy.wait_for("HTTP on", 2)
        line = Line(self.world)
        self.addCleanup(line.end)
        line.hand_over()
        line.wait_for_the_old()
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            client.sendall(b"PROXY TCP4 203.0.113.9 198.51.100.1 56324 443\r\n" + GET)
            self.assertTrue(client.recv(65536).startswith(b"HTTP/1.1 404 "))
        wait_until(lambda: "203.0.113.9 - - " in proxy.output, "the log names the client")
        self.assertNotIn("Traceback", proxy.output)
