"""Sites of a real proxy: ten thousand of them, raw requests, a reload; on each reactor and path."""

from __future__ import annotations

import re
import signal
import socket
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from tests.integration.harness import World

SITES = """
[[site]]
hosts = "blog.example"
response-headers = { set = { X-Site = "yes" } }
sticky = "cookie"

[[site]]
hosts = "blog.example"
paths = "/inside"
networks = "10.0.0.0/8"

[[site]]
hosts = "blog.example"
paths = "/once"
rate = "1/h"

[[site]]
hosts = "blog.example"
paths = "/small"
max-body = 10

[[site]]
hosts = "blog.example"
paths = "/old"
redirect = "https://{host}/new{path}"
"""

MANY = 10_000


def many() -> str:
    """Sites of other hosts."""
    return "".join(
        f'[[site]]\nhosts = "h{number}.example"\nmax-body = "1 MiB"\nnetworks = "10.0.0.0/8"\n'
        for number in range(MANY)
    )


class SitesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.file = self.world.folder / "subproxy.toml"

    def start(self, text: str, reactor: str, *options: str) -> None:
        self.file.write_text(text)
        self.proxy = self.world.start_proxy(
            f"--config={self.file}", *options, twistd=(f"--reactor={reactor}",)
        )
        self.world.start_guest("hello:Hello", r"--host=blog\.example")

    def reload(self, text: str, said: str) -> None:
        self.file.write_text(text)
        self.proxy.signal(signal.SIGHUP)
        self.proxy.wait_for(said)

    def raw(self, *requests: bytes) -> list[bytes]:
        """The answers to requests on one connection, each without what follows its head."""
        answers = []
        with socket.create_connection(("127.0.0.1", self.world.port), 20) as client:
            for request in requests:
                client.sendall(request)
                answer = b""
                while b"\r\n\r\n" not in answer:
                    answer += client.recv(65536)
                head, _, body = answer.partition(b"\r\n\r\n")
                length = re.search(rb"Content-Length: (\d+)", head)
                assert length is not None
                while len(body) < int(length[1]):
                    body += client.recv(65536)
                answers.append(head + b"\r\n")
        return answers

    def check_rules(self) -> None:
        get = b"GET %b HTTP/1.1\r\nHost: blog.example\r\n%b\r\n"
        plain, inside, first, again, old = self.raw(
            *(get % (path, b"") for path in (b"/", b"/inside/x", b"/once", b"/%6Fnce", b"/old?a"))
        )
        self.assertTrue(plain.startswith(b"HTTP/1.1 200 "))
        self.assertIn(b"\r\nX-Site: yes\r\n", plain)
        cookie = re.search(rb"\r\nSet-Cookie: (subproxy_\w+=\w+);", plain)
        assert cookie is not None
        self.assertTrue(inside.startswith(b"HTTP/1.1 403 "))
        self.assertTrue(first.startswith(b"HTTP/1.1 200 "))
        self.assertTrue(again.startswith(b"HTTP/1.1 429 "))
        self.assertRegex(again, rb"\r\nRetry-After: 3(600|5\d\d)\r\n")
        self.assertTrue(old.startswith(b"HTTP/1.1 307 "))
        self.assertIn(b"\r\nLocation: https://blog.example/new/old\r\n", old)
        [back] = self.raw(get % (b"/", b"Cookie: " + cookie[1] + b"\r\n"))
        self.assertNotIn(b"Set-Cookie", back)
        post = b"POST /small HTTP/1.1\r\nHost: blog.example\r\nContent-Length: %d\r\n\r\n"
        [large] = self.raw(post % 11)
        self.assertTrue(large.startswith(b"HTTP/1.1 413 "))
        [inside] = self.raw((post % 5_000_000).replace(b"small", b"inside") + b"x" * 100_000)
        self.assertTrue(inside.startswith(b"HTTP/1.1 403 "))

    def check_all(self, reactor: str, *options: str) -> None:
        self.start(SITES, reactor, *options)
        self.check_rules()
        self.reload("", "changed")
        [plain] = self.raw(b"GET /inside HTTP/1.1\r\nHost: blog.example\r\n\r\n")
        self.assertTrue(plain.startswith(b"HTTP/1.1 200 "))
        self.assertNotIn(b"X-Site", plain)

    def test_on_io_uring(self) -> None:
        self.check_all("io_uring")

    def test_on_epoll_by_the_python_path(self) -> None:
        self.check_all("epoll", "--no-fastpath")

    def test_ten_thousand(self) -> None:
        """They start, are changed while it runs, and a mistake among them changes nothing."""
        self.start(many() + SITES, "epoll")
        self.check_rules()
        other = many().replace("1 MiB", "2 MiB")
        self.reload(other, "site changed")
        [plain] = self.raw(b"GET /inside HTTP/1.1\r\nHost: blog.example\r\n\r\n")
        self.assertTrue(plain.startswith(b"HTTP/1.1 200 "))
        self.reload(f"{other}max-bdy = 1\n", f":{4 * MANY + 1}:1: unknown key 'max-bdy'")
        [forbidden] = self.raw(b"GET / HTTP/1.1\r\nHost: h9999.example\r\n\r\n")
        self.assertTrue(forbidden.startswith(b"HTTP/1.1 403 "))
        if unavailable() is None:
            self.assertNotIn("every request takes the Python path", self.proxy.output)

    def test_check(self) -> None:
        """C{subproxy check} of the same file, by the real command."""
        self.file.write_text(SITES)
        self.world.start("check", [sys.executable, "-m", "subproxy", "check", str(self.file)])
        check = self.world.processes[-1]
        self.assertEqual(check.wait(), 0)
        check.wait_for(f"{Path(self.file)}: good, 0 settings, 5 sites, no policy")
        self.assertEqual(check.output.count("is not on the compiled path"), 5)
