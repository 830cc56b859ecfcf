"""Chromium over HTTP/2: hosts that share its connection, and those that may not (421)."""

from __future__ import annotations

import re
import subprocess
from base64 import b64encode
from hashlib import sha256

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from subproxy.fastpath.install import unavailable
from tests.integration.browser import browser
from tests.integration.harness import wait_until
from tests.integration.tls_case import HOST, TlsCase
from tests.rigs.tls_rig import Authority, make_key

NEWS = f"news.{HOST}"
SECRET = f"secret.{HOST}"
REQUESTS = 20

FETCH = """
const [url, count, done] = arguments;
const one = number => fetch(`${url}?${number}`, {mode: "no-cors", credentials: "include"});
Promise.all(Array.from({length: count}, (_, number) => one(number)))
    .then(() => done(""), error => done(String(error)));
"""


class BrowserTests(TlsCase):
    """
    One certificate is for three hosts at one address, so that Chromium asks all on one connection.

    It believes the certificate's key: with an error that it is to ignore it shares nothing. The
    hosts are of one site: what it asks of another one, without cookies, it asks apart.
    """

    skip = unavailable()

    def setUp(self) -> None:
        super().setUp()
        key = make_key()
        self.put("blog.pem", HOST, NEWS, SECRET, key=key)
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.driver = browser(
            self.world.folder,
            f"--ignore-certificate-errors-spki-list={b64encode(sha256(public).digest()).decode()}",
            "--host-resolver-rules=MAP *.example 127.0.0.1",
        )
        self.addCleanup(self.driver.quit)
        authorities = self.world.folder / "clients.pem"
        authorities.write_bytes(Authority("Authority of clients").pem)
        config = self.world.folder / "subproxy.toml"
        config.write_text(
            f'[[site]]\nhosts = "{SECRET}"\nclient-ca = "{authorities}"\n'
            "client-ca-optional = true\n"
        )
        self.log = self.world.folder / "access.log"
        self.admin = self.world.folder / "admin.sock"
        self.proxy = self.world.start_proxy(
            f"--https=tcp:{self.https}:interface=127.0.0.1",
            f"--certificates={self.certificates}",
            f"--config={config}",
            f"--access-log={self.log}",
            f"--admin={self.admin}",
        )
        self.proxy.wait_for("HTTPS on")
        self.world.start_guest("tests.integration.apps:WhoAsks", "--host=.*")
        self.driver.get(f"https://{HOST}:{self.https}/page")

    def fetch(self, host: str, path: str, count: int) -> None:
        """So many at once, from the page that is open."""
        url = f"https://{host}:{self.https}/{path}"
        self.assertEqual(
            self.driver.execute_async_script(FETCH, url, count),
            "",
            self.driver.get_log("browser"),
        )

    def lines(self, path: str, count: int) -> list[tuple[str, str]]:
        """Version and status of each request for it, as soon as there are all."""
        found: list[tuple[str, str]] = []

        def told() -> bool:
            found[:] = re.findall(rf'"GET /{path}\S* (HTTP/\S+)" (\d+)', self.log.read_text())
            return len(found) >= count

        wait_until(told, f"{count} lines of {path}")
        return found

    def handshakes(self) -> int:
        """How many were full or resumed."""
        command = ["curl", "-sS", "--unix-socket", str(self.admin), "http://localhost/metrics"]
        page = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = re.findall(r'tls_handshakes_total\{outcome="(?:full|resumed)"\} (\d+)', page)
        return sum(int(each) for each in found)

    def test_hosts_that_share(self) -> None:
        """All on the connection of the page, each routed by its C{:authority}."""
        before = self.handshakes()
        self.fetch(NEWS, "shared", REQUESTS)
        self.assertEqual(self.lines("shared", REQUESTS), [("HTTP/2", "200")] * REQUESTS)
        self.assertEqual(self.handshakes(), before)

    def test_a_host_that_may_not(self) -> None:
        """421 for what came on that connection; asked again, once, on one of its own."""
        before = self.handshakes()
        self.fetch(SECRET, "apart", 1)
        self.assertEqual(self.lines("apart", 2), [("HTTP/2", "421"), ("HTTP/2", "200")])
        self.assertEqual(self.handshakes(), before + 1)
        for host, path in ((NEWS, "later"), (SECRET, "more")):
            self.fetch(host, path, REQUESTS)
            self.assertEqual(self.lines(path, REQUESTS), [("HTTP/2", "200")] * REQUESTS)
        self.assertEqual(self.handshakes(), before + 1)
