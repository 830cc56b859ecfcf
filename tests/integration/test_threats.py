"""
Rows of docs/explanation/threats.md that need the real thing.

Hostile guests, and what fails around us.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration import hostile
from tests.integration.admin_client import metric
from tests.integration.beside import Askers, Seen, beside
from tests.integration.harness import World, wait_until
from tests.integration.load import Load
from tests.integration.nursery import Nursery
from tests.integration.relay import Relay
from tests.integration.test_main_job import memory_of

SECONDS = 1.5
MEMORY = 64 << 20
"""Bytes that one hostile guest may make the proxy grow: its quota of 16 MiB, the same again for
requests that wait for it, and what an allocator keeps."""


class HostileGuestTests(SynchronousTestCase):
    """
    One attack each, beside a victim whose clients notice nothing.

    Latency is judged by C{python -m tests.integration.beside}, on a machine that is quiet.
    """

    def check(self, kind: type[hostile.Attack]) -> Seen:
        seen = beside(kind, SECONDS, quiet=0.2)
        self.assertEqual(seen.failed, 0, str(seen))
        self.assertGreater(seen.total, 20, str(seen))
        self.assertGreater(seen.dialled, 0, str(seen))
        self.assertLess(seen.grown, MEMORY, str(seen))
        self.assertLess(seen.log, 100_000, str(seen))
        return seen

    def test_registration_flood(self) -> None:
        """New patterns as fast as they can be sent: quotas, and a share of each turn."""
        self.check(hostile.RegistrationFlood)

    def test_costly_patterns(self) -> None:
        """A pattern is read before RE2 is asked about it."""
        self.check(hostile.CostlyPatterns)

    def test_costly_requests(self) -> None:
        """No table makes a request cost more than a few milliseconds."""
        self.check(hostile.CostlyRequests)

    def test_a_million_tiny_frames(self) -> None:
        """Messages a turn are bounded."""
        self.check(hostile.TinyFrames)

    def test_huge_nested_negative_frames(self) -> None:
        """Nothing is allocated from a claim."""
        self.check(hostile.HugeFrames)

    def test_never_pongs(self) -> None:
        """Ejected, then closed."""
        self.check(hostile.NeverPongs)

    def test_slow_reader_no_credit(self) -> None:
        """Uploads to a guest that reads nothing are held back at their clients."""
        self.check(hostile.NoCredit)

    def test_response_splitting_bad_framing(self) -> None:
        """Refused; ten of them end the subscription."""
        self.check(hostile.SplitsResponses)

    def test_bodies_beyond_credit(self) -> None:
        """Thrown out."""
        self.check(hostile.BeyondCredit)

    def test_connection_flood(self) -> None:
        """Accepted and closed above the quota."""
        self.check(hostile.ConnectionFlood)

    def test_data_connection_flood(self) -> None:
        """Tokens that were not issued open nothing."""
        self.check(hostile.ForgedTokens)

    def test_replay_after_restart(self) -> None:
        """The same session again and again replaces only itself."""
        self.check(hostile.Replays)

    def test_garbage(self) -> None:
        """Is no protocol."""
        self.check(hostile.Garbage)

    def test_frames_of_as_many_elements_as_there_may_be(self) -> None:
        """On 50 connections: a machine's share of a turn is counted in time."""
        self.check(hostile.ManyElements)

    def test_frames_of_more_elements(self) -> None:
        """They are not decoded; who sends them is thrown out."""
        self.check(hostile.TooManyElements)

    def test_frames_that_are_never_complete(self) -> None:
        """They are held as far as the quota goes."""
        self.check(hostile.PartialFrames)

    def test_interim_responses_without_end(self) -> None:
        """There is a limit a request."""
        self.check(hostile.EndlessHints)

    def test_bodies_in_pieces_of_a_byte(self) -> None:
        """A piece costs time, which is shared."""
        self.check(hostile.TinyPieces)


class FailureTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.nursery = Nursery(self.world.folder / "executed", self.world.folder / "nursery.log")
        self.addCleanup(self.nursery.close)

    def start(self, *options: str, **more: str):
        proxy = self.world.start_proxy(*options, **more)
        self.nursery.guest(self.world.vsock, "blog\\.example")
        proxy.wait_for(" serves ")
        return proxy

    def test_emfile(self) -> None:
        """
        All descriptors are used up by clients: those who are served go on being served, guests
        can still dial, and the log stays short.
        """
        proxy = self.start("--access-log=none")
        steady = Load(self.world.port, connections=4, rate=100)
        steady.start()
        time.sleep(0.3)
        limit = len(os.listdir(f"/proc/{proxy.child.pid}/fd")) + 40
        resource.prlimit(proxy.child.pid, resource.RLIMIT_NOFILE, (limit, limit))
        before = len(proxy.output)
        clients = []
        for _ in range(200):
            client = socket.socket()
            self.addCleanup(client.close)
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", self.world.port))
            clients.append(client)
        time.sleep(1.5)
        self.assertLess(len(proxy.output) - before, 20_000, proxy.output[-3000:])
        for client in clients:
            client.close()
        outcome = steady.stop()
        self.assertEqual(outcome.failed, 0, f"{outcome}\n{proxy.output[-3000:]}")
        wait_until(lambda: self.world.ask()[0] == 200, "new clients are served again")

    def test_descriptors_are_reserved_for_guests(self) -> None:
        """Clients take all connections that they can get: guests still subscribe."""
        self.world.start_proxy("--access-log=none", prefix=("prlimit", "--nofile=200:200"))
        proxy = self.world.proxy
        assert proxy is not None
        clients = [socket.socket() for _ in range(400)]
        for client in clients:
            self.addCleanup(client.close)
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", self.world.port))
        time.sleep(0.5)
        for worker in range(5):
            self.nursery.guest(self.world.vsock, "blog\\.example", worker)
        proxy.wait_for(" serves ", 5)
        self.assertNotIn("EMFILE", proxy.output)
        for client in clients:
            client.close()
        wait_until(lambda: self.world.ask()[0] == 200, "clients are served")

    def test_no_memory(self) -> None:
        """
        The system refuses memory: who asks for much may fail, the process lives, and
        when there is memory again all is as before.
        """
        hungry = self.world.folder / "cid11.sock"
        proxy = self.start("--access-log=none", f"--vsock={hungry}")
        attack = hostile.NoCredit(hungry)
        self.addCleanup(attack.stop)
        attack.start()
        wait_until(lambda: proxy.output.count(" serves ") == 2, "the other guest")
        self.assertEqual(Load(self.world.port, connections=4, rate=100).run_for(0.3).failed, 0)
        limits = resource.prlimit(proxy.child.pid, resource.RLIMIT_AS)
        size = int(Path(f"/proc/{proxy.child.pid}/statm").read_text().split()[0])
        most = size * resource.getpagesize() + (2 << 20)
        resource.prlimit(proxy.child.pid, resource.RLIMIT_AS, (most, limits[1]))
        askers = Askers(self.world.port)
        steady = Load(self.world.port, connections=4, rate=100).run_for(2.0)
        askers.stop()
        resource.prlimit(proxy.child.pid, resource.RLIMIT_AS, limits)
        self.assertGreater(steady.statuses[200], 5, f"{steady}\n{proxy.output[-3000:]}")
        self.assertIsNone(proxy.child.poll(), proxy.output[-4000:])
        wait_until(
            lambda: not Load(self.world.port, connections=4, rate=100).run_for(0.3).failed,
            "all to be as before",
        )
        self.assertLess(len(proxy.output), 20_000)

    def test_disk_full(self) -> None:
        """The access log cannot be written: lines are dropped, and requests are served."""
        admin = self.world.folder / "admin"
        self.start("--access-log=/dev/full", f"--admin={admin}")
        outcome = Load(self.world.port, connections=4).run_for(1.0)
        self.assertEqual(outcome.failed, 0, str(outcome))
        wait_until(lambda: metric(admin, "access_log_dropped_lines") > 0, "lines are counted")

    def test_clock_jumps(self) -> None:
        """The time of day jumps by an hour, and back: nobody is ejected, nothing is late."""
        (self.world.folder / "sitecustomize.py").write_text(
            "import os, time\n"
            "real = time.time\n"
            "here = os.path.dirname(__file__)\n"
            "def jumping():\n"
            "    shift = os.path.exists(here + '/forward') - os.path.exists(here + '/back')\n"
            "    return real() + 3600.0 * shift\n"
            "time.time = jumping\n"
        )
        proxy = self.start("--ping-interval=0.3", "--ping-timeout=10")
        load = Load(self.world.port, connections=4, rate=100)
        load.start()
        for name in ("forward", "back"):
            (self.world.folder / name).write_text("")
            time.sleep(1.2)
            (self.world.folder / name).unlink()
            time.sleep(0.5)
        outcome = load.stop()
        self.assertEqual(outcome.failed, 0, str(outcome))
        self.assertLess(outcome.percentile(1.0), 10.0, str(outcome))
        for word in ("ejected", "given up", " lost"):
            self.assertNotIn(word, proxy.output)
        proxy.signal(signal.SIGTERM)
        proxy.wait(15)

    def relayed(self) -> Relay:
        """A guest behind a relay."""
        proxy = self.world.start_proxy("--ping-interval=0.3", "--ping-timeout=1")
        vm = self.world.folder / "relayed.sock"
        relay = Relay(Path(f"{vm}_12345"), Path(f"{self.world.vsock}_12345"))
        self.addCleanup(relay.close)
        self.nursery.guest(vm, "blog\\.example")
        proxy.wait_for(" serves ")
        return relay

    def test_a_relay_that_splits_and_delays(self) -> None:
        """Frames arrive in pieces of 50 bytes, late: all is answered."""
        relay = self.relayed()
        relay.split = 50
        relay.delay = 0.0002
        outcome = Load(self.world.port, connections=4, method="POST", body=b"b" * 500).run_for(2.0)
        self.assertEqual(outcome.failed, 0, str(outcome))
        self.assertGreater(outcome.total, 8)

    def test_a_relay_that_stalls_and_resets(self) -> None:
        """GET waits for the guest to come back; POST gets an explicit 502, or its answer."""
        relay = self.relayed()
        get = Load(self.world.port, connections=4, rate=100)
        post = Load(self.world.port, connections=4, method="POST", rate=100, keep=True)
        get.start()
        post.start()
        for _ in range(3):
            time.sleep(0.5)
            relay.stalled = True
            time.sleep(0.3)
            relay.stalled = False
            relay.reset()
        time.sleep(1.0)
        got, posted = get.stop(), post.stop()
        self.assertEqual(got.failed, 0, str(got))
        self.assertEqual(posted.broken, [], str(posted))
        self.assertLessEqual(set(posted.statuses), {200, 502}, str(posted))
        executed = self.world.folder.joinpath("executed").read_text().split()
        self.assertEqual(len(executed), len(set(executed)))

    def test_guest_killed_in_mid_response(self) -> None:
        """The client sees a broken message, never a clean end."""
        self.world.start_proxy()
        guest = self.world.start_guest("tests.integration.apps:Endless", "--host=blog\\.example")
        for version in (b"1.1", b"1.0"):
            with socket.create_connection(("127.0.0.1", self.world.port), 20) as client:
                client.sendall(b"GET /900000000 HTTP/%b\r\nHost: blog.example\r\n\r\n" % version)
                self.assertTrue(client.recv(1000).startswith(b"HTTP/1.1 200"))
                if version == b"1.1":
                    guest.signal(signal.SIGKILL)
                    guest = None
                got = 0
                try:
                    while data := client.recv(1 << 20):
                        got += len(data)
                except ConnectionResetError:
                    pass
                self.assertLess(got, 900_000_000)
            if guest is None:
                break

    def test_memory_under_slow_clients(self) -> None:
        """Fifty clients stop reading answers of a gigabyte: each costs less than 1 MiB."""
        proxy = self.world.start_proxy("--access-log=none")
        self.world.start_guest("tests.integration.apps:Endless", "--host=blog\\.example")
        self.world.ask("/100000")
        before = memory_of(proxy.child.pid)
        for _ in range(50):
            client = socket.create_connection(("127.0.0.1", self.world.port))
            self.addCleanup(client.close)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
            client.sendall(b"GET /1073741824 HTTP/1.1\r\nHost: blog.example\r\n\r\n")
        time.sleep(2)
        self.assertLess(memory_of(proxy.child.pid) - before, 50 << 20)
        self.assertEqual(self.world.ask("/10")[2], b"0123456789")
