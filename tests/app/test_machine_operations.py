"""What an operator asks of machines: plain data, verbs, consoles and metrics."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.app.machine_metrics import MachineCollector
from subproxy.app.machine_operations import machine_reply
from subproxy.machines.console_reading import CONSOLE_PIECE
from subproxy.machines.declaration import Machine
from subproxy.machines.manager import MachineManager
from subproxy.machines.usage import InstanceUse, MachineUse
from subproxy.machines.view import instances_view, memory_of
from subproxy.machines.vmm.driver import VmmError, VmmEvent, VmmEventKind
from tests.rigs.machine_fakes import FakeHost, FakeVmm

BLOG = Machine("blog", "qemu", ("blog.example",), most=2)


class OperationsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = self.mktemp()
        self.clock = Clock()
        self.host = FakeHost()
        self.vmm = FakeVmm()
        self.manager = MachineManager(
            self.clock, self.folder, 2, self.host, lambda machine: self.vmm
        )
        self.manager.declare([BLOG, Machine("shop", "qemu", ("shop.example",))])

    def ask(self, what: str = "machines", about: str = "") -> tuple[Any, int]:
        return machine_reply(self.manager, self.clock.seconds(), what, about)

    def good(self, what: str = "machines", about: str = "") -> Any:
        data, status = self.ask(what, about)
        self.assertEqual(status, 200, data)
        return data

    def state(self) -> str:
        found: str = self.good()["machines"][0]["state"]
        return found

    def test_states(self) -> None:
        """Each as an operator calls it."""
        self.assertEqual(self.state(), "cold")
        self.good("machine-start", "blog")
        self.assertEqual(self.state(), "starting")
        running = self.vmm.starts[0].runs(os.getpid())
        self.clock.advance(2.0)
        self.manager.served("blog", 0, 1)
        self.assertEqual(self.state(), "up")
        self.manager.used("blog", 1, MachineUse(3, 1.0, {0: InstanceUse(2, 9, 4)}))
        self.clock.advance(0.5)
        blog = self.good()["machines"][0]
        self.assertEqual(
            (blog["name"], blog["hosts"], blog["waiting"]), ("blog", ["blog.example"], 3)
        )
        self.assertEqual(blog["starts"], {"registered": 1, "failed": 0})
        first, second = blog["instances"]
        self.assertEqual((first["state"], first["start_seconds"], first["busy"]), ("up", 2.0, 2))
        self.assertEqual((first["since"], first["pid"]), (0.5, os.getpid()))
        self.assertEqual(first["start_split"]["spawn"], 0.0)
        self.assertGreater(first["memory"], 1 << 20)
        self.assertEqual((second["state"], second["pid"], second["memory"]), ("starting", None, 0))
        rows = instances_view(self.manager, self.clock.seconds())
        named = [(each["machine"], each["index"], each["state"]) for each in rows]
        self.assertEqual(
            named, [("blog", 0, "up"), ("blog", 1, "starting"), ("shop", None, "cold")]
        )
        self.assertEqual((rows[0]["busy"], rows[0]["waiting"], rows[0]["failed"]), (2, 3, 0))
        self.assertEqual(len({tuple(sorted(each)) for each in rows}), 1)
        self.manager.used("blog", 1, MachineUse())
        self.good("machine-stop", "blog")
        self.assertEqual(self.state(), "stopping")
        self.host.drains.popitem()[1].callback(None)
        running.end()
        self.assertEqual(self.state(), "cold")

    def test_template(self) -> None:
        """It stands there with the keys of any machine; an operator may start one of its names."""
        self.manager.declare([BLOG, Machine("dev-{1}", "qemu", ("*.dev.example",))])
        blog, template = self.good()["machines"]
        self.assertEqual((template["name"], template["state"]), ("dev-{1}", "template"))
        self.assertEqual(set(template), set(blog))
        self.good("machine-start", "dev-a")
        names = [each["name"] for each in self.good()["machines"]]
        self.assertEqual(names, ["blog", "dev-a", "dev-{1}"])
        self.assertEqual(self.ask("machine-start", "dev-{1}")[1], 404)

    def test_failed(self) -> None:
        """Why, and when it may be tried again."""
        self.good("machine-start", "blog")
        self.vmm.starts[0].started.errback(VmmError("no\x07 kernel"))
        blog = self.good()["machines"][0]
        self.assertEqual((blog["state"], blog["failures"]), ("failed", 1))
        self.assertEqual((blog["reason"], blog["next_attempt"]), ("no\\x07 kernel", 1.0))

    def test_removed(self) -> None:
        """What is no longer declared can be stopped, not started."""
        self.good("machine-start", "blog")
        self.vmm.starts[0].runs()
        self.manager.served("blog", 0, 1)
        self.manager.declare([])
        self.assertEqual(self.state(), "removed")
        self.assertEqual(self.ask("machine-start", "blog")[1], 409)
        self.assertEqual(self.ask("machine-restart", "blog")[1], 409)
        self.good("machine-stop", "blog")

    def test_unknown(self) -> None:
        """There is none of that name, and what a name may hold is shown safely."""
        for what in ("machine-start", "machine-stop", "machine-restart", "machine-console"):
            data, status = self.ask(what, "a\x1b")
            self.assertEqual((status, data["error"]), (404, "no machine is called 'a\\x1b'"))

    def test_console(self) -> None:
        """Of the instance that runs, from a byte on; of a long one the end."""
        self.assertEqual(self.ask("machine-console", "blog//0")[1], 404)
        self.good("machine-start", "blog")
        path = Path(self.folder, "blog", "0", "console.log")
        path.write_bytes(b"one\ntwo\n")
        found = self.good("machine-console", "blog//0")
        self.assertEqual((found["index"], found["text"], found["next"]), (0, "one\ntwo\n", 8))
        self.assertEqual((found["more"], found["lost"]), (False, False))
        self.assertEqual(self.good("machine-console", "blog/0/4")["text"], "two\n")
        self.assertEqual(self.good("machine-console", "blog/0/-4")["text"], "two\n")
        self.assertEqual(self.good("machine-console", "blog/0/8")["text"], "")
        # It was begun anew meanwhile.
        self.assertEqual(self.good("machine-console", "blog/0/9")["text"], "one\ntwo\n")
        path.write_bytes(b"x" * (CONSOLE_PIECE + 5))
        self.assertEqual(len(self.good("machine-console", "blog/0/0")["text"]), CONSOLE_PIECE)
        self.assertEqual(self.ask("machine-console", "blog/x/0")[1], 400)
        whole = self.good("machine-console", "blog/0/0/whole")
        self.assertEqual((len(whole["text"]), whole["more"]), (CONSOLE_PIECE, True))
        self.assertEqual(
            self.good("machine-console", f"blog/0/{whole['next']}/whole")["text"], "x" * 5
        )
        self.assertEqual(self.ask("machine-console", "blog/1/0")[1], 404)

    def test_no_other_file(self) -> None:
        """Neither a link nor a pipe is read: the folder may be another user's."""
        self.good("machine-start", "blog")
        path = Path(self.folder, "blog", "0", "console.log")
        path.symlink_to("/etc/passwd")
        self.assertEqual(self.ask("machine-console", "blog//0")[1], 404)
        path.unlink()
        os.mkfifo(path)
        self.assertEqual(self.ask("machine-console", "blog//0")[1], 404)

    def test_metrics(self) -> None:
        """Starts by their result, and how long they took."""
        self.good("machine-start", "blog")
        self.vmm.starts[0].runs()
        self.clock.advance(2.0)
        self.manager.served("blog", 0, 1)
        collectors = CollectorRegistry()
        collectors.register(MachineCollector(self.manager))
        page = generate_latest(collectors).decode()
        for line in (
            'subproxy_machine_starts_total{machine="blog",result="registered"} 1.0',
            'subproxy_machine_starts_total{machine="shop",result="failed"} 0.0',
            'subproxy_machine_instances{machine="blog",state="up"} 1.0',
            'subproxy_machine_waiting{machine="blog"} 0.0',
            'subproxy_machine_start_seconds_bucket{le="1.0"} 0.0',
            'subproxy_machine_start_seconds_bucket{le="2.5"} 1.0',
            "subproxy_machine_start_seconds_sum 2.0",
        ):
            self.assertIn(line, page.splitlines())

    def test_phases(self) -> None:
        """Where the time of a start went, which counts once requests are answered."""
        self.clock.advance(1.0)
        self.manager.used("blog", 1, MachineUse(2, 0.75))
        self.clock.advance(1.0)
        self.manager.greeted("blog", 0)
        start = self.vmm.starts[0]
        start.runs()
        self.clock.advance(3.0)
        start.on_event(VmmEvent(VmmEventKind.INIT))
        self.clock.advance(0.5)
        self.manager.greeted("blog", 0)
        self.manager.answered("blog", 0, 5.0)
        self.clock.advance(0.125)
        self.manager.served("blog", 0, 1)
        for index in (-1, 0, 5):
            self.manager.answered("blog", index, 5.75)
        self.manager.greeted("no", 0)
        [blog, _] = self.good()["machines"]
        self.assertEqual(
            blog["instances"][0]["start_split"],
            {
                "decide": 0.25,
                "spawn": 1.0,
                "kernel": 3.0,
                "init": 0.0,
                "register": 0.625,
                "first_byte": 0.125,
            },
        )
        collectors = CollectorRegistry()
        collectors.register(MachineCollector(self.manager))
        page = generate_latest(collectors).decode().splitlines()
        for line in (
            'subproxy_machine_start_phase_seconds_count{phase="kernel"} 1.0',
            'subproxy_machine_start_phase_seconds_sum{phase="kernel"} 3.0',
            'subproxy_machine_start_phase_seconds_bucket{le="0.025",phase="init"} 1.0',
        ):
            self.assertIn(line, page)

    def test_memory(self) -> None:
        """Of who is gone there is none."""
        self.assertEqual(memory_of(0), 0)
