"""Signed links in a real browser, made by the real command; over HTTP and HTTPS."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

from tests.integration.browser import browser
from tests.integration.tls_case import TlsCase

SITE = """
[[site]]
hosts = "*"
paths = "/private"
links = "{keys}"

[[site]]
hosts = "*"
paths = "/private/open"
access = "public"
"""


class PrivateLinksTests(TlsCase):
    timeout = 240

    def setUp(self) -> None:
        super().setUp()
        self.keys = self.world.folder / "links.keys"
        self.command("--rotate", status=1)
        self.command("https://blog.example/")
        self.file = self.world.folder / "subproxy.toml"
        self.file.write_text(SITE.format(keys=self.keys))
        self.serve(f"--config={self.file}", application=None)
        self.world.start_guest("tests.integration.cookie_app:Shown", "--host=.*")
        self.driver = browser(
            self.world.folder,
            "--ignore-certificate-errors",
            f"--host-resolver-rules=MAP blog.example:80 127.0.0.1:{self.world.port}, "
            f"MAP blog.example:443 127.0.0.1:{self.https}",
        )
        self.addCleanup(self.driver.quit)

    def command(self, *words: str, status: int = 0) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "subproxy", "--json", "link", *words, f"--keys={self.keys}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        self.assertEqual(done.returncode, status, done.stderr)
        found: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
        return found

    def in_force(self, count: int) -> None:
        """What the file of keys says."""
        self.proxy.wait_for("have changed, and are in force", count)

    def page(self, url: str) -> str:
        """What the browser shows."""
        self.driver.get(url)
        return str(self.driver.find_element("css selector", "body").text)

    def seen(self, url: str) -> dict[str, Any]:
        """What the application has seen of it."""
        found: dict[str, Any] = json.loads(self.page(url))
        return found

    def cookies(self) -> dict[str, dict[str, Any]]:
        return {each["name"]: each for each in self.driver.get_cookies()}

    def visit(self, scheme: str) -> str:
        """By a link; its id."""
        begin = f"{scheme}://blog.example"
        self.assertIn("403 Forbidden", self.page(f"{begin}/private/x"))
        link = self.command(f"{begin}/private/x?y=1", "--path=/private", "--expires=5m")
        shown = self.seen(link["url"])
        self.assertEqual(shown["target"], "/private/x?y=1")
        self.assertEqual(self.driver.current_url, f"{begin}/private/x?y=1")
        cookie = self.cookies()["subproxy_link"]
        self.assertEqual(
            (cookie["path"], cookie["httpOnly"], cookie["sameSite"], cookie["secure"]),
            ("/private", True, "Lax", scheme == "https"),
        )
        self.assertEqual(cookie["domain"], "blog.example")
        # In whole seconds; how long the way here takes may be more.
        self.assertTrue(0 <= link["expires"] - cookie["expiry"] <= 30)
        self.assertEqual(self.driver.execute_script("return document.cookie"), "theirs=1")
        # By the cookie from now on; and the application has its own alone.
        for path in "/private/z", "/private/open", "/public":
            fields = dict(self.seen(begin + path)["fields"])
            self.assertEqual(fields["cookie" if "cookie" in fields else "Cookie"], "theirs=1")
        return str(link["id"])

    def check(self, scheme: str) -> None:
        name = self.visit(scheme)
        self.command("--rotate")
        self.in_force(1)
        begin = f"{scheme}://blog.example"
        self.assertIn("/private/z", self.page(f"{begin}/private/z"))
        self.command(f"--revoke={name}")
        self.in_force(2)
        self.assertIn("403 Forbidden", self.page(f"{begin}/private/z"))
        self.assertIn("/public", self.page(f"{begin}/public"))
        again = urlsplit(self.command(f"{begin}/private")["url"])
        self.assertIn('"/private"', self.page(again.geturl()))
        # Another token in the place of a good one is told, whatever cookie there is.
        self.assertIn("403 Forbidden", self.page(again.geturl()[:-2]))
        self.assertNotIn("subproxy_link=", self.proxy.output)

    def test_https(self) -> None:
        self.check("https")

    def test_http(self) -> None:
        self.check("http")
