"""The life of a program, on a clock."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any

from guest.sidecar.restart import RestartMode
from guest.sidecar.states import PROGRAM_TRANSITIONS, ProgramState
from guest.sidecar.supervisor import ProgramSupervisor
from tests.rigs.clock_loop import ClockLoopCase


class FakeProgram:
    """
    A run of a program, as the test wants it.

    @ivar got: the signals, those to the whole group in brackets.
    @ivar left: how many processes are left in its group.
    """

    pid = 77

    def __init__(self, ended: Callable[[int], object]) -> None:
        self.ended = ended
        self.got: list[Any] = []
        self.left = 1
        self.elsewhere: list[str] = []

    def listeners(self) -> list[str]:
        return self.elsewhere

    def signal(self, number: int) -> None:
        self.got.append(signal.Signals(number).name)

    def signal_all(self, number: int) -> bool:
        if number and self.left:
            self.got.append([signal.Signals(number).name])
        return self.left > 0

    def end(self, status: int, left: int = 0) -> None:
        self.left = left
        self.ended(status)


class FakeProbe:
    """
    @ivar up: the program takes requests.
    @ivar occupied: somebody else listens there.
    """

    address = "127.0.0.1:3000"
    last = "nothing listens"

    def __init__(self, occupied: bool) -> None:
        self.up = False
        self.occupied = occupied

    async def taken(self) -> bool:
        return self.occupied

    async def ready(self) -> None:
        while not self.up:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


class SupervisorCase(ClockLoopCase):
    mode = RestartMode.ALWAYS
    bridge = False
    occupied = False

    def setUp(self) -> None:
        super().setUp()
        self.runs: list[FakeProgram] = []
        self.failure: OSError | None = None
        self.probe = FakeProbe(self.occupied)
        self.events: list[str] = []
        self.said: list[str] = []
        self.supervisor = ProgramSupervisor(
            self.loop,
            None if self.bridge else self._spawn,  # type: ignore[arg-type]
            self.probe,  # type: ignore[arg-type]
            self,
            name="node server.js",
            mode=self.mode,
        )
        self.supervisor.start()
        self.advance()

    def _spawn(self, ended: Callable[[int], object]) -> FakeProgram:
        if self.failure is not None:
            raise self.failure
        self.runs.append(FakeProgram(ended))
        return self.runs[-1]

    # An observer.

    def serving(self) -> None:
        self.events.append("serving")

    def down(self) -> None:
        self.events.append("down")

    def say(self, text: str) -> None:
        self.said.append(text)

    warn = say

    @property
    def program(self) -> FakeProgram:
        return self.runs[-1]

    @property
    def state(self) -> ProgramState:
        return self.supervisor.state

    @property
    def status(self) -> int | None:
        """That to exit with; None before it is known."""
        return self.supervisor.ended.result() if self.supervisor.ended.done() else None

    def serve(self) -> None:
        """The program takes requests now."""
        self.probe.up = True
        self.advance(0.2)
        self.probe.up = False
        self.assertIs(self.state, ProgramState.SERVING)


class RunTests(SupervisorCase):
    def test_it_serves_when_it_listens(self) -> None:
        self.assertEqual(self.said, ["node server.js started, process 77"])
        self.advance(3)
        self.assertEqual(self.events, [])
        self.serve()
        self.assertEqual(self.events, ["serving"])

    def test_it_ends_and_is_started_again(self) -> None:
        self.serve()
        self.program.end(1)
        self.assertEqual(self.events, ["serving", "down"])
        self.assertIs(self.state, ProgramState.WAITING)
        self.assertEqual(
            self.said[1:],
            ["node server.js ended, status 1", "node server.js is started again in 0.1 s"],
        )
        self.advance(0.11)
        self.assertEqual(len(self.runs), 2)
        self.serve()
        self.assertEqual(self.events, ["serving", "down", "serving"])

    def test_waits_grow(self) -> None:
        """Also where it never came to serve; a run that has served for a while forgives all."""
        waits = []
        for _ in range(10):
            self.program.end(3)
            waits.append(float(self.said[-1].split()[-2]))
            self.advance(waits[-1] + 0.01)
        self.assertEqual(waits, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30])
        self.serve()
        self.advance(10)
        self.program.end(3)
        self.assertIn("in 0.1 s", self.said[-1])

    def test_killed_by_a_signal(self) -> None:
        self.program.end(128 + signal.SIGSEGV)
        self.assertIn("node server.js ended by SIGSEGV, status 139", self.said)

    def test_a_status_that_is_no_signal(self) -> None:
        """Programs end by 255 (PHP, Perl, ssh), and by signals that have no name."""
        for status in (255, 128 + 40):
            self.program.end(status)
            self.assertIn(f"node server.js ended, status {status}", self.said)
            runs = len(self.runs)
            self.advance(30)
            self.assertEqual(len(self.runs), runs + 1)

    def test_what_it_leaves_behind(self) -> None:
        """It is asked to go, then killed; nothing is started beside it."""
        self.serve()
        self.program.end(1, left=2)
        self.assertEqual(self.program.got, [["SIGTERM"]])
        self.advance(1.9)
        self.assertEqual(len(self.runs), 1)
        self.advance(0.2)
        self.assertEqual(self.program.got[1], ["SIGKILL"])
        self.program.left = 0
        self.advance(0.3)
        self.assertEqual(len(self.runs), 2)

    def test_it_refuses_connections(self) -> None:
        """It reloads itself, say: nothing is sent there until it takes them again."""
        self.serve()
        self.supervisor.unreachable()
        self.supervisor.unreachable()
        self.assertIs(self.state, ProgramState.STARTING)
        self.assertEqual(self.events, ["serving", "down"])
        self.serve()
        self.assertEqual(self.events, ["serving", "down", "serving"])
        self.assertEqual(len(self.runs), 1)

    def test_it_ends_while_it_starts(self) -> None:
        self.program.end(2)
        self.advance(0.2)
        self.assertEqual((len(self.runs), self.events), (2, []))
        self.serve()

    def test_it_does_not_listen(self) -> None:
        """That is said, again and again, less and less often."""
        self.advance(80)
        reminders = [line for line in self.said if "not ready" in line]
        self.assertEqual(
            reminders,
            [
                f"node server.js runs, but is not ready after {after} s: nothing listens"
                for after in (5, 15, 35, 75)
            ],
        )
        self.serve()
        self.advance(1000)
        self.assertEqual(self.said[5:], [])

    def test_it_listens_elsewhere(self) -> None:
        """The commonest mistake of all."""
        self.program.elsewhere = ["127.0.0.1:5173", "[::1]:5173"]
        self.advance(6)
        self.assertTrue(
            self.said[-1].endswith(
                "nothing listens; it listens at 127.0.0.1:5173, [::1]:5173: "
                "is that what --to should say?"
            ),
            self.said,
        )
        self.program.elsewhere.append("127.0.0.1:3000")
        self.advance(10)
        self.assertTrue(self.said[-1].endswith("after 15 s: nothing listens"), self.said)


class StopTests(SupervisorCase):
    def test_its_status_is_ours(self) -> None:
        self.serve()
        self.supervisor.stop(signal.SIGTERM)
        self.assertEqual(self.program.got, [["SIGTERM"], ["SIGCONT"]])
        self.assertEqual(self.events, ["serving", "down"])
        self.assertIsNone(self.status)
        self.program.end(7)
        self.assertEqual(self.status, 7)
        self.assertIs(self.state, ProgramState.ENDED)
        self.advance(100)
        self.assertEqual(len(self.runs), 1)

    def test_the_group_ends_too(self) -> None:
        self.supervisor.stop(signal.SIGINT)
        self.program.end(130, left=1)
        self.advance(1.9)
        self.assertIsNone(self.status)
        self.program.left = 0
        self.advance(0.1)
        self.assertEqual(self.status, 130)
        self.assertEqual(self.program.got, [["SIGINT"], ["SIGCONT"]])

    def test_one_that_does_not_end(self) -> None:
        self.supervisor.stop(signal.SIGTERM)
        self.advance(10.1)
        self.assertEqual(self.program.got[-1], ["SIGKILL"])
        self.assertIn("has not ended within 10 s: killed", self.said[-1])
        self.program.end(137)
        self.assertEqual(self.status, 137)

    def test_twice(self) -> None:
        self.supervisor.stop(signal.SIGINT)
        self.supervisor.stop(signal.SIGINT)
        self.assertEqual(self.program.got[-1], ["SIGKILL"])
        self.program.end(137)
        self.supervisor.stop(signal.SIGINT)
        self.assertEqual(self.status, 137)

    def test_while_it_waits(self) -> None:
        """The status is that of its last run."""
        self.program.end(5)
        self.supervisor.stop(signal.SIGTERM)
        self.assertEqual(self.status, 5)
        self.advance(10)
        self.assertEqual(len(self.runs), 1)

    def test_while_leftovers_end(self) -> None:
        self.program.end(5, left=1)
        self.supervisor.stop(signal.SIGTERM)
        self.supervisor.stop(signal.SIGTERM)
        self.program.left = 0
        self.advance(0.1)
        self.assertEqual(self.status, 5)

    def test_other_signals_go_to_its_first_process(self) -> None:
        self.supervisor.signal(signal.SIGHUP)
        self.assertEqual(self.program.got, ["SIGHUP"])
        self.program.end(0)
        self.supervisor.signal(signal.SIGHUP)
        self.assertEqual(self.program.got[1:], [])


class FailedStartTests(SupervisorCase):
    def setUp(self) -> None:
        super().setUp()
        self.program.end(0)

    def test_not_there(self) -> None:
        self.failure = FileNotFoundError(2, "No such file", "nod")
        self.advance(0.2)
        self.assertEqual(self.status, 127)
        self.assertEqual(self.said[-1], "node server.js can't be started: nod: not found")

    def test_not_executable(self) -> None:
        self.failure = PermissionError(13, "Permission denied", "server.js")
        self.advance(0.2)
        self.assertEqual(self.status, 126)
        self.assertIn("server.js: Permission denied", self.said[-1])

    def test_no_room_for_it(self) -> None:
        """No process can be made now: later, perhaps."""
        self.failure = BlockingIOError(11, "Resource temporarily unavailable")
        self.advance(0.2)
        self.assertIn(
            "node server.js can't be started: Resource temporarily unavailable", self.said
        )
        self.assertIsNone(self.status)
        self.failure = None
        self.advance(5)
        self.assertEqual(len(self.runs), 2)

    def test_its_address_is_taken_later(self) -> None:
        """By what got away of the last run, perhaps: it may go."""
        self.probe.occupied = True
        self.advance(5)
        self.assertIn("something listens at 127.0.0.1:3000 already", "".join(self.said))
        self.assertIsNone(self.status)
        self.probe.occupied = False
        self.advance(5)
        self.assertEqual(len(self.runs), 2)


class TakenTests(SupervisorCase):
    occupied = True

    def test_from_the_start(self) -> None:
        """Requests would go to somebody else."""
        self.assertEqual(self.status, 1)
        self.assertEqual(self.runs, [])


class BridgeTests(SupervisorCase):
    bridge = True

    def test_without_a_program(self) -> None:
        self.assertEqual(self.said, [])
        self.advance(6)
        self.assertEqual(self.said, ["node server.js is not ready after 5 s: nothing listens"])
        self.serve()
        self.supervisor.unreachable()
        self.serve()
        self.supervisor.signal(signal.SIGHUP)
        self.supervisor.stop(signal.SIGTERM)
        self.assertEqual(self.status, 0)
        self.assertEqual(self.events, ["serving", "down", "serving", "down"])


class NeverTests(SupervisorCase):
    mode = RestartMode.NEVER

    def test_it_ends(self) -> None:
        self.serve()
        self.program.end(9)
        self.assertEqual(self.status, 9)
        self.supervisor.unreachable()


class OnFailureTests(SupervisorCase):
    mode = RestartMode.ON_FAILURE

    def test_it_ends(self) -> None:
        self.program.end(9)
        self.advance(0.2)
        self.assertIsNone(self.status)
        self.program.end(0)
        self.assertEqual(self.status, 0)


class TableTests(ClockLoopCase):
    def test_every_state_has_its_row(self) -> None:
        self.assertEqual(set(PROGRAM_TRANSITIONS), set(ProgramState))
        self.assertEqual(PROGRAM_TRANSITIONS[ProgramState.ENDED], frozenset())
