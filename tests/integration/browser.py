"""A real browser without a window, Debian's Chromium; and what finds faults of accessibility."""

from __future__ import annotations

import json
import os
import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import SkipTest

from tests.integration.node import install

AXE = "axe-core@4.14.1"


def browser(folder: Path, *options: str) -> Any:
    """
    A WebDriver of Chromium that keeps all it has in C{folder}; to be C{quit}. CI must have it.

    @param options: of Chromium, beside those that root in a container needs.
    """
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        text = "no Chromium: .ci/install-tools, or apt install chromium chromium-driver"
        if os.environ.get("CI") == "true":
            raise AssertionError(text)
        raise SkipTest(text)
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    asked = ChromeOptions()
    asked.binary_location = chromium
    asked.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for option in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--no-first-run",
        "--window-size=1280,1000",
        f"--user-data-dir={folder / 'profile'}",
        *options,
    ):
        asked.add_argument(option)
    found = Chrome(options=asked, service=ChromeService(driver))
    found.set_page_load_timeout(30)
    return found


@cache
def axe() -> str:
    """The source of axe-core, from npm; where it is not to be had the test is skipped."""
    with TemporaryDirectory(prefix="subproxy-axe-") as name:
        install(AXE, Path(name))
        return (Path(name) / "node_modules" / "axe-core" / "axe.min.js").read_text()


def faults(driver: Any) -> list[str]:
    """What axe finds on the page that is open: the rule and the elements, one line each."""
    # Through the debugger: the policy of the page lets no other script in.
    driver.execute_cdp_cmd("Runtime.evaluate", {"expression": axe()})
    found = driver.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run(document).then(found => done(JSON.stringify(found.violations)), "
        "error => done(JSON.stringify([{id: String(error), nodes: []}])));"
    )
    return [
        f"{each['id']}: {' '.join(str(node['target']) for node in each['nodes'])}"
        for each in json.loads(found)
    ]
