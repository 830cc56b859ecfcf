"""While a machine starts: a browser gets a page that asks again, and everybody else waits."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from threading import Thread

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.browser import browser, faults
from tests.integration.harness import World, wait_until

GUEST = Path(__file__).parent / "machine_guest.py"
SHOTS = os.environ.get("SUBPROXY_SCREENSHOTS")
NAVIGATES = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
"""What a browser sends that goes to a page."""


class StartingPageTests(SynchronousTestCase):
    timeout = 240

    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.go = self.world.folder / "go"
        command = [
            *("sh", "-c", 'while [ ! -e "$0" ]; do sleep 0.05; done; exec "$@"', str(self.go)),
            *(sys.executable, str(GUEST), "{listener}", "localhost", "0"),
        ]
        file = self.world.folder / "subproxy.toml"
        file.write_text(
            '[[site]]\nhosts = "localhost"\nstarting-page = true\n'
            '[[machine]]\nname = "blog"\nvmm = "process"\nhosts = "localhost"\nidle = false\n'
            f"command = {json.dumps(command)}\n"
            f'environment = {{ MACHINE_GUEST = "{self.world.folder}" }}\n'
        )
        proxy = self.world.start_proxy(
            f"--config={file}", f"--machines-folder={self.world.folder / 'run'}"
        )
        wait_until(lambda: "worker 0 serves" in proxy.whole_lines, "a worker to serve")

    def test_a_browser(self) -> None:
        driver = browser(self.world.folder)
        from selenium.common.exceptions import WebDriverException

        self.addCleanup(driver.quit)

        def told(script: str) -> object:
            """What a script returns; nothing while the page is another one just now."""
            try:
                return driver.execute_script(script)
            except WebDriverException:
                return None

        def text() -> str:
            return str(told("return document.body?.innerText ?? ''"))

        # By itself it stays, and can be looked at for as long as that takes.
        plain = self.world.folder / "plain.html"
        plain.write_bytes(self.world.ask(host="localhost", headers=NAVIGATES)[2])
        driver.get(plain.as_uri())
        self.assertEqual(driver.title, "Starting")
        for scheme in ("light", "dark"):
            driver.execute_cdp_cmd(
                "Emulation.setEmulatedMedia",
                {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
            )
            self.assertEqual(faults(driver), [])
            if SHOTS:
                driver.save_screenshot(str(Path(SHOTS) / f"starting-{scheme}.png"))
        driver.get(f"http://localhost:{self.world.port}/page")
        wait_until(lambda: "is being started" in text(), "the page")
        # Who is no browser waits, while it asks again and again.
        answers: list[int] = []
        waiting = Thread(target=lambda: answers.append(self.world.ask(host="localhost")[0]))
        waiting.start()
        self.addCleanup(waiting.join)
        wait_until(lambda: told("window.old = true; return 1"), "it is marked")
        wait_until(lambda: told("return window.old ? 0 : 1"), "it asks again")
        self.assertEqual(answers, [])
        self.go.touch()
        wait_until(lambda: "hello, world" in text(), "the application", 60)
        waiting.join(30)
        self.assertEqual(answers, [200])
        self.assertTrue(str(told("return location.href")).endswith("/page"))

    def test_who_gets_it(self) -> None:
        """By what it sends; and what it gets."""
        status, fields, body = self.world.ask(host="localhost", headers=NAVIGATES)
        self.assertEqual((status, fields["refresh"], fields["retry-after"]), (503, "2", "2"))
        self.assertIn(fields["x-request-id"].encode(), body)
        self.go.touch()

        def up() -> bool:
            return self.world.ask(host="localhost", headers=NAVIGATES)[0] == 200

        wait_until(up, "the application")
