"""Applications from PyPI, unmodified, behind the real proxy: httpbin, Django, FastAPI."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
from http.client import HTTPConnection, IncompleteRead
from pathlib import Path
from typing import Any

import requests
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.integration.harness import ROOT, Process, World, wait_until

HERE = "tests.integration"
CONTENT = bytes(range(256)) * 20_000

REQUESTS = "requests==2.34.2"
LEFT_OUT = (
    "test_proxy_authorization_preserved_on_request",  # the proxy drops it: RFC 9110, 11.7.2
    "TestTimeout",  # wants an address on the internet that does not answer
)
"""Tests of requests that are not about the server, or about no proxy."""

PLUGIN = """
import os, types, pytest

@pytest.fixture
def httpbin():
    return types.SimpleNamespace(url=os.environ["HTTPBIN"])

@pytest.fixture
def httpbin_secure():
    pytest.skip("TLS is the proxy's")
"""


class ApplicationTestCase(SynchronousTestCase):
    options: tuple[str, ...] = ()

    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.world.start_proxy(*self.options)
        self.session = requests.Session()
        self.session.trust_env = False
        self.addCleanup(self.session.close)

    def serve(self, application: str, *options: str, host: str, **variables: str) -> Process:
        command = [sys.executable, "-m", "guest", f"--proxy=unix:{self.world.vsock}_12345"]
        command += [f"--host={host}", *options, application]
        guest = self.world.start("guest", command, **variables)
        guest.wait_for("registered")
        return guest

    def ask(self, method: str, path: str, host: str, **options: Any) -> requests.Response:
        headers = {"Host": host, **options.pop("headers", {})}
        url = f"http://127.0.0.1:{self.world.port}{path}"
        return self.session.request(method, url, headers=headers, timeout=30, **options)

    def truncated(self, path: str, host: str) -> bytes:
        """What a client gets of a body that breaks off; that it does must be seen."""
        client = HTTPConnection("127.0.0.1", self.world.port, timeout=30)
        self.addCleanup(client.close)
        client.request("GET", path, headers={"Host": host})
        try:
            client.getresponse().read()
        except (IncompleteRead, OSError) as error:
            return getattr(error, "partial", b"")
        raise AssertionError("it looks complete")


class HttpbinTests(ApplicationTestCase):
    def test_the_tests_of_requests(self) -> None:
        """httpbin in the guest, and before the proxy the tests that requests has of itself."""
        folder = self.world.folder
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary=:all:"]
        done = subprocess.run(
            [*command, "--no-build-isolation", REQUESTS],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SkipTest(f"no package index: {done.stderr[-200:]}")
        (archive,) = folder.glob("requests-*.tar.gz")
        # Python's own has the filter that it wants from 3.11.4 on only.
        subprocess.run(["tar", "-xf", archive, "-C", folder], check=True)
        self.serve("httpbin:app", r"--host=httpbin\.org", host=r"127\.0\.0\.1")
        (folder / "httpbin_proxied.py").write_text(PLUGIN)
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "httpbin_proxied", "-p"),
                *("no:cacheprovider", "-k", " and ".join(f"not {each}" for each in LEFT_OUT)),
                "tests/test_requests.py",
            ],
            cwd=folder / archive.name.removesuffix(".tar.gz"),
            env={
                **os.environ,
                "HTTPBIN": f"http://127.0.0.1:{self.world.port}",
                "PYTHONPATH": str(folder),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(ran.returncode, 0, ran.stdout[-4000:])
        self.assertRegex(ran.stdout, r"\n3\d\d passed")


class DjangoTests(ApplicationTestCase):
    def site(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.ask(method, path, "site.example", **options)

    def test_wsgi_and_asgi(self) -> None:
        """The same project, served either way."""
        variables = {"DJANGO_SITE": str(self.world.folder)}
        prepare = f"from {HERE}.django_site import prepare; prepare()"
        subprocess.run(
            [sys.executable, "-c", prepare], check=True, cwd=ROOT, env={**os.environ, **variables}
        )
        for name, kind in (
            ("application", "a WSGI application, in 4 threads"),
            ("asgi", "an ASGI application, on asyncio"),
        ):
            guest = self.serve(
                f"{HERE}.django_site:{name}", "--threads=4", host=r"site\.example", **variables
            )
            guest.wait_for(f"is {kind}")
            self.session.cookies.clear()
            self.check_admin(name)
            self.check_the_rest()
            if name == "application":
                self.assertEqual(self.site("GET", "/file").content, bytes(range(256)) * 12_000)
                self.assertIn(self.truncated("/breaking", "site.example"), (b"", b"half"))
            guest.end()

    def check_admin(self, name: str) -> None:
        """Log in, with the token against forged requests; make a group, and see it."""
        page = self.site("GET", "/admin/login/?next=/admin/")
        self.assertEqual(page.status_code, 200)
        token = self.session.cookies["csrftoken"]
        form = {"username": "anna", "password": "let-me-in", "csrfmiddlewaretoken": token}
        forged = self.site("POST", "/admin/login/", data={**form, "csrfmiddlewaretoken": "x"})
        self.assertEqual(forged.status_code, 403)
        origin = {"Origin": "http://site.example"}
        there = self.site(
            "POST", "/admin/login/?next=/admin/", data=form, headers=origin, allow_redirects=False
        )
        self.assertEqual((there.status_code, there.headers["Location"]), (302, "/admin/"))
        self.assertIn("Site administration", self.site("GET", "/admin/").text)
        form = {"name": name, "csrfmiddlewaretoken": self.session.cookies["csrftoken"]}
        made = self.site("POST", "/admin/auth/group/add/", data=form, allow_redirects=False)
        self.assertEqual(made.status_code, 302)
        self.assertIn(name, self.site("GET", "/admin/auth/group/").text)

    def check_the_rest(self) -> None:
        digest = hashlib.sha256(CONTENT).hexdigest()
        self.assertEqual(self.site("POST", "/upload", files={"file": CONTENT}).text, digest)
        self.assertEqual(self.site("POST", "/raw", data=b"four").text, "4 4")
        chunked = (CONTENT[start : start + 1000] for start in range(0, 10_000, 1000))
        told = self.site("POST", "/raw", data=chunked).text
        self.assertEqual(told.partition(" ")[0], "10000")
        numbers = [self.site("GET", "/visits").text for _ in range(3)]
        self.assertEqual(numbers, ["1", "2", "3"])
        self.assertEqual(self.site("GET", "/where").text, "http://site.example/where 127.0.0.1")
        self.assertEqual(self.ask("GET", "/where", "SITE.example").status_code, 200)


class FastApiTests(ApplicationTestCase):
    host = "api.example"

    def start(self, *options: str) -> Process:
        return self.serve(f"{HERE}.asgi_site:app", *options, host=r"api\.example")

    def api(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.ask(method, path, self.host, **options)

    def test_all(self) -> None:
        """On either event loop, and without Twisted."""
        for loop, module in (("uvloop", "uvloop"), ("asyncio", "asyncio")):
            guest = self.start(f"--loop={loop}")
            guest.wait_for("begins without []\n")
            guest.wait_for(f"on {module}")
            self.check(guest)
            guest.signal(signal.SIGTERM)
            self.assertEqual(guest.wait(), 0, guest.output)
            self.assertTrue(guest.output.endswith("behind its response\nends\n"), guest.output)

    def check(self, guest: Process) -> None:
        self.assertEqual(
            self.api("GET", "/?a=b").json(),
            {"url": "http://api.example/?a=b", "opened": "yes", "client": "127.0.0.1"},
        )
        self.assertEqual(self.api("GET", "/blocking").text, "blocking")
        for data in (b"", CONTENT, iter([CONTENT] * 2)):
            whole = data if isinstance(data, bytes) else CONTENT * 2
            expected = hashlib.sha256(whole).hexdigest()
            self.assertEqual(self.api("POST", "/digest", data=data).text, expected)
        uploaded = self.api("POST", "/upload", files={"file": ("a.txt", CONTENT)})
        self.assertEqual(uploaded.text, f"a.txt {len(CONTENT)}")
        source = Path(ROOT, *HERE.split("."), "asgi_site.py").read_bytes()
        self.assertEqual(self.api("GET", "/file").content, source)
        ranged = self.api("GET", "/file", headers={"Range": "bytes=4-9"})
        self.assertEqual((ranged.status_code, ranged.content), (206, source[4:10]))
        self.assertEqual(self.api("HEAD", "/nowhere").headers["Content-Length"], "22")
        self.assertEqual(self.api("GET", "/events?most=2").text, "data: 0\n\ndata: 1\n\n")
        self.assertIn(self.truncated("/breaking", self.host), (b"", b"half"))
        self.assertEqual(self.api("GET", "/nowhere").status_code, 404)
        ended = guest.output.count("no more events")
        self.check_plain()
        with self.api("GET", "/events", stream=True) as events:
            lines = events.iter_lines()
            self.assertEqual([next(lines) for _ in range(3)], [b"data: 0", b"", b"data: 1"])
        wait_until(lambda: self.events_ended(guest, ended), "the events end")
        self.assertEqual(self.api("GET", "/background").text, "begun")

    def events_ended(self, guest: Process, before: int) -> bool:
        """Whether a generator more has ended, collected or not."""
        self.assertEqual(self.api("GET", "/collect").text, "collected")
        return guest.output.count("no more events") > before

    def check_plain(self) -> None:
        """Early hints come before the answer, and trailers behind it."""
        with socket.create_connection(("127.0.0.1", self.world.port), 30) as client:
            client.sendall(
                b"GET /plain/ HTTP/1.1\r\nHost: api.example\r\nTE: trailers\r\n"
                b"Connection: TE, close\r\n\r\n"
            )
            said = b""
            while piece := client.recv(65_536):
                said += piece
        self.assertTrue(said.startswith(b"HTTP/1.1 103 Early Hints\r\n"), said)
        self.assertIn(b"</style.css>; rel=preload", said)
        self.assertTrue(said.endswith(b"0\r\nx-digest: abc\r\n\r\n"), said)

    def test_below_a_path(self) -> None:
        self.start("--root-path=/v1", r"--path=/v1(/.*)?")
        self.assertEqual(self.api("GET", "/v1/").json()["url"], "http://api.example/v1/")
        self.assertIn("'/v1/openapi.json'", self.api("GET", "/v1/docs").text)
        self.assertIn("/digest", self.api("GET", "/v1/openapi.json").json()["paths"])


class ReloadTests(ApplicationTestCase):
    def test_a_file_that_changes(self) -> None:
        """It begins again with that, though the folder has a C{guest.py} of its own."""
        folder = self.world.folder
        (folder / "guest.py").write_text("raise SystemExit('not this one')\n")
        code = (
            "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [%r]\n"
        )
        (folder / "changing.py").write_text(code % b"first")
        script = Path(sys.executable).parent / "subproxy-guest"
        command = [str(script), f"--proxy=unix:{self.world.vsock}_12345", r"--host=a\.example"]
        guest = self.world.start("guest", [*command, "--reload", "changing:app"], PYTHONPATH="")
        guest.wait_for("registered")
        self.assertEqual(self.ask("GET", "/", "a.example").text, "first")
        (folder / "changing.py").write_text(code % b"the second")
        guest.wait_for("changing.py has changed: reloading")
        guest.wait_for("registered", 2)
        self.assertEqual(self.ask("GET", "/", "a.example").text, "the second")
        guest.signal(signal.SIGTERM)
        self.assertEqual(guest.wait(), 0, guest.output)


class HangingTests(ApplicationTestCase):
    options = ("--ping-interval=0.1",)

    def test_full(self) -> None:
        """Who is full gets nothing new, and another one answers; in the end it gets more."""
        folder = self.world.folder
        (folder / "hanging.py").write_text(
            "import os, time\n"
            "def app(environ, start_response):\n"
            "    path = environ['PATH_INFO']\n"
            "    if path.startswith('/hang'):\n"
            "        open('hanging', 'w').close()\n"
            "        while not os.path.exists('release'): time.sleep(0.01)\n"
            "    start_response('200 OK', [])\n"
            "    return [path.encode()]\n"
        )
        guest = self.serve("hanging:app", "--threads=1", "--hung=0.2", host=r"a\.example")
        hanging = HTTPConnection("127.0.0.1", self.world.port, timeout=30)
        self.addCleanup(hanging.close)
        hanging.request("GET", "/hang", headers={"Host": "a.example"})
        wait_until((folder / "hanging").exists, "it hangs")
        assert self.world.proxy is not None
        self.world.proxy.wait_for("it says that it is full")
        waiting = HTTPConnection("127.0.0.1", self.world.port, timeout=30)
        self.addCleanup(waiting.close)
        waiting.request("GET", "/waits", headers={"Host": "a.example"})
        other = self.serve("hanging:app", "--threads=1", host=r"a\.example")
        self.assertEqual(waiting.getresponse().read(), b"/waits")
        other.end()
        (folder / "release").touch()
        self.assertEqual(hanging.getresponse().read(), b"/hang")
        self.assertEqual(self.ask("GET", "/again", "a.example").text, "/again")
        guest.signal(signal.SIGTERM)
        self.assertEqual(guest.wait(), 0)
