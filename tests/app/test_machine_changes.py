"""Machines that the API makes, changes and removes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from subproxy.admin.pages import Reply
from subproxy.app.machine_changes import ADD, CHANGE, REMOVE, MachineChanges
from subproxy.config.sources import Sources

BLOG = {"name": "blog", "vmm": "qemu", "kernel": "/k", "hosts": "blog.example"}
GOOD: Reply = ({"applied": []}, 200)


def _nested(depth: int) -> list[object]:
    found: list[object] = []
    for _ in range(depth):
        found = [found]
    return found


class MachineChangesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.main = Path(self.mktemp()).absolute()
        self.main.write_text("")
        self.reloads: list[Reply | Deferred[Reply]] = []
        self.changes = self.make({"machine-files": str(self.folder)})

    def make(self, given: dict[str, Any]) -> MachineChanges:
        def reload() -> Deferred[Reply]:
            found = self.reloads.pop(0) if self.reloads else GOOD
            return found if isinstance(found, Deferred) else succeed(found)

        self.sources = Sources({"machines-folder": "/run/m", **given}, str(self.main))
        return MachineChanges(self.sources, reload)

    def ask(self, what: str, name: str = "", table: object = None) -> Reply:
        body = "" if table is None else json.dumps(table)
        reply: Reply = self.successResultOf(self.changes.reply(what, f"{name} {body}"))
        return reply

    def names(self) -> list[str]:
        return [each.name for each in self.sources.read().machines]

    def test_life(self) -> None:
        """Made, changed, removed: each is a file, which nobody else may read."""
        self.assertEqual(self.ask(ADD, "", BLOG), ({"machine": "blog"}, 200))
        path = self.folder / "blog.toml"
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.names(), ["blog"])
        self.assertEqual(self.ask(CHANGE, "blog", {**BLOG, "cpus": 2})[1], 200)
        self.assertEqual(self.sources.read().machines[0].cpus, 2)
        self.assertEqual(self.ask(REMOVE, "blog")[1], 200)
        self.assertEqual(self.names(), [])
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_refused(self) -> None:
        """Nothing is written that would not be taken."""
        self.main.write_text(
            '[[machine]]\nname = "main"\nvmm = "qemu"\nkernel = "k"\nhosts = "main.example"\n'
        )
        self.ask(ADD, "", BLOG)
        other = {**BLOG, "name": "other", "hosts": "other.example"}
        for what, name, table, status, reason in (
            (ADD, "", [], 400, "object in JSON"),
            (ADD, "", BLOG, 409, "already"),
            (ADD, "", {**BLOG, "name": "main"}, 409, "is declared in"),
            (CHANGE, "main", BLOG, 409, "change it there"),
            (REMOVE, "main", None, 409, "change it there"),
            (CHANGE, "other", other, 404, "no machine"),
            (REMOVE, "other", None, 404, "no machine"),
            (ADD, "", {**other, "name": "../x"}, 422, "small letters"),
            (ADD, "", {**other, "hosts": "blog.example"}, 422, "blog.example"),
            (ADD, "", {**other, "hosts": "main.example"}, 422, "main.example"),
            (ADD, "", {**other, "kernel": "k"}, 422, "begins with /"),
            (ADD, "", {**other, "disk": None}, 422, "null"),
            (ADD, "", {**other, "cpus": 0}, 422, "cpus"),
            (ADD, "", {**other, "user": "\ud800"}, 422, "surrogate"),
            (ADD, "", {**other, "nonsense": 1}, 422, "nonsense"),
            (ADD, "", {**other, "kernel ": "k"}, 422, "kernel "),
            (ADD, "", {**other, "most = 1\nidle": 1}, 422, "idle"),
            (ADD, "", {**other, "environment": {"A": None}}, 422, "null"),
            (ADD, "", {**other, "arguments": _nested(700)}, 422, "nested"),
            (ADD, "", {**other, "arguments": _nested(400)}, 422, "list of strings"),
            (REMOVE, "blog x", None, 422, "small letters"),
            (CHANGE, "blog", other, 422, "belongs in"),
        ):
            data, found = self.ask(what, name, table)
            self.assertEqual((found, reason in data["error"]), (status, True), (table, data))
        self.assertEqual(self.names(), ["main", "blog"])
        self.assertEqual([each.name for each in self.folder.iterdir()], ["blog.toml"])

    def test_taken_back(self) -> None:
        """Where a reload refuses, for whatever reason, all is as it was."""
        refusal: Reply = ({"problems": ["x"]}, 422)
        self.reloads = [refusal]
        self.assertEqual(self.ask(ADD, "", BLOG), refusal)
        self.assertEqual(list(self.folder.iterdir()), [])
        self.ask(ADD, "", BLOG)
        before = (self.folder / "blog.toml").read_text()
        for what, table in ((CHANGE, {**BLOG, "cpus": 2}), (REMOVE, None)):
            self.reloads = [refusal]
            self.assertEqual(self.ask(what, "blog", table), refusal)
            self.assertEqual((self.folder / "blog.toml").read_text(), before)

    def test_one_after_the_other(self) -> None:
        first: Deferred[Reply] = Deferred()
        self.reloads = [first]
        one = self.changes.reply(ADD, f" {json.dumps(BLOG)}")
        two = self.changes.reply(ADD, f" {json.dumps(BLOG)}")
        self.assertNoResult(two)
        first.callback(GOOD)
        self.assertEqual(self.successResultOf(one)[1], 200)
        self.assertEqual(self.successResultOf(two)[1], 409)

    def test_a_broken_configuration(self) -> None:
        self.main.write_text("x = ")
        self.assertEqual(self.ask(ADD, "", BLOG)[1], 422)
        self.assertFalse(self.folder.exists())

    def test_no_folder(self) -> None:
        self.changes = self.make({})
        self.assertEqual(self.ask(ADD, "", BLOG)[1], 409)

    def test_it_can_not_be_written(self) -> None:
        self.folder.write_text("a file")
        self.assertEqual(self.ask(ADD, "", BLOG)[1], 500)
