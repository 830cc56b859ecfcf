"""The shell round supervisors: what is started, told, killed, and left to the next program."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.declaration import Machine
from subproxy.machines.manager import FORGET, MachineManager
from subproxy.machines.places import device_of, identity_of
from subproxy.machines.run_record import SUFFIX
from subproxy.machines.states import InstanceState
from subproxy.machines.usage import InstanceUse, MachineUse
from subproxy.machines.vmm.driver import VmmError, VmmEvent, VmmEventKind
from tests.rigs.machine_fakes import FakeHost, FakeRunning, FakeVmm

BLOG = Machine("blog", "qemu", ("blog.example",), idle=60.0)
NEWS = Machine("news", "qemu", ("news.example",), idle=60.0)
SHOP = Machine("shop", "qemu", ("shop.example",), idle=60.0)


class ManagerCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = self.mktemp()
        self.clock = Clock()
        self.host = FakeHost()
        self.vmm = FakeVmm()
        self.manager = self.make()
        self.manager.declare([BLOG, SHOP])

    def make(self, starts: int = 2) -> MachineManager:
        return MachineManager(self.clock, self.folder, starts, self.host, lambda _: self.vmm)

    def use(self, name: str = "blog", waiting: int = 0, **instances: InstanceUse) -> None:
        """Worker 1 tells how a machine is used."""
        known = {int(each[1:]): use for each, use in instances.items()}
        since = self.clock.seconds()
        self.manager.used(name, 1, MachineUse(waiting, since, known))

    def up(self, name: str = "blog") -> FakeRunning:
        """Have it asked for, and come up."""
        self.use(name, waiting=1)
        running = self.vmm.starts[-1].runs()
        self.manager.served(name, 0, 1)
        self.use(name)
        return running

    def state(self, name: str = "blog") -> InstanceState:
        return self.manager.machines[name].supervisor.instances[0].state

    def record(self, name: str = "blog") -> Path:
        return Path(self.folder, name, "0" + SUFFIX)


class RoomTests(ManagerCase):
    """At most so many instances of all machines run."""

    def setUp(self) -> None:
        super().setUp()
        self.limit(1)

    def limit(self, most: int) -> None:
        self.manager = MachineManager(
            *(self.clock, self.folder, 2, self.host, lambda _: self.vmm), most
        )
        self.manager.declare([BLOG, SHOP, NEWS])

    def started(self) -> list[str]:
        return [each.launch.machine.name for each in self.vmm.starts]

    def drained(self) -> None:
        """All workers know."""
        for each in list(self.host.drains):
            self.host.drains.pop(each).callback(None)

    def test_an_idle_one_makes_room(self) -> None:
        """It is drained and stopped, then the other starts; once it is idle for a moment."""
        running = self.up()
        self.use("shop", waiting=1)
        self.assertEqual(self.started(), ["blog"])
        self.clock.pump([0.25] * 4)
        self.assertEqual(self.state(), InstanceState.DRAINING)
        self.drained()
        self.assertEqual(running.told, ["power off"])
        self.assertEqual(self.started(), ["blog"])
        running.end()
        self.assertEqual(self.started(), ["blog", "shop"])
        self.assertEqual(self.manager.machines["blog"].supervisor.back_off.failures, 0)

    def test_none_is_idle(self) -> None:
        """Who waits goes on waiting, until the other is used no more."""
        self.up()
        self.use(i0=InstanceUse(1, 1, 1))
        self.use("shop", waiting=1)
        self.clock.pump([0.25] * 20)
        self.assertEqual(self.state(), InstanceState.UP)
        self.use(i0=InstanceUse(0, 1, 1))
        self.clock.pump([0.25] * 4)
        self.assertEqual(self.state(), InstanceState.DRAINING)

    def test_who_waits_longest(self) -> None:
        """Is next, whoever was declared first; one place is made for one."""
        running = self.up("news")
        self.use("shop", waiting=1)
        self.clock.advance(0.1)
        self.use("blog", waiting=1)
        self.clock.pump([0.25] * 5)
        self.drained()
        running.end()
        self.assertEqual(self.started(), ["news", "shop"])
        second = self.vmm.starts[-1].runs()
        self.manager.served("shop", 0, 1)
        self.use("shop")
        self.clock.pump([0.25] * 5)
        self.drained()
        second.end()
        self.assertEqual(self.started(), ["news", "shop", "blog"])

    def test_nobody_waits_any_more(self) -> None:
        """Nothing is stopped for who has left."""
        self.up()
        self.use("shop", waiting=1)
        self.use("shop")
        self.clock.pump([0.25] * 20)
        self.assertEqual(self.state(), InstanceState.UP)
        self.assertEqual(self.started(), ["blog"])

    def test_an_operator(self) -> None:
        """Whose word needs a place, too."""
        running = self.up()
        self.manager.start("shop")
        self.clock.pump([0.25] * 5)
        self.drained()
        running.end()
        self.assertEqual(self.started(), ["blog", "shop"])

    def test_the_one_least_used(self) -> None:
        """Of two that nobody uses it is the one that was used earlier."""
        self.limit(2)
        self.up("news")
        self.clock.advance(1.0)
        self.up("blog")
        self.use("news", i0=InstanceUse(0, 1, 1))
        self.clock.advance(5.0)
        self.use("shop", waiting=1)
        self.assertEqual(self.state("blog"), InstanceState.DRAINING)
        self.assertEqual(self.state("news"), InstanceState.UP)


class ManagedTemplateTests(ManagerCase):
    def setUp(self) -> None:
        super().setUp()
        template = replace(BLOG, name="dev-{1}", hosts=("*.dev.example",))
        self.manager.declare([BLOG, template])

    def test_made(self) -> None:
        """By the first request for its name; forgotten, with its folder, when cold for long."""
        self.use("dev-a")
        self.use("other", waiting=1)
        self.assertEqual(list(self.manager.machines), ["blog"])
        running = self.up("dev-a")
        self.assertEqual(self.vmm.starts[-1].launch.machine.hosts, ("a.dev.example",))
        self.manager.stop("dev-a")
        self.host.drains.popitem()[1].callback(None)
        running.end()
        folder = Path(self.folder, "dev-a")
        self.assertTrue(folder.exists())
        self.clock.advance(FORGET - 1.0)
        self.assertIn("dev-a", self.manager.machines)
        self.clock.advance(1.0)
        self.assertEqual(list(self.manager.machines), ["blog"])
        self.assertFalse(folder.exists())

    def test_after_the_end(self) -> None:
        """None is started that was not there when all were stopped, nor by a reload meanwhile."""
        running = self.up()
        done = self.manager.stop_all()
        self.use("dev-a", waiting=1)
        self.manager.declare([BLOG, NEWS, self.manager.templates[0]])
        self.use("news", waiting=1)
        self.use(waiting=1)
        self.host.drains.popitem()[1].callback(None)
        running.end()
        self.assertEqual(len(self.vmm.starts), 1)
        self.assertTrue(done.called)

    def test_declared_anew(self) -> None:
        """It stays while its template does."""
        running = self.up("dev-a")
        self.manager.declare([replace(BLOG, name="dev-{1}", hosts=("*.dev.example",))])
        self.assertEqual(self.state("dev-a"), InstanceState.UP)
        self.manager.declare([BLOG])
        self.host.drains.popitem()[1].callback(None)
        running.end()
        self.assertEqual(list(self.manager.machines), ["blog"])


class LifeTests(ManagerCase):
    def test_start(self) -> None:
        """It listens before anything is started, in a folder of its own."""
        self.use(waiting=3)
        [start] = self.vmm.starts
        device = device_of(self.folder, "blog", 0)
        self.assertEqual(self.host.listening, [device])
        self.assertEqual(str(start.launch.vsock), device)
        self.assertEqual(start.launch.folder.stat().st_mode & 0o777, 0o700)
        self.assertEqual(self.state(), InstanceState.STARTING)
        self.clock.advance(1.5)
        start.runs()
        self.assertEqual(self.state(), InstanceState.BOOTING)
        self.assertTrue(self.record().exists())
        self.clock.advance(1.0)
        self.manager.served("blog", 0, 1)
        self.assertEqual(self.host.told, [("blog", True, 0.0)])
        self.assertEqual(self.manager.start_times.total, 2.5)
        counts = dict(self.manager.start_times.cumulative())
        self.assertEqual([counts[each] for each in ("1.0", "2.5", "+Inf")], [0, 1, 1])

    def test_idle(self) -> None:
        """Drained, told to end; what it listened on goes with it."""
        running = self.up()
        self.clock.advance(60.0)
        drained = self.host.drains[identity_of(self.folder, "blog", 0)]
        self.assertEqual(running.told, [])
        drained.callback(None)
        self.assertEqual(running.told, ["power off"])
        self.assertEqual(self.host.told, [("blog", True, 0.0), ("blog", False, 0.0)])
        running.powered_off.callback(None)
        running.end()
        self.assertEqual(self.host.listening, [])
        self.assertFalse(self.record().exists())
        self.assertTrue(self.manager.machines["blog"].supervisor.instances.cold)

    def test_undrained(self) -> None:
        """Somebody asks while it drains."""
        self.up()
        self.clock.advance(60.0)
        self.use(waiting=1)
        self.assertEqual(self.host.undrained, [identity_of(self.folder, "blog", 0)])
        self.assertEqual(len(self.vmm.starts), 1)

    def test_does_not_end(self) -> None:
        """Killed after a while, and at once where it can't be told."""
        running = self.up()
        self.manager.stop("blog")
        self.host.drains.popitem()[1].callback(None)
        running.powered_off.callback(None)
        self.clock.advance(10.0)
        self.assertEqual(running.told, ["power off", "kill"])
        running.end("killed")
        running = self.up()
        self.manager.stop("blog")
        self.host.drains.popitem()[1].callback(None)
        running.powered_off.errback(VmmError("no answer"))
        self.assertEqual(running.told, ["power off", "kill"])

    def test_crash(self) -> None:
        """It is told with the end of its console, and started again a second later."""
        self.up()
        running = self.vmm.starts[0]
        self.use(waiting=1)
        self.manager.machines["blog"].running[0].end("panic", "oops")  # type: ignore[attr-defined]
        self.assertEqual(len(self.vmm.starts), 1)
        self.clock.advance(1.0)
        self.assertEqual(len(self.vmm.starts), 2)
        self.assertIsNot(self.vmm.starts[1], running)

    def test_worker_gone(self) -> None:
        """Nobody waits there: nothing more is started."""
        self.use(waiting=1)
        self.vmm.starts[0].started.errback(VmmError("no memory"))
        self.manager.worker_gone(1)
        self.clock.advance(10.0)
        self.assertEqual(len(self.vmm.starts), 1)

    def test_not_declared_yet(self) -> None:
        """A worker has read the files first: who waits there is known once it is declared here."""
        self.use("news", waiting=1)
        self.use("other", waiting=1)
        self.use("shop2", waiting=1)
        self.use("shop2")
        self.manager.declare([BLOG, SHOP, NEWS, replace(SHOP, name="shop2")])
        self.assertEqual([each.launch.machine.name for each in self.vmm.starts], ["news"])
        self.manager.worker_gone(1)
        self.manager.declare([BLOG, SHOP, NEWS, replace(SHOP, name="other")])
        self.assertEqual(len(self.vmm.starts), 1)

    def test_strangers(self) -> None:
        """Who is not declared changes nothing."""
        self.use("other", waiting=1)
        self.manager.served("other", 0, 1)
        self.manager.served("blog", 7, 1)
        self.assertFalse(self.manager.start("other"))
        self.assertFalse(self.manager.stop("other"))
        self.assertFalse(self.manager.restart("other"))
        self.assertEqual(self.vmm.starts, [])


class FailureTests(ManagerCase):
    def test_not_started(self) -> None:
        """Three times: requests are refused until the next attempt."""
        self.use(waiting=1)
        for wait in (1.0, 2.0, 4.0):
            self.vmm.starts[-1].started.errback(VmmError("no kernel", ("line",)))
            if wait == 4.0:
                self.assertEqual(self.host.told, [("blog", False, 4.0)])
            self.clock.advance(wait)
        self.assertEqual(len(self.vmm.starts), 4)
        self.assertEqual(self.host.listening, [device_of(self.folder, "blog", 0)])

    def test_an_operator_tries_at_once(self) -> None:
        """Who asks then waits for that attempt: workers are told so."""
        self.use(waiting=1)
        for wait in (1.0, 2.0, 0.0):
            self.vmm.starts[-1].started.errback(VmmError("no kernel", ("line",)))
            self.clock.advance(wait)
        self.assertTrue(self.manager.start("blog"))
        self.assertEqual(self.host.told, [("blog", False, 4.0), ("blog", False, 0.0)])
        self.assertEqual(len(self.vmm.starts), 4)
        self.manager.start("blog")
        self.assertEqual(len(self.host.told), 2)

    def test_cannot_listen(self) -> None:
        """Nothing is started then."""
        self.host.trouble = OSError(98, "Address already in use", "/run/x")
        self.use(waiting=1)
        self.assertEqual(self.vmm.starts, [])
        supervisor = self.manager.machines["blog"].supervisor
        self.assertEqual(supervisor.back_off.reason, "/run/x: Address already in use")

    def test_no_record(self) -> None:
        """What no file can tell of is ended: the next proxy could not end it, nor this one."""
        self.use(waiting=1)
        self.record().mkdir()
        running = self.vmm.starts[-1].runs()
        self.assertEqual(running.told, ["kill"])
        running.end()
        self.assertEqual(self.state(), InstanceState.COLD)
        self.assertIn("running", self.manager.machines["blog"].supervisor.back_off.reason)
        self.flushLoggedErrors()

    def test_bug(self) -> None:
        """Whatever a driver raises is a failed start, with its traceback in the log."""
        self.host.trouble = ZeroDivisionError("oops")
        self.use(waiting=1)
        self.assertEqual(self.manager.machines["blog"].supervisor.back_off.reason, "oops")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_too_late(self) -> None:
        """A start is given up; what was started of it is killed."""
        self.use(waiting=1)
        self.clock.advance(30.0)
        self.assertTrue(self.vmm.starts[0].cancelled)
        self.assertEqual(self.state(), InstanceState.COLD)
        self.clock.advance(1.0)
        running = self.vmm.starts[1].runs()
        self.clock.advance(30.0)
        self.assertEqual(running.told, ["kill"])

    def test_reboots(self) -> None:
        """What begins anew in place is killed."""
        running = self.up()
        self.vmm.starts[0].on_event(VmmEvent(VmmEventKind.REBOOTED, "it panicked"))
        self.assertEqual(running.told, ["kill"])
        self.assertEqual(self.state(), InstanceState.KILLED)

    def test_no_folder(self) -> None:
        """A file is in its place."""
        Path(self.folder).mkdir()
        Path(self.folder, "blog").write_text("")
        self.use(waiting=1)
        self.assertEqual(self.vmm.starts, [])
        self.assertEqual(self.manager.machines["blog"].supervisor.back_off.failures, 1)


class ManyTests(ManagerCase):
    def test_at_a_time(self) -> None:
        """No more are started than may be; the next one when one is up."""
        self.manager = self.make(starts=1)
        self.manager.declare([BLOG, SHOP])
        self.use("blog", waiting=1)
        self.use("shop", waiting=1)
        self.assertEqual([each.launch.machine.name for each in self.vmm.starts], ["blog"])
        self.vmm.starts[0].runs()
        self.manager.served("blog", 0, 1)
        self.assertEqual([each.launch.machine.name for each in self.vmm.starts], ["blog", "shop"])

    def test_operator(self) -> None:
        """Starts, stops and starts again."""
        self.assertTrue(self.manager.start("blog"))
        running = self.vmm.starts[0].runs()
        self.manager.served("blog", 0, 1)
        self.assertTrue(self.manager.restart("blog"))
        self.host.drains.popitem()[1].callback(None)
        running.end()
        self.assertEqual(len(self.vmm.starts), 2)

    def test_stop_all(self) -> None:
        """Fires when nothing runs; nothing is started any more."""
        self.assertTrue(self.manager.stop_all().called)
        self.manager = self.make()
        self.manager.declare([BLOG, SHOP])
        running = self.up()
        self.use("shop", waiting=1)
        done = self.manager.stop_all()
        self.assertTrue(self.vmm.starts[1].cancelled)
        self.assertFalse(done.called)
        self.host.drains.popitem()[1].callback(None)
        running.end()
        self.assertTrue(done.called)
        self.use("shop", waiting=2)
        self.assertEqual(len(self.vmm.starts), 2)

    def test_kill_all(self) -> None:
        """Whatever runs, and what is being started."""
        running = self.up()
        self.use("shop", waiting=1)
        self.manager.kill_all()
        self.assertEqual(running.told, ["kill"])
        self.assertTrue(self.vmm.starts[1].cancelled)


class DeclareTests(ManagerCase):
    def test_changed(self) -> None:
        """What runs by something else is replaced; what is the manager's business is not."""
        running = self.up()
        self.manager.declare([replace(BLOG, idle=90.0), SHOP])
        self.assertEqual(self.host.drains, {})
        self.manager.declare([replace(BLOG, memory=1 << 29), SHOP])
        self.host.drains.popitem()[1].callback(None)
        running.end()
        self.use(waiting=1)
        self.assertEqual(self.vmm.starts[-1].launch.machine.memory, 1 << 29)

    def test_removed(self) -> None:
        """It is stopped, and forgotten when it has ended; it may come back before."""
        running = self.up()
        self.manager.declare([SHOP])
        self.assertIn("blog", self.manager.machines)
        self.assertFalse(self.manager.start("blog"))
        self.host.drains.popitem()[1].callback(None)
        running.end()
        self.assertNotIn("blog", self.manager.machines)
        self.manager.declare([BLOG, SHOP])
        self.up()

    def test_process(self) -> None:
        """That nothing confines it is said."""
        self.manager.declare([replace(BLOG, vmm="process"), SHOP])
        self.manager.declare([replace(BLOG, name="other", vmm="process")])
        self.assertIn("other", self.manager.machines)


class HandOverTests(ManagerCase):
    def test_next_program(self) -> None:
        """What runs goes on; what is being started is given up; its death is noticed."""
        self.up()
        self.use("shop", waiting=1)
        paused = self.manager.pause()
        self.assertTrue(paused.called)
        self.assertTrue(self.vmm.starts[1].cancelled)
        self.clock.advance(5.0)
        self.assertEqual(len(self.vmm.starts), 2)
        left = json.loads(json.dumps(self.manager.data()))
        self.assertEqual([(each["name"], each["pid"]) for each in left], [("blog", 77)])
        self.manager = self.make()
        self.restore(left)
        [(launch, running)] = self.vmm.adopted
        self.assertEqual((launch.machine, running.pid), (BLOG, 77))
        self.assertEqual(self.state(), InstanceState.UP)
        self.use(waiting=1)
        running.end("killed")
        self.assertEqual(len(self.vmm.starts), 2)
        self.clock.advance(1.0)
        self.assertEqual(len(self.vmm.starts), 3)

    def restore(self, left: list[dict[str, object]]) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.manager.restore(left, [BLOG, SHOP])))

    def test_gone_meanwhile(self) -> None:
        """It is cold, and can be started."""
        self.up()
        left = self.manager.data()
        self.vmm.gone.add(77)
        self.manager = self.make()
        self.restore(left)
        self.assertTrue(self.manager.machines["blog"].supervisor.instances.cold)

    def test_no_next_program(self) -> None:
        """What was given up is started again."""
        self.use(waiting=1)
        self.manager.pause()
        self.manager.go_on()
        self.assertEqual(len(self.vmm.starts), 2)
