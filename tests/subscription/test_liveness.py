"""Pings, and what their absence means."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.subscription.liveness import Liveness, period
from subproxy.subscription.timer_wheel import TimerWheel


class Fixed:
    """A random number that is none."""

    def __init__(self, value: float) -> None:
        self.value = value

    def random(self) -> float:
        return self.value

    def shuffle(self, x: list) -> None:
        """As they are."""


class LivenessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.said: list[object] = []
        self.again: list[float] = []
        self.unread = False

    def liveness(self, random: float = 0.5) -> Liveness:
        return Liveness(
            TimerWheel(self.clock, period(3.0, 5.0), Fixed(random)),
            3.0,
            5.0,
            15.0,
            now=self.clock.seconds,
            send=lambda nonce: self.said.append((self.clock.seconds(), nonce)),
            measured=self.said.append,
            missed=lambda: self.said.append("missed"),
            still_missed=lambda: self.again.append(self.clock.seconds()),
            returned=lambda: self.said.append("returned"),
            dead=lambda: self.said.append("dead"),
            unread=lambda: self.unread,
        )

    def test_first_at_once_then_spread(self) -> None:
        """The first ping measures at once; the rhythm then begins at a random moment."""
        liveness = self.liveness(0.5)
        liveness.start()
        self.assertEqual(self.said, [(0.0, b"1")])
        liveness.pong(b"1")
        self.clock.pump([0.25] * 40)
        times = [each[0] for each in self.said if isinstance(each, tuple)]
        self.assertEqual(times, [0.0, 3.75])
        liveness.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_measured(self) -> None:
        """A pong in time is a latency; it counts once."""
        liveness = self.liveness()
        liveness.start()
        self.clock.advance(0.2)
        self.assertTrue(liveness.pong(b"1"))
        self.assertEqual(self.said[-1], 0.2)
        self.assertFalse(liveness.pong(b"1"))
        liveness.stop()

    def test_missed_then_dead(self) -> None:
        """Silence is told twice: once to stop using the guest, once to give it up."""
        liveness = self.liveness(0.0)
        liveness.start()
        self.clock.pump([0.5] * 60)
        self.assertEqual([each for each in self.said if isinstance(each, str)], ["missed", "dead"])
        self.assertEqual(self.again, [7.5, 10.0, 12.5])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unread(self) -> None:
        """Who has said something that we have not read is not silent."""
        liveness = self.liveness(0.0)
        liveness.start()
        self.unread = True
        self.clock.pump([0.5] * 60)
        self.assertEqual([each for each in self.said if isinstance(each, str)], ["missed"])
        self.unread = False
        self.clock.pump([0.5] * 5)
        self.assertEqual(self.said[-1], "dead")

    def test_who_stood_still(self) -> None:
        """Time in which this process itself stood still is not held against a guest."""
        liveness = self.liveness(0.0)
        liveness.start()
        liveness.pong(b"1")
        self.clock.pump([0.5] * 7)
        self.assertEqual(self.said[-1], (2.5, b"2"))
        self.clock.advance(60)
        self.clock.advance(0)
        self.assertEqual(self.said[-1], (2.5, b"2"))
        self.clock.pump([0.5] * 12)
        self.assertEqual(self.said[-1], "missed")
        liveness.stop()

    def test_returned(self) -> None:
        """A late pong is told as a return, and pinging goes on."""
        liveness = self.liveness(0.0)
        liveness.start()
        self.clock.pump([0.5] * 16)
        self.assertEqual(self.said[-1], "missed")
        self.assertTrue(liveness.pong(b"1"))
        self.assertEqual(self.said[-1], "returned")
        self.clock.pump([0.5] * 8)
        self.assertEqual(self.said[-1][1], b"2")  # type: ignore[index]
        liveness.stop()

    def test_stop_before_the_first_round(self) -> None:
        """Nothing is left behind."""
        liveness = self.liveness(0.9)
        liveness.start()
        liveness.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_an_error_ends_it(self) -> None:
        """If telling fails, the guest is given up, and the reason logged."""
        liveness = self.liveness(0.0)

        def broken(nonce: bytes) -> None:
            raise RuntimeError("cannot send")

        liveness.start()
        liveness.pong(b"1")
        liveness._send = broken
        self.clock.pump([0.5] * 10)
        self.assertEqual(self.said[-1], "dead")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
