"""C{subproxy machines}: what it asks, and what it prints."""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, cast
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from subproxy.cli import tables
from subproxy.cli.client import AdminClient, AdminError
from subproxy.cli.main import main, parser, run

UP = {
    "name": "blog",
    "state": "up",
    "waiting": 2,
    "starts": {"registered": 3, "failed": 1},
    "failures": 0,
    "reason": "",
    "next_attempt": 0.0,
    "instances": [
        {
            "index": 0,
            "state": "up",
            "since": 61.4,
            "starts": 3,
            "start_seconds": 4.211,
            "start_split": {"decide": 0.0012, "kernel": 3.1, "init": None, "first_byte": 0.02},
            "busy": 5,
            "pid": 77,
            "memory": 300 << 20,
        },
        {
            "index": 1,
            "state": "starting",
            "since": 0.4,
            "starts": 1,
            "start_seconds": None,
            "busy": 0,
            "pid": None,
            "memory": 0,
        },
        {"index": 2, "state": "cold"},
    ],
}
FAILED = {
    **UP,
    "name": "shop",
    "state": "failed",
    "failures": 3,
    "reason": "no kernel",
    "next_attempt": 3.6,
    "instances": [],
}


HEADS = ["MACHINE", "STATE", "SINCE", "STARTS", "TOOK", "WAITING", "BUSY", "FAILED", "MEMORY"]


class FakeClient:
    """Answers in turn, and remembers what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self._answers = list(answers)

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **query: str) -> Any:
        said = () if body is None else (json.loads(body),)
        self.asked.append((method, path, query, *said))
        found = self._answers.pop(0)
        if isinstance(found, BaseException):
            raise found
        return found


class MachinesCommandTests(SynchronousTestCase):
    def run_(self, *words: str, answers: tuple[Any, ...]) -> str:
        self.client = FakeClient(*answers)
        out = io.StringIO()
        with redirect_stdout(out), mock.patch("time.sleep"):
            run(parser().parse_args(["machines", *words]), cast("AdminClient", self.client))
        return out.getvalue()

    def test_list(self) -> None:
        """A line for each that runs, and why one does not."""
        said = self.run_(answers=({"machines": [UP, FAILED]},))
        self.assertEqual(
            [line.split() for line in said.splitlines()],
            [
                HEADS,
                ["blog", "(0)", "up", "61", "3", "4.21", "2", "5", "1", "300M"],
                ["blog", "(1)", "starting", "0", "1", "2", "0", "1", "0M"],
                ["shop", "failed", "2", "1"],
                [
                    *("blog", "(0),", "seconds", "of", "its", "start:"),
                    *("decide", "0.001,", "kernel", "3.100,", "first", "byte", "0.020"),
                ],
                ["shop:", "no", "kernel;", "it", "may", "be", "started", "again", "in", "4", "s"],
            ],
        )
        self.assertEqual(self.client.asked, [("GET", "/api/machines", {})])

    def test_verbs(self) -> None:
        """What becomes of it."""
        for verb in ("start", "stop", "restart"):
            said = self.run_(verb, "a/b", answers=({"machine": "a/b"},))
            self.assertTrue(said.startswith("a/b: "))
            self.assertEqual(self.client.asked, [("POST", f"/api/machines/a%2Fb/{verb}", {})])

    def test_a_snapshot(self) -> None:
        """Made, or removed."""
        path = "/api/machines/blog/snapshot"
        for words, method, what in (
            (["blog"], "POST", "frozen"),
            (["--drop", "blog"], "DELETE", "no snapshot any more"),
        ):
            said = self.run_("snapshot", *words, answers=({"machine": "blog"},))
            self.assertIn(what, said)
            self.assertEqual(self.client.asked, [(method, path, {})])

    def test_logs(self) -> None:
        """The end of the console, made printable; then what is new of the same instance."""
        place = {"index": 1, "more": False, "lost": False}
        first = {**place, "text": "a\x1b[0m\nb", "next": 20}
        self.assertEqual(self.run_("logs", "blog", answers=(first,)), "a\\x1b[0m\nb")
        path = "/api/machines/blog/console"
        self.assertEqual(self.client.asked, [("GET", path, {"instance": "", "from": "-16384"})])
        more = {**place, "text": "c\n", "next": 22}
        with self.assertRaises(KeyboardInterrupt):
            self.run_("logs", "--follow", "blog", answers=(first, more, KeyboardInterrupt()))
        self.assertEqual(
            self.client.asked[1:],
            [
                ("GET", path, {"instance": "1", "from": "20", "part": "whole"}),
                ("GET", path, {"instance": "1", "from": "22", "part": "whole"}),
            ],
        )

    def test_a_serial_console(self) -> None:
        """A terminal in a machine ends its lines with a carriage return, too: none is shown."""
        found = {"index": 0, "text": "a\r\nb\r", "next": 5, "more": False, "lost": False}
        self.assertEqual(self.run_("logs", "blog", answers=(found,)), "a\nb")

    def test_changes(self) -> None:
        """A file becomes a table in JSON, whose files are named in full."""
        folder = self.mktemp()
        os.mkdir(folder)
        path = os.path.join(folder, "a.toml")
        Path(path).write_text('[[machine]]\nname = "a/b"\nkernel = "k"\ncpus = 2\n')
        kernel = os.path.abspath(os.path.join(folder, "k"))
        table = {"name": "a/b", "kernel": kernel, "cpus": 2}
        said = self.run_("add", path, answers=({"machine": "a/b"},))
        self.assertEqual(said, "a/b: is declared\n")
        self.assertEqual(self.client.asked, [("POST", "/api/machines", {}, table)])
        self.run_("change", path, answers=({"machine": "a/b"},))
        self.assertEqual(self.client.asked, [("POST", "/api/machines/a%2Fb", {}, table)])
        self.run_("remove", "a/b", answers=({"machine": "a/b"},))
        self.assertEqual(self.client.asked, [("DELETE", "/api/machines/a%2Fb", {})])
        two = "[[machine]]\n[[machine]]\n"
        for text in ("", "x", two, "[[machine]]\n[http]\n", 'machine = ["blog"]\n'):
            Path(path).write_text(text)
            self.assertRaises(AdminError, self.run_, "add", path, answers=())
        Path(path).write_text("[[machine]]\ncpus = 2020-01-01\n")
        self.assertRaises(AdminError, self.run_, "add", path, answers=())
        self.assertRaises(AdminError, self.run_, "add", f"{path}.no", answers=())

    def test_usage(self) -> None:
        """A verb wants a name, a list none."""
        for words in (["machines", "stop"], ["machines", "list", "blog"], ["machines", "x"]):
            with redirect_stderr(io.StringIO()), self.assertRaises(SystemExit) as caught:
                main(words)
            self.assertEqual(caught.exception.code, 2)

    def test_routes_and_explain(self) -> None:
        """Which machine would be started."""
        route = {
            "host": "a",
            "path": "/.*",
            "vacant": True,
            "machine": "blog",
            "waiting": 1,
            "subscribers": [],
        }
        self.assertIn("starts blog", tables.routes({"routes": [route]}))
        explained = {
            "host": "a",
            "path": "/",
            "reason": "the only route that matches",
            "route": route,
            "site_rules": [],
            "candidates": [],
            "same_host": [],
            "subscribers": [],
            "would_start": "blog",
        }
        said = tables.explanation(explained)
        self.assertIn("it would start the machine blog, and wait for it", said)
