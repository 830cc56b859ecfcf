"""HTTPS as clients see it: real ones, and such as do not end what they begin."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import ssl
import subprocess
import time
from http.client import HTTPSConnection
from pathlib import Path
from unittest import SkipTest

from subproxy.fastpath.install import unavailable as without_compiler
from tests.integration.h2load import H2Load
from tests.integration.harness import wait_until
from tests.integration.successors import Line
from tests.integration.tls_case import HOST, RING, Load, TlsCase

NODE = """
const https = require('https');
const agent = new https.Agent({keepAlive: true, maxSockets: 1});
let asked = 0;
function ask() {
  https.get({host: '127.0.0.1', port: PORT, servername: 'blog.example', agent,
             ALPNProtocols: ['http/1.1'], ca: require('fs').readFileSync('CA'),
             headers: {Host: 'blog.example'}}, answer => {
    console.log(answer.statusCode, answer.socket.getProtocol(), answer.socket.alpnProtocol);
    answer.resume();
    answer.on('end', () => {
      if (++asked < 3) ask(); else agent.destroy();
    });
  });
}
ask();
"""


class ClientTests(TlsCase):
    def run_command(self, *command: str, say: bytes = b"") -> str:
        if shutil.which(command[0]) is None:
            raise SkipTest(f"no {command[0]}")
        done = subprocess.run(
            command,
            input=say,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=30,
        )
        return done.stdout.decode(errors="replace")

    def s_client(self, *options: str, say: bytes = b"") -> str:
        return self.run_command(
            "openssl",
            "s_client",
            "-connect",
            f"127.0.0.1:{self.https}",
            "-servername",
            HOST,
            *options,
            say=say,
        )

    def test_clients(self) -> None:
        """curl, OpenSSL, Node and Python, on every version that is offered."""
        self.serve(application="WhoAsks")
        where = f"{HOST}:{self.https}"
        for version in ("--tlsv1.3", "--tlsv1.2 --tls-max 1.2"):
            out = self.run_command(
                "curl",
                "-sS",
                *version.split(),
                "--cacert",
                str(self.ca),
                "--resolve",
                f"{where}:127.0.0.1",
                f"https://{where}/",
            )
            self.assertEqual(out, "127.0.0.1 https 127.0.0.1\n")
        out = self.s_client("-alpn", "h2,http/1.1", "-brief", "-CAfile", str(self.ca))
        self.assertIn("Verification: OK", out)
        self.assertIn("Protocol version: TLSv1.3", out)
        for old in ("-tls1_1", "-tls1"):
            self.assertIn(
                "alert protocol version", self.s_client(old, "-cipher", "ALL:@SECLEVEL=0")
            )
        script = NODE.replace("PORT", str(self.https)).replace("CA", str(self.ca))
        self.assertEqual(self.run_command("node", "-e", script), "200 TLSv1.3 http/1.1\n" * 3)
        self.resumption()
        self.odd_records()

    def resumption(self) -> None:
        for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
            context = self.authority.client_context()
            context.maximum_version = version
            with self.connect(context=context) as client:
                self.get(client)
                session = client.session
            with self.connect(context=context, session=session) as client:
                self.assertTrue(client.session_reused, version)
                self.get(client)

    def odd_records(self) -> None:
        """Key updates are answered, but not for ever; another handshake is refused."""
        request = b"GET / HTTP/1.1\nHost: blog.example\nConnection: close\n\n"
        once = self.s_client("-ign_eof", "-crlf", "-nocommands", say=request)
        self.assertIn("HTTP/1.1 200 OK", once)
        for times, answered in ((3, True), (100, False)):
            out = self.typed([b"K\n"] * times + [request])
            self.assertEqual("HTTP/1.1 200 OK" in out, answered, out[-500:])
        self.assertIn("no renegotiation", self.typed([b"R\n"], "-tls1_2"))

    def typed(self, lines: list[bytes], *options: str) -> str:
        """
        What s_client prints. It reads a command off the beginning of what it reads at once, so
        each is given when the one before has been taken.
        """
        with subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{self.https}", "-servername", HOST]
            + ["-crlf", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as client:
            assert client.stdin is not None
            assert client.stdout is not None
            out = b""
            end = time.monotonic() + 30

            def until(text: bytes, count: int) -> None:
                nonlocal out
                while out.count(text) < count and time.monotonic() < end:
                    if select.select([client.stdout], [], [], 0.5)[0]:
                        piece = os.read(client.stdout.fileno(), 65536)
                        if not piece:
                            return
                        out += piece

            until(b"Verify return code", 1)
            try:
                for number, line in enumerate(lines, 1):
                    client.stdin.write(line)
                    client.stdin.flush()
                    until(b"KEYUPDATE", min(number, lines.count(b"K\n")))
            except BrokenPipeError:
                pass
            text = (out + client.stdout.read()).decode(errors="replace")
            try:
                client.stdin.close()
            except BrokenPipeError:
                pass
        return text

    def test_bodies(self) -> None:
        """Both ways, by data connections and by frames, by each library."""
        for reactor, self.library in ((RING, "auto"), (RING, "wheel"), ("epoll", "python")):
            self.setUp()
            self.serve(application="Mirror", reactor=reactor)
            body = bytes(range(256)) * 16384
            client = HTTPSConnection("127.0.0.1", self.https, timeout=30, context=self.context)
            for path in ("/", "/stream"):
                client.request("POST", path, body, {"Host": "127.0.0.1"})
                answer = client.getresponse()
                self.assertEqual(answer.status, 200, reactor)
                self.assertTrue(answer.read() == body)
            client.close()
            self.world.close()

    def test_slow_reader(self) -> None:
        """An answer that nobody takes is held back at the guest, and comes whole when it is."""
        self.serve(application="Endless")
        with self.connect() as client:
            client.sendall(b"GET /30000000 HTTP/1.1\r\nHost: blog.example\r\n\r\n")
            time.sleep(1)
            status = Path(f"/proc/{self.proxy.child.pid}/status").read_text()
            left = 30000000
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(1)
            while left:
                got = len(client.recv(65536))
                self.assertTrue(got)
                left -= got
        resident = int(status.partition("VmRSS:")[2].split()[0])
        self.assertLess(resident, 120_000, "kilobytes: the body was not held in the proxy")

    def test_truncated(self) -> None:
        """An answer that breaks off never looks whole; a request that does is never passed on."""
        self.serve(application="Endless")
        with self.connect() as client:
            client.sendall(b"GET / HTTP/1.0\r\nHost: blog.example\r\n\r\n")
            client.recv(1000)
            self.world.processes[-1].signal(signal.SIGKILL)
            with self.assertRaisesRegex(OSError, "(?i)eof|reset"):
                while client.recv(1 << 20):
                    pass
        with self.connect() as client:
            client.sendall(
                b"POST / HTTP/1.1\r\nHost: blog.example\r\nContent-Length: 9\r\n\r\nfour"
            )
            # A FIN without close_notify.
            socket.socket.shutdown(client, socket.SHUT_WR)
            with self.assertRaisesRegex(OSError, "(?i)eof|reset"):
                client.recv(100)
        self.assertNotIn("POST", self.proxy.output)

    def test_at_the_door(self) -> None:
        """Names, plain HTTP, halves of handshakes, and how many of each there were."""
        admin = self.world.folder / "admin.sock"
        self.serve("--header-timeout=1", f"--admin={admin}")
        with socket.create_connection(("127.0.0.1", self.https), 20) as slow:
            with socket.create_connection(("127.0.0.1", self.https), 20) as plain:
                plain.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                self.assertIn(b"This port speaks HTTPS", plain.recv(4096))
            with self.assertRaisesRegex(ssl.SSLError, "UNRECOGNIZED_NAME"):
                self.connect("other.example")
            with self.connect() as client:
                self.assertIn(b"200 OK", self.get(client, host="news.example"))
                client.sendall(b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n")
                self.assertIn(b"421 Misdirected", client.recv(4096))
            slow.sendall(b"\x16\x03\x01")
            self.assertEqual(slow.recv(100), b"")
        # Three times it was in the end: plain, unknown, slow.
        out = self.run_command(
            "curl", "-s", "--unix-socket", str(admin), "http://localhost/metrics"
        )
        self.assertIn('subproxy_tls_handshakes_total{outcome="failed"} 3.0', out)
        out = self.run_command(
            "curl", "-s", "--unix-socket", str(admin), "http://localhost/api/certificates"
        )
        (only,) = json.loads(out)["certificates"]
        self.assertEqual(only["state"], "good")
        self.assertEqual(only["names"], ["127.0.0.1", HOST, "news.example"])


class ChangingCertificateTests(TlsCase):
    def serial(self) -> str:
        with self.connect() as client:
            found = client.getpeercert()
            assert found is not None
            return str(found["serialNumber"])

    def change_all(self) -> str:
        """Replaced, broken, expired, removed, moved; the serial number of the last one."""
        first = self.serial()
        self.put("blog.pem", HOST, end=80)
        second = wait_until(lambda: self.serial() not in (first,) and self.serial(), "another")
        (self.certificates / "blog.pem").write_bytes(b"broken")
        self.proxy.wait_for("kept (there is no certificate in it)")
        self.put("blog.pem", HOST, begin=-9, end=-1)
        self.proxy.wait_for("kept (it has expired)")
        (self.certificates / "blog.pem").unlink()
        self.proxy.wait_for("removed (its file is gone)")
        self.assertEqual(self.serial(), second)
        self.put("moved.pem", HOST, end=70)
        return str(wait_until(lambda: self.serial() not in (second,) and self.serial(), "moved"))

    def test_under_load(self) -> None:
        """Nobody notices; nor that the proxy hands over to its successor."""
        self.serve()
        load = Load(self)
        try:
            third = self.change_all()
            successors = Line(self.world)
            successors.hand_over()
            self.addCleanup(successors.end)
            self.proxy.wait()
            self.assertEqual(self.serial(), third)
        finally:
            load.stop()
        self.assertEqual(load.failed, [])
        self.assertGreater(load.served, 20)

    def test_under_http2_load(self) -> None:
        """Nobody notices: neither who stays connected, nor who connects again and again."""
        if without_compiler():
            raise SkipTest("HTTP/2 is spoken where it is compiled")
        self.serve("--keepalive-requests=1000000")
        # So many a second on each connection that it stays while certificates change.
        stays = H2Load(self, "-n2000", "-c2", "-m8", "--rps=200")
        comes = H2Load(self, "-n40", "-c4", "-m4")
        try:
            self.change_all()
        finally:
            stays.stop()
            comes.stop()
        for load in stays, comes:
            self.assertEqual(load.failed, [])
            self.assertGreater(load.served, 100)
        self.assertGreater(comes.runs, 2)
        self.assertNotIn("Traceback", self.proxy.output)
