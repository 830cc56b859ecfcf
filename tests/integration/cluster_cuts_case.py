"""
Three hosts on a network, with a member of etcd each: whoever is killed, whatever is cut off.

No route is lost that is served, and none is kept longer than the lease of its host. The tests here
are run by those who say how many workers each host has.
"""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.cluster.publisher import LEASE_SECONDS
from tests.integration.changing_guest import ChangingGuest
from tests.integration.harness import wait_until
from tests.integration.load import Load
from tests.integration.namespaces import NetworkHost, unavailable, with_clock
from tests.integration.network_cluster import NetworkCluster
from tests.integration.registration_times import RegistrationRig

COUNT = 3
SLACK = 6.0
"""Seconds beside a lease: etcd looks at leases each second or so, and may choose a leader first."""

GONE = {"404", "503"}
"""The answer where nobody has a route: for a moment it is remembered that somebody had."""

CHANGES = 1000
"""Of routes, a minute, all hosts together."""

REGISTRATIONS = 12


class ClusterCutCase(SynchronousTestCase):
    """
    See above.

    @ivar workers: of each host.
    """

    skip = unavailable()
    workers = 1

    def setUp(self) -> None:
        self.cluster = NetworkCluster(self.addCleanup, COUNT, self.workers)
        self.network, self.members = self.cluster.network, self.cluster.members
        self.hosts = self.cluster.hosts

    def until_all_answer(self, said: str, host: str = "blog.example") -> float:
        """Wait until that guest answers, whichever host is asked; how long that took."""
        began = time.monotonic()
        for each in self.hosts:
            each.until_answered(said, host)
        return time.monotonic() - began

    def assert_all_say(
        self, said: str, host: str = "blog.example", at: list[NetworkHost] | None = None
    ) -> None:
        """That guest answers, whichever worker of these hosts is asked; of all, unless told."""
        asked = self.hosts if at is None else at
        self.assertEqual([each.all_said(host) for each in asked], [{said}] * len(asked))

    def load(self, host: NetworkHost, of: str = "blog.example") -> Load:
        """Clients of C{host} who go on to ask, 50 times a second."""
        load = Load(0, of, connections=4, rate=50.0, connect=host.connect)
        load.start()
        self.addCleanup(load.end)
        return load

    def assert_none_failed(self, load: Load) -> None:
        """All were answered, once and whole, by whom they asked."""
        outcome = load.stop()
        self.assertEqual(outcome.failed, 0, f"{outcome} {outcome.troubles[:3]}")
        self.assertEqual((outcome.unconnected, outcome.unasked), (0, 0), str(outcome))
        self.assertGreater(outcome.total, 50, str(outcome))

    def until_routes(self, count: int, hosts: list[NetworkHost], limit: float) -> float:
        """Wait until those hosts know so many of others; how long that took."""
        began = time.monotonic()
        for each in hosts:
            wait_until(
                lambda each=each: each.metric("cluster_routes") == count,
                f"{count} routes at {each.name}",
                limit - (time.monotonic() - began),
            )
        return time.monotonic() - began

    def test_members(self) -> None:
        """One of etcd is killed: nothing changes. All are: what was known stays, and is stale."""
        self.cluster.join()
        one, two, three = self.hosts
        one.guest("Named")
        self.until_all_answer("kvm-1")
        loads = [self.load(each) for each in self.hosts]
        self.members[1].kill()
        two.guest("Named", "--host=late\\.example", said="late")
        self.until_all_answer("late", "late.example")
        self.until_all_answer("kvm-1")
        self.assertEqual([each.metric("cluster_stale") for each in self.hosts], [0, 0, 0])
        for member in self.members:
            member.kill()
        for each in self.hosts:
            wait_until(lambda each=each: each.metric("cluster_stale") == 1, "it is noticed")
        three.guest("Named", "--host=dark\\.example", said="dark")
        self.assert_all_say("kvm-1")
        self.assert_all_say("late", "late.example")
        self.assert_all_say("404", "dark.example", [one, two])
        self.assert_all_say("dark", "dark.example", [three])
        # Longer than any lease: who is not there can't say that it is over.
        time.sleep(LEASE_SECONDS + 2)
        self.assert_all_say("kvm-1")
        for member in self.members:
            member.start()
        self.until_all_answer("dark", "dark.example")
        for each in self.hosts:
            wait_until(lambda each=each: each.metric("cluster_stale") == 0, "it is back")
        self.assert_all_say("kvm-1")
        self.assert_all_say("late", "late.example")
        for load in loads:
            self.assert_none_failed(load)

    def test_registrations(self) -> None:
        """
        Until the guest answers that has registered, clients of other hosts hear 404 and nothing
        else; from then on it is always the guest. How soon: L{registration_times}.
        """
        self.cluster.join()
        with ExitStack() as stack:
            registrations = RegistrationRig(stack, self.hosts, 1 if self.workers == 1 else 8)
            for number in range(REGISTRATIONS):
                for answers in registrations.register(number).answers:
                    self.assertLessEqual(set(answers[:-1]), {"404"}, answers)
            for number in range(REGISTRATIONS):
                guest = self.hosts[number % COUNT].name
                answered = registrations.answers(number)
                self.assertEqual(answered, [[guest]] * len(answered))

    def test_a_cut(self) -> None:
        """
        A host is cut off: its guests answer there, its routes go elsewhere with its lease. When it
        is back it knows what has happened, though etcd has forgotten how; and so do the others.
        """
        self.cluster.join()
        one, two, three = self.hosts
        one.guest("Named")
        three.guest("Named", "--host=far\\.example", said="far")
        self.until_all_answer("kvm-1")
        self.until_all_answer("far", "far.example")
        # Who has nothing to do with the third does not feel it, and nor do clients of its own.
        loads = [self.load(one), self.load(two), self.load(three, "far.example")]
        self.network.cut(3)
        # Nobody is told: it is found out by silence.
        took = self.until_routes(0, [one], LEASE_SECONDS + SLACK)
        self.until_routes(1, [two], LEASE_SECONDS + SLACK - took)
        self.assert_all_say("kvm-1", at=[one, two])
        self.assertLessEqual(one.all_said("far.example"), GONE)
        self.assert_all_say("far", "far.example", [three])
        wait_until(lambda: three.metric("cluster_stale") == 1, "it knows that it is alone")
        for number in range(5):
            guest = two.guest("Named", "--host=gone\\.example", said=f"gone{number}")
            one.until_answered(f"gone{number}", "gone.example")
            guest.end()
        two.guest("Named", "--host=new\\.example", said="new")
        one.until_answered("new", "new.example")
        self.members[0].compact()
        self.network.heal(3)
        self.until_all_answer("new", "new.example")
        self.until_all_answer("kvm-1")
        self.until_all_answer("far", "far.example")
        self.until_routes(2, [three], 30.0)
        self.until_routes(2, [one, two], 30.0)
        self.assert_all_say("404", "gone.example", [three])
        for load in loads:
            self.assert_none_failed(load)

    def test_a_host_is_killed(self) -> None:
        """What it alone served is forgotten with its lease; what another one serves, too, stays."""
        self.cluster.join()
        one, two, three = self.hosts
        one.guest("Named")
        two.guest("Named", said="kvm-1")
        two.guest("Named", "--host=lone\\.example", said="lone")
        self.until_all_answer("kvm-1")
        self.until_all_answer("lone", "lone.example")
        assert two.proxy is not None
        two.proxy.signal(signal.SIGKILL)
        two.proxy.wait()
        said = set()
        began = time.monotonic()

        def forgotten() -> bool:
            said.add(one.said())
            said.add(three.said())
            return [each.metric("cluster_routes") for each in (one, three)] == [0, 1]

        wait_until(forgotten, "its lease to expire", LEASE_SECONDS + SLACK)
        self.assertLess(time.monotonic() - began, LEASE_SECONDS + SLACK)
        self.assertEqual(said, {"kvm-1"})
        for each in (one, three):
            self.assertLessEqual(each.all_said("lone.example"), GONE)

    def test_many_changes(self) -> None:
        """A thousand a minute, and a member that dies and comes back: all know all, at once."""
        self.cluster.join()
        guests = [
            ChangingGuest(Path(f"{host.vsock}_12345"), name, 20, COUNT * 60 / CHANGES)
            for host, name in zip(self.hosts, ("a", "b", "c"), strict=True)
        ]
        for guest in guests:
            self.addCleanup(guest.stop)
            guest.start()
        delays = []
        until = time.monotonic() + 20
        killed = False
        while time.monotonic() < until:
            for number, guest in enumerate(guests):
                known = dict(guest.registered)
                if not known:
                    continue
                host, since = max(known.items(), key=lambda each: each[1])
                asked = self.hosts[(number + 1) % COUNT]
                asked.until_answered(guest.said, host, 10.0)
                delays.append(time.monotonic() - since)
            if not killed and time.monotonic() > until - 12:
                killed = True
                self.members[1].kill()
                self.members[1].start()
        for guest in guests:
            guest.settle()
        self.assertGreater(sum(guest.changes for guest in guests), CHANGES / 3 * 0.7)
        self.assertLess(sorted(delays)[len(delays) // 2], 1.0)
        for guest in guests:
            for host in list(guest.registered):
                for each in self.hosts:
                    each.until_answered(guest.said, host, 10.0)
        counts = [len(guest.routes) for guest in guests]
        for number, each in enumerate(self.hosts):
            self.until_routes(sum(counts) - counts[number], [each], 10.0)

    def test_wrong_clocks(self) -> None:
        """One host is days ahead, another one hours behind: leases and routes don't care."""
        self.cluster.join(with_clock("+3d"), with_clock("-5h"), ())
        one, two, _ = self.hosts
        one.guest("Named")
        two.guest("Named", "--host=late\\.example", said="late")
        self.until_all_answer("kvm-1")
        self.until_all_answer("late", "late.example")
        time.sleep(LEASE_SECONDS + 2)
        self.assert_all_say("kvm-1")
        self.assert_all_say("late", "late.example")
