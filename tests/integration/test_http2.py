"""HTTP/2 end to end: a real proxy, real clients, a guest that sends back what it is sent."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
from unittest import SkipTest

import httpx
from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from subproxy.frontend.http2.frames import PREFACE, FrameType, write_frame, write_settings
from subproxy.frontend.http2.hpack import encode_fields
from tests.integration.harness import World, free_port, wait_until
from tests.integration.tls_case import TlsCase
from tests.rigs.http2_client import GET

NODE = """
const http2 = require('node:http2');
const client = http2.connect(process.argv[1]);
client.on('error', (error) => { console.log('error', error.message); process.exit(1); });
const ask = (size) => new Promise((done) => {
  const stream = client.request({ ':method': 'POST', ':path': '/echo' });
  let status, got = 0;
  stream.on('response', (head) => { status = head[':status']; });
  stream.on('data', (data) => { got += data.length; });
  stream.on('end', () => done(`${status} ${got}`));
  stream.end(Buffer.alloc(size, 'x'));
});
(async () => {
  const said = await Promise.all([5, 5, 70000, 1000000].map(ask));
  console.log(said.join('\\n'));
  client.close();
})();
"""


class Http2Tests(SynchronousTestCase):
    skip = unavailable()

    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)

    def serve(self, application: str, *options: str, reactor: str = "") -> None:
        twistd = (f"--reactor={reactor}",) if reactor else ()
        self.proxy = self.world.start_proxy(*options, twistd=twistd)
        self.world.start_guest(application, "--host=.*")
        self.url = f"http://127.0.0.1:{self.world.port}"

    def run_client(self, *command: str, check: bool = True) -> str:
        if shutil.which(command[0]) is None:
            raise SkipTest(f"{command[0]} is not here")
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, cwd=self.world.folder
        )
        if check:
            self.assertEqual(done.returncode, 0, (done.stdout, done.stderr, self.proxy.output))
        return done.stdout

    def curl(self, *options: str) -> str:
        command = ("curl", "-sS", "--http2-prior-knowledge", "-m", "30", *options)
        return self.run_client(*command)

    def test_curl(self) -> None:
        """Small and large bodies both ways, in clear text; HTTP/1.1 on the same port."""
        self.serve("echo:Echo")
        big = self.world.folder / "big"
        big.write_bytes(os.urandom(3_000_000))
        for reactor in ("io_uring", "epoll"):
            said = self.curl("-w", "%{http_code} %{http_version}", self.url + "/")
            self.assertEqual(said, "OK200 2", reactor)
        self.curl("--data-binary", f"@{big}", "-o", "back", self.url + "/echo")
        back = (self.world.folder / "back").read_bytes()
        self.assertEqual(hashlib.sha256(back).digest(), hashlib.sha256(big.read_bytes()).digest())
        self.assertEqual(self.world.ask("/")[2], b"OK")
        wait_until(lambda: self.proxy.output.count('HTTP/2" 200') == 3, "lines of the log")
        self.proxy.wait_for('HTTP/1.1" 200')
        self.assertNotIn("Traceback", self.proxy.output)

    def test_every_reactor(self) -> None:
        """Many streams on each reactor, and not a line of Python for most."""
        for reactor in ("io_uring", "compiled_epoll", "epoll"):
            with self.subTest(reactor=reactor):
                self.serve("tests.integration.apps:Named", reactor=reactor)
                said = self.run_client("h2load", "-n2000", "-c4", "-m25", self.url + "/")
                self.assertIn("2000 succeeded, 0 failed", said)
                self.assertNotIn("Traceback", self.proxy.output)
                self.setUp()

    def test_node(self) -> None:
        """Node's own client, four bodies at once."""
        self.serve("echo:Echo")
        said = self.run_client("node", "-e", NODE, self.url)
        self.assertEqual(said.split("\n")[:4], ["200 5", "200 5", "200 70000", "200 1000000"])

    def test_nghttp(self) -> None:
        """nghttp, with priorities of the old kind, and a trailer."""
        self.serve("echo:Echo")
        said = self.run_client("nghttp", "-v", "--trailer=x-sum: 1", "-d/etc/services", self.url)
        self.assertIn(":status: 200", said)

    def test_httpx(self) -> None:
        """python's h2: streams, and a body that the guest pulls."""
        self.serve("stream:Stream")
        with httpx.Client(http1=False, http2=True, timeout=30) as client:
            for _ in range(3):
                answer = client.get(f"{self.url}/zeros/500000")
                self.assertEqual((answer.http_version, len(answer.content)), ("HTTP/2", 500_000))

    def test_an_early_answer(self) -> None:
        """curl gets an answer that comes before its upload is through: it neither hangs nor loses
        it, whether it is an error or not, and the connection goes on."""
        self.serve("tests.integration.apps:Named", "--max-body=4000000")
        big = self.world.folder / "big"
        upload = ("--data-binary", f"@{big}", "-w", "%{http_code}", self.url)
        for size, status in ((5_000_000, "413"), (3_000_000, "200"), (70_000, "200")):
            big.write_bytes(bytes(size))
            for _ in range(3):
                said = self.curl(*upload, "--next", "-sSw%{http_code} %{num_connects}", self.url)
                self.assertIn(f"{status}", said)
                self.assertTrue(said.endswith("200 0"), said)

    def test_a_stop_under_load(self) -> None:
        """SIGTERM while streams come and go: all that were begun are answered."""
        self.serve("tests.integration.apps:Named")
        load = subprocess.Popen(
            ["h2load", "-D4", "-c4", "-m8", self.url],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(load.kill)
        wait_until(lambda: self.proxy.output.count(' 200 4 "-"') > 100, "load")
        self.proxy.signal(signal.SIGTERM)
        self.assertEqual(self.proxy.wait(), 0)
        load.communicate()
        self.assertNotIn('HTTP/2" 499', self.proxy.output)
        self.assertNotIn("Traceback", self.proxy.output)

    def test_metrics_and_floods(self) -> None:
        """A client that resets what it asks for is sent away, and counted."""
        admin = free_port()
        token = f"--admin-token={self.world.folder / 'token'}"
        self.serve(
            "tests.integration.apps:Named",
            f"--admin=tcp:{admin}:interface=127.0.0.1",
            token,
        )
        request = encode_fields(GET)
        with socket.create_connection(("127.0.0.1", self.world.port), timeout=20) as client:
            client.sendall(PREFACE + write_settings({}))
            with contextlib.suppress(ConnectionError):
                for number in range(1, 4001, 2):
                    client.sendall(
                        write_frame(FrameType.HEADERS, 5, number, request)
                        + write_frame(FrameType.RST_STREAM, 0, number, bytes(4))
                    )
                while client.recv(65536):
                    pass
        page = self.run_client("curl", "-sS", f"http://127.0.0.1:{admin}/metrics")
        self.assertIn('subproxy_http2_floods_total{kind="reset"} 1.0', page)

    def test_where_nothing_is_compiled(self) -> None:
        """The preface is answered in HTTP/1.1, and the log says why."""
        self.serve("echo:Echo", "--no-fastpath")
        command = ("curl", "-sS", "--http2-prior-knowledge", "-m", "10", self.url)
        self.run_client(*command, check=False)
        self.proxy.wait_for("HTTP/2 is not spoken")
        wait_until(lambda: re.search('HTTP/2.0" 505', self.proxy.output), "the line of the log")
        self.assertNotIn("Traceback", self.proxy.output)

    def test_off(self) -> None:
        """Who has switched it off speaks HTTP/1.1 alone."""
        self.serve("echo:Echo", "--http2=off")
        command = ("curl", "-sS", "--http2-prior-knowledge", "-m", "10", self.url)
        self.run_client(*command, check=False)
        self.proxy.wait_for("HTTP/2 is not spoken: --http2=off")
        wait_until(lambda: re.search('HTTP/2.0" 505', self.proxy.output), "the line of the log")
        self.assertEqual(self.world.ask("/")[2], b"OK")

    def test_off_at_one_listener(self) -> None:
        """There the preface gets 505 and a line of the log; the other one speaks both."""
        port = free_port()
        self.serve("echo:Echo", f"--http=tcp:{port}:interface=127.0.0.1:http2=off")
        self.proxy.wait_for(f"HTTP, without HTTP/2, on tcp:{port}:interface=127.0.0.1")
        self.assertEqual(self.curl("-w", "%{http_version}", self.url + "/"), "OK2")
        command = ("curl", "-sS", "--http2-prior-knowledge", "-m", "10")
        self.run_client(*command, f"http://127.0.0.1:{port}/", check=False)
        wait_until(lambda: re.search('HTTP/2.0" 505', self.proxy.output), "the line of the log")
        said = self.run_client("curl", "-sS", "-w", "%{http_version}", f"http://127.0.0.1:{port}/")
        self.assertEqual(said, "OK1.1")
        self.assertNotIn("Traceback", self.proxy.output)


class Http2OverTlsTests(TlsCase):
    skip = unavailable()

    def test_off_at_one_listener(self) -> None:
        """There ALPN offers HTTP/1.1 alone, and the preface within TLS gets 505, too."""
        also = free_port()
        self.serve(f"--https=tcp:{also}:http2=off:interface=127.0.0.1")
        context = self.authority.client_context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        with self.connect(context=context) as client:
            self.assertEqual(client.selected_alpn_protocol(), "h2")
        self.https = also
        with self.connect(context=context) as client:
            self.assertEqual(client.selected_alpn_protocol(), "http/1.1")
            self.assertTrue(self.get(client).startswith(b"HTTP/1.1 200"))
        with self.connect(context=context) as client:
            client.sendall(PREFACE)
            self.assertTrue(client.recv(100).startswith(b"HTTP/1.1 505"))

    def test_off(self) -> None:
        """ALPN offers HTTP/1.1, to a client that would rather have HTTP/2 too."""
        self.serve("--http2=off")
        context = self.authority.client_context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        with self.connect(context=context) as client:
            self.assertEqual(client.selected_alpn_protocol(), "http/1.1")
            self.assertTrue(self.get(client).startswith(b"HTTP/1.1 200"))

    def test_what_is_offered(self) -> None:
        """HTTP/2 first, HTTP/1.1 too."""
        self.serve()
        for offered, chosen in ((["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1")):
            context = self.authority.client_context()
            context.set_alpn_protocols(offered)
            with self.connect(context=context) as client:
                self.assertEqual(client.selected_alpn_protocol(), chosen)
                if chosen == "h2":
                    # SETTINGS come before the client has said anything.
                    self.assertEqual(client.recv(9)[3], FrameType.SETTINGS)

    def test_a_host_that_another_certificate_is_for(self) -> None:
        """421, for that request alone: a client that coalesces asks elsewhere."""
        self.put("other.pem", "other.example")
        self.serve()
        address = f"https://127.0.0.1:{self.https}"
        asked = {"blog.example": 200, "other.example": 421, "news.example": 200}
        with httpx.Client(http2=True, verify=self.context, timeout=30) as client:
            for host, status in asked.items():
                answer = client.get(
                    address, headers={"Host": host}, extensions={"sni_hostname": "blog.example"}
                )
                self.assertEqual((answer.http_version, answer.status_code), ("HTTP/2", status))
