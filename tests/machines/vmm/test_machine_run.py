from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.vmm.driver import RunningVmm, VmmError, VmmEventKind
from subproxy.machines.vmm.machine_run import (
    LAST_WORDS,
    PATIENCE,
    POLL,
    TRANSITIONS,
    MachineRun,
    RunState,
)
from tests.rigs.machine_rig import MachineCase

PANIC = b"[    1.0] Kernel panic - not syncing: x\n"


class TableTests(SynchronousTestCase):
    def test_all_states(self) -> None:
        self.assertEqual(list(TRANSITIONS), list(RunState))


class MachineRunTests(MachineCase):
    def setUp(self) -> None:
        super().setUp()
        self.run_ = MachineRun(self.reactor, self.starter, self.launch, self.events.append)

    async def both(self) -> None:
        """A helper, then the VMM."""
        self.run_.own(self.launch.vsock)
        self.run_.spawn("helper", ["helper"])
        await self.run_.appears(self.launch.vsock)
        self.run_.spawn("vmm", ["vmm"], main=True, descriptors={3: 0})

    def bring_up(self, steps: Coroutine[Any, Any, None]) -> Deferred[RunningVmm]:
        """Take those steps."""
        return Deferred.fromCoroutine(self.run_.bring_up(steps))

    def make_socket(self) -> None:
        """The helper makes its socket, and listens no more."""
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(self.launch.vsock))
        self.reactor.advance(POLL)

    def running(self) -> MachineRun:
        """A machine that runs."""
        started = self.bring_up(self.both())
        self.assertNoResult(started)
        self.make_socket()
        self.assertIs(self.successResultOf(started), self.run_)
        return self.run_

    def test_a_start_and_an_end(self) -> None:
        run = self.running()
        helper, vmm = self.children
        self.assertEqual(run.pid, vmm.pid)
        self.assertEqual(vmm.descriptors, {3: 0})
        self.assertEqual(self.kinds(), [VmmEventKind.SPAWNED])
        vmm.write(b"hello\n")
        vmm.complain(b"a warning\n")
        self.deliver()
        run.tell(VmmEventKind.SHUTDOWN, "powered \x1boff")
        vmm.end()
        self.assertTrue(helper.killed)
        self.assertNoResult(run.ended)
        helper.end(None, 9)

        ended = self.successResultOf(run.ended)
        self.assertEqual((ended.status, ended.signal), (0, None))
        self.assertEqual(ended.reason, r"powered \x1boff")
        self.assertEqual(ended.console, ("hello",))
        self.assertEqual(self.files(), ["console.log", "helper.log", "vmm.log"])
        self.assertEqual((self.folder / "vmm.log").read_text(), "a warning\n")
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        run.kill()
        self.successResultOf(run.power_off())
        run.tell(VmmEventKind.SHUTDOWN, "again")
        self.assertEqual(self.kinds(), [VmmEventKind.SPAWNED, VmmEventKind.SHUTDOWN])

    def test_a_kill(self) -> None:
        run = self.running()
        run.kill()
        self.assertEqual([each.killed for each in self.children], [True, True])
        for each in self.children:
            each.end(None, 9)
        ended = self.successResultOf(run.ended)
        self.assertEqual((ended.status, ended.signal, ended.reason), (None, 9, "killed"))

    def test_the_helper_ends(self) -> None:
        run = self.running()
        helper, vmm = self.children
        helper.complain(b"first\nlast words")
        helper.end(101)
        self.assertTrue(vmm.killed)
        vmm.end(None, 9)
        ended = self.successResultOf(run.ended)
        self.assertEqual(ended.reason, "helper has ended with status 101: last words")

    def test_the_helper_ends_before_the_vmm_is_started(self) -> None:
        started = self.bring_up(self.both())
        self.children[0].complain(b"no such thing\n")
        self.children[0].end(1)
        error = self.failureResultOf(started, VmmError).value
        self.assertEqual(error.reason, "helper has ended with status 1: no such thing")
        self.assertEqual(len(self.children), 1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_no_socket(self) -> None:
        started = self.bring_up(self.both())
        self.reactor.pump([POLL] * (round(PATIENCE / POLL) + 2))
        self.assertNoResult(started)
        self.assertTrue(self.children[0].killed)
        self.children[0].end(None, 9)
        error = self.failureResultOf(started, VmmError).value
        self.assertEqual(error.reason, "no vsock within 10 seconds")

    def test_it_is_given_up(self) -> None:
        started = self.bring_up(self.both())
        started.cancel()
        self.assertNoResult(started)
        self.children[0].end(None, 9)
        self.failureResultOf(started, CancelledError)
        self.assertEqual(self.files(), ["console.log", "helper.log"])

    def test_it_is_given_up_while_it_connects(self) -> None:
        """What is cancelled then fails with an error of its own."""
        connecting: Deferred[None] = Deferred(
            lambda cancelled: cancelled.errback(ConnectionError("cancelled"))
        )

        async def steps() -> None:
            self.run_.spawn("vmm", ["vmm"], main=True)
            await self.run_.wait(connecting)

        started = self.bring_up(steps())
        started.cancel()
        self.assertTrue(self.children[0].killed)
        self.children[0].end(None, 9)
        self.failureResultOf(started, CancelledError)

    def test_it_is_given_up_twice(self) -> None:
        started = self.bring_up(self.both())
        started.cancel()
        started.cancel()
        self.assertNoResult(started)
        self.children[0].end(None, 9)
        self.failureResultOf(started, CancelledError)

    def test_it_is_given_up_while_it_fails(self) -> None:
        async def steps() -> None:
            self.run_.spawn("vmm", ["vmm"], main=True)
            raise ConnectionResetError("lost")

        started = self.bring_up(steps())
        started.cancel()
        self.assertTrue(self.children[0].killed)
        self.children[0].end(None, 9)
        self.failureResultOf(started, CancelledError)
        self.reactor.advance(LAST_WORDS)

    def test_a_connection_breaks_before_the_process_ends(self) -> None:
        """What the VMM says when it ends is the reason, not that it is gone."""

        async def steps() -> None:
            self.run_.spawn("vmm", ["vmm"], main=True)
            raise ConnectionResetError("lost")

        started = self.bring_up(steps())
        self.assertFalse(self.children[0].killed)
        self.children[0].complain(b"no such kernel\n")
        self.children[0].end(1)
        error = self.failureResultOf(started, VmmError).value
        self.assertEqual(error.reason, "vmm has ended with status 1: no such kernel")
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_a_connection_breaks_and_the_process_stays(self) -> None:
        async def steps() -> None:
            self.run_.spawn("vmm", ["vmm"], main=True)
            raise ConnectionResetError("lost")

        started = self.bring_up(steps())
        self.reactor.advance(LAST_WORDS)
        self.assertTrue(self.children[0].killed)
        self.children[0].end(None, 9)
        self.assertEqual(self.failureResultOf(started, VmmError).value.reason, "lost")

    def test_a_step_is_refused(self) -> None:
        """By a VMM that goes on."""

        async def steps() -> None:
            self.run_.spawn("vmm", ["vmm"], main=True)
            self.children[0].write(b"console\n")
            raise VmmError("no memory")

        started = self.bring_up(steps())
        self.children[0].end(None, 9)
        error = self.failureResultOf(started, VmmError).value
        self.assertEqual((error.reason, error.console), ("no memory", ("console",)))

    def test_a_program_that_is_not_there(self) -> None:
        self.starter.error = FileNotFoundError(2, "no such program", "vmm")
        started = self.bring_up(self.both())
        error = self.failureResultOf(started, VmmError).value
        self.assertEqual(error.reason, "vmm: no such program")
        self.assertEqual(self.files(), ["console.log", "helper.log"])

    def test_no_folder(self) -> None:
        launch = replace(self.launch, folder=self.folder / "no")
        error = self.assertRaises(
            VmmError, MachineRun, self.reactor, self.starter, launch, self.events.append
        )
        self.assertIn("No such file", error.reason)
        self.flushWarnings()

    def test_the_vmm_says_why_after_its_end(self) -> None:
        """Its connection and its end are two descriptors, in whatever order they are read."""
        run = self.running()
        closed: Deferred[None] = Deferred()
        run.hear_out(closed)
        for each in self.children:
            each.end()
        self.assertNoResult(run.ended)
        run.tell(VmmEventKind.SHUTDOWN, "powered off")
        closed.callback(None)
        self.assertEqual(self.successResultOf(run.ended).reason, "powered off")

    def test_a_connection_that_stays_open(self) -> None:
        run = self.running()
        run.hear_out(Deferred())
        for each in self.children:
            each.end()
        self.reactor.advance(LAST_WORDS)
        self.assertEqual(self.successResultOf(run.ended).reason, "helper has ended with status 0")

    def test_a_panic(self) -> None:
        run = self.running()
        vmm = self.children[1]
        for _ in range(2):
            vmm.write(PANIC)
            self.deliver()
        self.assertEqual(self.kinds()[1:], [VmmEventKind.PANICKED])
        run.tell(VmmEventKind.REBOOTED)
        vmm.write(PANIC)
        self.deliver()
        self.assertEqual(self.kinds()[2:], [VmmEventKind.REBOOTED, VmmEventKind.PANICKED])
        self.assertEqual(self.events[1].reason, "Kernel panic - not syncing: x")

    def test_power_off(self) -> None:
        run = self.running()
        self.failureResultOf(run.power_off(), VmmError)
        pressed: list[None] = []

        def press() -> Deferred[None]:
            pressed.append(None)
            return succeed(None)

        run.press = press
        self.successResultOf(run.power_off())
        self.assertEqual(len(pressed), 1)

    def test_waiting_for_nothing_that_is_over(self) -> None:
        run = self.running()
        never: Deferred[None] = Deferred()
        waiting = Deferred.fromCoroutine(run.wait(never))
        run.kill()
        self.failureResultOf(waiting, CancelledError)
        self.failureResultOf(Deferred.fromCoroutine(run.wait(Deferred())), CancelledError)

    def test_what_only_the_host_knows(self) -> None:
        run = self.running()
        self.assertEqual(self.starter.admitted, 1)
        self.starter.known = "killed for want of memory"
        for each in self.children:
            each.end(None, 9)
        self.assertEqual(self.successResultOf(run.ended).reason, "killed for want of memory")
        self.assertEqual(self.starter.admitted, 0)

    def test_a_socket_in_use(self) -> None:
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(self.launch.vsock))
            other.listen()
            error = self.failureResultOf(self.bring_up(self.both()), VmmError).value
            self.assertIn("in use", error.reason)
            self.assertTrue(self.launch.vsock.exists())

    def test_the_folder_goes_before_it_ends(self) -> None:
        run = self.running()
        shutil.rmtree(self.folder)
        os.mkdir(self.folder)
        for each in self.children:
            each.end()
        self.successResultOf(run.ended)


class TakenOverTests(MachineCase):
    def setUp(self) -> None:
        super().setUp()
        first = MachineRun(self.reactor, self.starter, self.launch, self.events.append)
        first.spawn("helper", ["helper"])
        first.spawn("vmm", ["vmm"], main=True)
        self.events.clear()

    def taken_over(self, pid: int) -> MachineRun:
        """By the same process, with another program."""
        run = MachineRun(self.reactor, self.starter, self.launch, self.events.append, resume=True)
        run.own(self.launch.vsock)
        run.adopt("vmm", pid, {"helper": "helper"})
        return run

    def test_it_goes_on(self) -> None:
        helper, vmm = self.children
        run = self.taken_over(vmm.pid)
        self.assertEqual(run.pid, vmm.pid)
        self.assertEqual(self.events, [])
        vmm.end(3)
        self.assertTrue(helper.killed)
        helper.end(None, 9)
        self.assertEqual(self.successResultOf(run.ended).status, 3)

    def test_it_has_ended_meanwhile(self) -> None:
        helper, vmm = self.children
        vmm.ended.called = True
        run = self.taken_over(vmm.pid)
        self.assertEqual(run.pid, vmm.pid)
        self.assertTrue(helper.killed)
        helper.end(None, 9)
        ended = self.successResultOf(run.ended)
        self.assertEqual((ended.status, ended.signal), (None, None))
        self.assertEqual(ended.reason, "vmm has ended")

    def test_its_helper_has_ended_meanwhile(self) -> None:
        helper, vmm = self.children
        helper.ended.called = True
        run = self.taken_over(vmm.pid)
        self.assertTrue(vmm.killed)
        self.assertNoResult(run.ended)
        vmm.end(None, 9)
        self.assertEqual(self.successResultOf(run.ended).reason, "helper has ended")

    def test_all_have_ended_meanwhile(self) -> None:
        for each in self.children:
            each.ended.called = True
        run = self.taken_over(self.children[1].pid)
        self.successResultOf(run.ended)
