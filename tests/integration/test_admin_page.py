"""The page of the admin listener in a real browser, over TCP, with one process and with workers."""

from __future__ import annotations

import json
import os
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.browser import browser, faults
from tests.integration.harness import World, free_port, wait_until
from tests.integration.host import Host
from tests.rigs.tls_rig import Authority

GUEST = Path(__file__).parent / "machine_guest.py"

SHOTS = os.environ.get("SUBPROXY_SCREENSHOTS")
"""A folder for pictures of what the browser shows, for who wants to look."""


class AdminPageTests(SynchronousTestCase):
    timeout = 240

    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.port = free_port()
        self.token = self.world.folder / "admin.token"
        self.driver = browser(self.world.folder)
        self.addCleanup(self.driver.quit)  # before its folder goes

    def proxy(self, *options: str) -> None:
        """A proxy, with its page."""
        self.world.start_proxy(
            f"--admin=tcp:{self.port}:interface=127.0.0.1", f"--admin-token={self.token}", *options
        )

    def start(self, *options: str) -> None:
        """One that serves a guest."""
        self.proxy(*options)
        self.world.start_guest("hello:Hello", r"--host=blog\.example")

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        """What is there now; nothing while it is not."""
        found = self.driver.execute_script(
            "return document.querySelector(arguments[0])?.textContent ?? ''", selector
        )
        return str(found)

    def sign_in(self) -> None:
        self.driver.get(f"http://localhost:{self.port}/")
        self.find("#token").send_keys(self.token.read_text().strip(), "\n")
        wait_until(lambda: self.text("#live") == "Live", "the page is live")

    def look(self, name: str, scheme: str) -> None:
        """No fault of accessibility in that scheme of colours; a picture, if one is wanted."""
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )
        self.assertEqual(faults(self.driver), [], f"{name}, {scheme}")
        if SHOTS:
            self.driver.save_screenshot(str(Path(SHOTS) / f"{name}-{scheme}.png"))

    def complaints(self) -> list[str]:
        """Of the browser: what the policy stopped, what failed."""
        return [each["message"] for each in self.driver.get_log("browser")]

    def drain(self, verb: str) -> None:
        """Press the button, by keyboard alone, and confirm."""
        button = self.find("#subscribers td button")
        self.assertEqual(button.text, verb)
        button.send_keys("\n")
        self.assertIn(verb, self.text("#confirm-title"))
        self.find("#confirm-yes").send_keys("\n")
        wait_until(lambda: self.text("#said").startswith(f"{verb}ed"), "it has been done")

    def test_an_operators_day(self) -> None:
        """Sign in, watch, ask who answers, drain and undrain, sign out."""
        self.start()
        self.driver.get(f"http://localhost:{self.port}/")
        for scheme in ("light", "dark"):
            self.look("sign-in", scheme)
        self.find("#token").send_keys("wrong-wrong-wrong", "\n")
        wait_until(lambda: "wrong" in self.text("[role=alert]"), "it is refused")
        refused = [each for each in self.complaints() if "401" not in each]
        self.assertEqual(refused, [])
        self.sign_in()
        self.complaints()
        (cookie,) = self.driver.get_cookies()
        self.assertEqual((cookie["sameSite"], cookie["httpOnly"]), ("Strict", True))

        # Live: what is asked is seen, without loading the page again.
        self.assertEqual(self.text("#routes tbody th"), r"blog\.example /.*")
        served = f"path:{self.world.vsock}/hello:Hello/0"
        self.assertEqual(self.text("#routes tbody td"), served)
        for _ in range(3):
            self.assertEqual(self.world.ask()[0], 200)
        wait_until(lambda: self.text("#total-requests") == "3", "three requests are counted")
        self.assertEqual(self.text("#subscribers tbody td"), "ready")

        # A search answers as explain does.
        self.find("#url").send_keys("http://blog.example/news", "\n")
        wait_until(lambda: "the only route that matches" in self.text("#answer"), "an answer")
        for scheme in ("light", "dark"):
            self.look("page", scheme)

        # So does the way of a request whose id is pasted.
        request_id = self.world.ask()[1]["x-request-id"]
        self.find("#url").clear()
        self.find("#url").send_keys(request_id, "\n")
        wait_until(lambda: "Status 200" in self.text("#answer"), "its way")
        self.assertIn(r"Route: blog\.example /.*", self.text("#answer"))
        for scheme in ("light", "dark"):
            self.look("request", scheme)

        # Escape changes nothing; a confirmation does.
        self.find("#subscribers td button").send_keys("\n")
        self.assertEqual(self.driver.switch_to.active_element.text, "Cancel")
        for scheme in ("light", "dark"):
            self.look("confirm", scheme)
        self.driver.switch_to.active_element.send_keys("\ue00c")
        wait_until(lambda: not self.find("#confirm").is_displayed(), "it is closed")
        self.drain("Drain")
        wait_until(lambda: self.text("#subscribers tbody td") == "draining", "it is seen")
        self.drain("Undrain")
        wait_until(lambda: self.text("#subscribers tbody td") == "ready", "it is seen")

        # Sorting, by keyboard.
        head = self.find('#routes th[data-key="requests"]')
        head.find_element("css selector", "button").send_keys("\n")
        self.assertEqual(head.get_attribute("aria-sort"), "descending")

        self.assertEqual(self.complaints(), [])
        self.find("#sign-out button").click()
        wait_until(lambda: self.text('label[for="token"]') != "", "the token is asked for")
        self.assertEqual(self.driver.get_cookies(), [])

    def test_a_page_of_another_origin(self) -> None:
        """One of the same site, whose requests have the cookie, neither reads nor acts."""
        self.start()
        self.sign_in()
        # Another port of localhost is another origin of the same site: here, the proxy's own.
        self.driver.get(f"http://localhost:{self.world.port}/")
        found = self.driver.execute_async_script(
            "const [at, done] = arguments;"
            "const ask = (path, more) => fetch(at + path, {credentials: 'include', ...more});"
            "Promise.allSettled(["
            "ask('/api/overview'),"
            "ask('/api/overview', {mode: 'no-cors'}),"
            "ask('/api/drain/path', {mode: 'no-cors', method: 'POST'}),"
            "]).then(all => done(all.map(each => each.status)))",
            f"http://localhost:{self.port}",
        )
        self.assertEqual(found, ["rejected"] * 3)
        assert self.world.proxy is not None
        self.world.proxy.wait_for("refused POST /api/drain/path", deadline=30)

    def test_workers(self) -> None:
        """The page is the parent's, and shows all."""
        self.start("--workers=2")
        self.sign_in()
        wait_until(lambda: len(self.cells("#workers tbody tr")) == 2, "two workers")
        self.assertEqual(self.text("#workers tbody td"), "serving")
        for _ in range(4):
            self.assertEqual(self.world.ask()[0], 200)
        wait_until(lambda: int(self.text("#total-requests")) >= 4, "what all have counted")
        self.look("workers", "light")

    def test_machines(self) -> None:
        """Cold, then up, live; what waits for one is seen."""
        folder = self.world.folder
        guest = [sys.executable, str(GUEST), "{listener}", r"blog\.example", "0"]
        file = folder / "subproxy.toml"
        file.write_text(
            '[[machine]]\nname = "blog"\nvmm = "process"\nhosts = "blog.example"\nidle = false\n'
            f'command = {json.dumps(guest)}\nenvironment = {{ MACHINE_GUEST = "{folder}" }}\n'
        )
        self.proxy(f"--config={file}", f"--machines-folder={folder / 'run'}")
        self.sign_in()
        self.complaints()
        wait_until(lambda: self.text("#machines tbody td") == "cold", "it is cold")
        self.assertEqual(self.text("#machines tbody th"), "blog")
        wait_until(lambda: self.world.ask()[0] == 200, "it is started")
        wait_until(lambda: self.text("#machines tbody td") == "up", "it is seen")
        self.assertEqual(self.text("#machines tbody th"), "blog (0)")
        self.assertTrue(self.find("#machines-section").is_displayed())
        self.assertFalse(self.find("#hosts-section").is_displayed())
        for scheme in ("light", "dark"):
            self.look("machines", scheme)
        self.assertEqual(self.complaints(), [])

    def test_hosts(self) -> None:
        """Others that an operator has named: there, and gone."""
        authority = Authority()
        other = Host("kvm-2", authority)
        self.addCleanup(other.close)
        folder, port = self.world.folder, free_port()
        (folder / "host.pem").write_bytes(authority.issue("kvm-1"))
        (folder / "ca.pem").write_bytes(authority.pem)
        self.proxy(
            f"--peer-listen=tcp:{port}:interface=127.0.0.1",
            f"--peer-certificate={folder / 'host.pem'}",
            f"--peer-ca={folder / 'ca.pem'}",
            other.peer,
        )
        self.sign_in()
        self.complaints()
        wait_until(lambda: self.text("#hosts tbody th") == "kvm-2", "it is named")
        self.assertEqual(self.text("#hosts tbody td:nth-of-type(3)"), "no")
        other.serve(f"--peer=kvm-1=127.0.0.1:{port}")
        asked = "#hosts tbody td:nth-of-type(3)"
        wait_until(lambda: self.text(asked) == "ready", "it can be asked")
        for scheme in ("light", "dark"):
            self.look("hosts", scheme)
        assert other.proxy is not None
        other.proxy.end()
        wait_until(lambda: self.text(asked) == "no", "it is gone")
        self.assertEqual(self.complaints(), [])

    def cells(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def test_without_script(self) -> None:
        """A plain table, and a search that works."""
        self.start()
        self.world.ask()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        self.addCleanup(connection.close)
        bearer = {"Authorization": f"Bearer {self.token.read_text().strip()}"}
        connection.request("GET", "/", headers=bearer)
        page = connection.getresponse().read().decode()
        plain = self.world.folder / "plain.html"
        plain.write_text(page.replace('<script src="/static/page.js" defer></script>', ""))
        self.driver.get(plain.as_uri())
        row = [each.text for each in self.cells("#routes tbody tr > *")]
        served = f"path:{self.world.vsock}/hello:Hello/0"
        self.assertEqual(row[:2] + row[4:6], [r"blog\.example /.*", served, "1", "0"])
        self.assertEqual(self.text("#subscribers tbody td"), "ready")
