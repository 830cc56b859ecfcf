"""docs/tutorial/first-application.md, as a reader types it: every block, in order."""

from __future__ import annotations

import importlib.util
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.harness import ROOT, free_port, wait_until

PAGE = ROOT / "docs" / "tutorial" / "first-application.md"
FENCE = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.M | re.S)
KINDS = ("console", "python")


def run_readme() -> Any:
    """The module tools/run_readme.py."""
    spec = importlib.util.spec_from_file_location("run_readme", ROOT / "tools" / "run_readme.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Reader:
    """Somebody with terminals: one for the proxy, some for guests, one to ask."""

    def __init__(self, case: SynchronousTestCase, folder: Path) -> None:
        self.case = case
        self.folder = folder
        self.tool = run_readme()
        self.runner = self.tool.Runner(folder)
        self.runner.environment["PYTHONPATH"] = str(ROOT)
        self.port = str(free_port())
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.logs: dict[str, Path] = {}
        self.commands: dict[str, str] = {}

    def follow(self, text: str) -> None:
        """Do what the blocks of a part of the page say."""
        for block in FENCE.finditer(text):
            if block["kind"] == "python":
                (self.folder / "blog.py").write_text(block["text"])
                continue
            for command, expected in self.tool.steps(block["text"].replace("8888", self.port)):
                self.type(command, expected)

    def type(self, command: str, expected: list[str]) -> None:
        """One command; what does not end by itself is left running."""
        who = {"twistd": "proxy", "python": "guest"}.get(command.split(maxsplit=1)[0])
        if who is None:
            self.case.assertIsNone(self.runner.run(command, expected), command)
            return
        if who in self.running:
            self.stop(who)
        self.start(who, command, expected)

    def start(self, who: str, command: str, expected: list[str]) -> None:
        self.case.assertIsNone(self.runner.run(f"{command} &", expected), command)
        self.commands[who] = command
        self.logs[who] = self.folder / f"background{len(self.runner.background) - 1}.log"
        self.running[who] = self.runner.background[-1]

    def stop(self, who: str) -> None:
        """Ctrl-C."""
        process = self.running.pop(who)
        process.send_signal(signal.SIGINT)
        self.case.assertEqual(process.wait(30), 0, self.logs[who].read_text())

    def curl(self) -> str:
        """The status of a request."""
        command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}"]
        command += ["-H", "Host: blog.example", f"http://127.0.0.1:{self.port}/"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout


class TutorialTests(SynchronousTestCase):
    def test_all_of_it(self) -> None:
        """Every block of the page, and what its last part says one could break."""
        text = PAGE.read_text()
        parts = re.split(r"^## (?=\d\.)", text, flags=re.M)[1:]
        self.assertEqual([part[0] for part in parts], list("123456"))
        kinds = [block["kind"] for block in FENCE.finditer(text)]
        self.assertEqual(set(kinds), set(KINDS))
        with TemporaryDirectory(prefix="subproxy-tutorial-") as name:
            reader = Reader(self, Path(name))
            self.addCleanup(reader.runner.close)
            try:
                for part in parts[:5]:
                    reader.follow(part)
                self.proxy_starts_again(reader)
                self.one_of_two_leaves(reader)
                reader.stop("guest")
                self.took(3.0, lambda: reader.follow(parts[5].partition("That took")[0]))
                reader.follow(parts[5].partition("That took")[2])
                self.took_less(3.0, reader.curl)
            finally:
                reader.runner.close()

    def proxy_starts_again(self, reader: Reader) -> None:
        """The guest comes back by itself."""
        reader.stop("proxy")
        reader.start("proxy", reader.commands["proxy"], ["... guests on ..."])
        log = reader.logs["guest"]
        wait_until(lambda: log.read_text().count("registered host") == 2, "it is registered again")

    def one_of_two_leaves(self, reader: Reader) -> None:
        """No request fails."""
        command = reader.commands["guest"]
        reader.running["first"], reader.logs["first"] = (
            reader.running["guest"],
            reader.logs["guest"],
        )
        reader.start("guest", command, ["registered host=blog\\.example path=/.*"])
        over = threading.Event()
        seen: list[str] = []

        def ask() -> None:
            while not over.is_set():
                seen.append(reader.curl())

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            wait_until(lambda: len(seen) > 5, "some requests")
            reader.stop("first")
            before = len(seen)
            wait_until(lambda: len(seen) > before + 5, "some more requests")
        finally:
            over.set()
            asking.join()
        self.assertEqual(set(seen), {"200"})

    def took(self, least: float, action: Callable[[], object]) -> None:
        began = time.monotonic()
        action()
        self.assertGreaterEqual(time.monotonic() - began, least)

    def took_less(self, most: float, action: Callable[[], object]) -> None:
        began = time.monotonic()
        self.assertEqual(action(), "404")
        self.assertLess(time.monotonic() - began, most)
