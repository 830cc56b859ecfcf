"""A parent and its workers: real processes, real guests, and clients that lose nothing."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration import admin_client
from tests.integration.admin_client import metric
from tests.integration.harness import Process, World, free_port, wait_until
from tests.integration.kill_loop import HOLD, executed_in
from tests.integration.load import Load
from tests.integration.nursery import Nursery
from tests.integration.successors import alive

_SERVES = re.compile(r"worker (\d+) serves: process (\d+)")
REQUESTS = int(os.environ.get("WORKERS_REQUESTS", "2000"))
"""More of them where somebody has the time: 60,000 take a minute."""
KILLS = int(os.environ.get("WORKERS_KILLS", "4"))
"""Likewise: 40 of them meet 60,000 requests or so."""


def open_files(pid: int) -> set[Path]:
    """What files a process has open."""
    found = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(each.readlink())
    return found


class WorkersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.admin = self.world.folder / "admin"
        self.executed = self.world.folder / "executed"
        self.nursery = Nursery(self.executed, self.world.folder / "nursery.log")
        self.addCleanup(self.nursery.close)

    def start(self, count: int = 2, *options: str, **more: Any) -> Process:
        proxy = self.world.start_proxy(
            f"--workers={count}",
            "--access-log=none",
            HOLD,
            f"--admin={self.admin}",
            *options,
            **more,
        )
        wait_until(lambda: len(self.pids) == count, "all workers to serve")
        return proxy

    @property
    def log(self) -> str:
        assert self.world.proxy is not None
        return self.world.proxy.whole_lines

    @property
    def pids(self) -> dict[int, int]:
        """The newest process of each slot."""
        return {int(slot): int(pid) for slot, pid in _SERVES.findall(self.log)}

    def api(self, path: str, method: str = "GET") -> Any:
        return admin_client.api(self.admin, path, method)

    def subscriptions(self, count: int) -> list[dict[str, Any]]:
        """All subscriptions, as soon as there are so many."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            # There are none as long as no worker has answered.
            found[:] = self.api("/api/subscribers").get("subscribers", ())
            return len(found) == count

        wait_until(there, f"{count} subscriptions")
        return found

    def kill_worker(self, slot: int) -> None:
        before = self.pids[slot]
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: self.pids[slot] != before, "another worker")

    def guest(self, application: str, *options: str, most: int = 0) -> Process:
        guest = self.world.start(
            "guest",
            [
                *(sys.executable, "-m", "guest", f"--proxy=unix:{self.world.vsock}_12345"),
                *("--host=blog\\.example", *options, application),
            ],
            MOST=str(most),
        )
        guest.wait_for("registered")
        return guest

    def ask_all(self, times: int = 24) -> set[int]:
        """Ask so often, on a connection each, that no worker is left out; the statuses."""
        return {self.world.ask(f"/{number}")[0] for number in range(times)}

    def load_of(self, count: int, connections: int = 32) -> Any:
        load = Load(self.world.port, connections=connections)
        load.start()
        wait_until(lambda: load.outcome.total >= count, "requests", 200)
        return load.stop()

    # Guests.

    def test_one_at_a_time(self) -> None:
        """A guest that takes one request at a time never gets two, at four workers."""
        self.start(4)
        self.guest("tests.integration.limited_app:Limited", "--concurrency=1", most=1)
        found = self.subscriptions(1)
        self.assertEqual(found[0]["concurrency"], 1)
        outcome = self.load_of(REQUESTS)
        self.assertEqual(outcome.failed, 0, f"{outcome} {outcome.troubles[:3]}")

    def test_concurrency_is_divided(self) -> None:
        """Five at a time, at four workers: a subscription with each, and five in all."""
        self.start(4)
        self.guest("tests.integration.limited_app:Limited", "--concurrency=5", most=5)
        found = self.subscriptions(4)
        self.assertEqual(sorted(each["concurrency"] for each in found), [1, 1, 1, 2])
        self.assertEqual({each["process"] for each in found}, {0, 1, 2, 3})
        outcome = self.load_of(REQUESTS)
        self.assertEqual(outcome.failed, 0, f"{outcome} {outcome.troubles[:3]}")

    def test_a_guest_that_knows_one_process(self) -> None:
        """It subscribes once, and is reached by requests that come to any worker."""
        self.start(3)
        self.nursery.light(self.world.vsock, "blog\\.example")
        self.subscriptions(1)
        self.assertEqual(self.ask_all(), {200})
        route = self.api("/api/routes")["routes"]
        self.assertEqual(len(route), 1)
        self.assertEqual(len(route[0]["subscribers"]), 1)
        outcome = self.load_of(500)
        self.assertEqual(outcome.failed, 0, f"{outcome} {outcome.troubles[:3]}")

    def test_newer_instance(self) -> None:
        """It replaces the older one with whichever worker that is."""
        self.start(3)
        first = self.nursery.guest(self.world.vsock, "blog\\.example")
        older = {each["instance"] for each in self.subscriptions(3)}
        second = self.nursery.guest(self.world.vsock, "blog\\.example")
        wait_until(lambda: not os.path.exists(f"/proc/{first}"), "the older one to end")
        newer = {each["instance"] for each in self.subscriptions(3)}
        self.assertEqual((len(older), len(newer)), (1, 1))
        self.assertNotEqual(older, newer)
        self.assertTrue(alive(second))

    def test_bodies(self) -> None:
        """Large ones, both ways: with a subscription here, and by way of another worker."""
        for options in ((), ("--concurrency=1",)):
            self.start(2, "--ping-timeout=20")
            guest = self.guest("tests.integration.bodies_app:Bodies", *options)
            self.subscriptions(1 if options else 2)
            data = os.urandom(3_000_000)
            wanted = f"{hashlib.sha256(data).hexdigest()} {len(data)}".encode()
            for _ in range(8):
                status, _, body = self.world.ask("/digest", method="POST", body=data)
                self.assertEqual((status, body), (200, wanted))
                for path in ("/file/2000000", "/pieces/300000", "/stream/1000000", "/bytes/200000"):
                    status, _, body = self.world.ask(path)
                    self.assertEqual((status, len(body)), (200, int(path.rpartition("/")[2])))
            guest.end()
            assert self.world.proxy is not None
            self.world.proxy.end()
            self.world.proxy.log.unlink()

    # Workers.

    def test_killed_again_and_again(self) -> None:
        """
        SIGKILL a worker each second: requests are lost on its connections alone, none on one that
        waits to be accepted, and no POST is executed twice. So one that it had from another worker
        is 502.
        """
        self.start(2)
        for worker in range(2):
            self.nursery.guest(self.world.vsock, "blog\\.example", worker)
        self.subscriptions(4)
        get = Load(self.world.port, connections=8)
        post = Load(self.world.port, connections=8, method="POST", keep=True)
        get.start()
        post.start()
        for number in range(KILLS):
            time.sleep(0.5)
            self.kill_worker(number % 2)
        time.sleep(0.5)
        outcomes = get.stop(), post.stop()
        if KILLS > 4:
            print(*outcomes)
        for outcome, others in zip(outcomes, (set(), {502}), strict=True):
            unknown = outcome.statuses.keys() - {200} - others
            self.assertEqual(unknown, set(), f"{outcome} {outcome.troubles[:3]}\n{self.log}")
            self.assertLessEqual(outcome.statuses[502], 8 * KILLS)
            self.assertEqual(outcome.unconnected, 0, str(outcome))
            self.assertLessEqual(len(outcome.broken), 8 * KILLS)
            self.assertGreater(outcome.total, 100)
        executed = executed_in(self.executed)
        self.assertEqual([number for number, count in executed.items() if count > 1], [])
        self.assertEqual(outcomes[1].answered - set(executed), set())
        self.assertEqual(metric(self.admin, "worker_deaths_total"), KILLS)
        self.assertEqual(self.ask_all(), {200})
        self.assertNotIn("Traceback", self.log)

    def test_hand_over(self) -> None:
        """
        New code in the same process, under load: no request fails, and every worker is another.
        """
        proxy = self.start(2)
        for worker in range(2):
            self.nursery.guest(self.world.vsock, "blog\\.example", worker)
        # This one has a subscription with one worker alone.
        sole = [f"--proxy=unix:{self.world.vsock}_12345", "--host=sole\\.example"]
        counting = "tests.integration.counting:Counting"
        self.nursery.start("guest", *sole, "--concurrency=1", "--worker=2", counting)
        self.subscriptions(5)
        get = Load(self.world.port, connections=8)
        post = Load(self.world.port, connections=8, method="POST", keep=True)
        sole_load = Load(self.world.port, "sole.example", connections=4)
        for each in (get, post, sole_load):
            each.start()
        for number in range(2):
            before = self.pids
            time.sleep(0.3)
            proxy.signal(signal.SIGUSR2)
            proxy.wait_for(f"process {proxy.child.pid} has taken over", number + 1)
            self.assertEqual(set(before.values()) & set(self.pids.values()), set())
            for pid in before.values():
                wait_until(lambda pid=pid: not alive(pid), "an old worker to end")
        time.sleep(0.5)
        outcomes = get.stop(), post.stop(), sole_load.stop()
        for outcome in outcomes:
            self.assertEqual(outcome.failed, 0, f"{outcome} {outcome.troubles[:3]}\n{self.log}")
            self.assertEqual(outcome.unconnected, 0, str(outcome))
            self.assertGreater(outcome.total, 50)
        executed = executed_in(self.executed)
        self.assertEqual([number for number, count in executed.items() if count > 1], [])
        self.assertEqual(self.ask_all(), {200})
        self.assertEqual(metric(self.admin, "subscriptions"), 5)
        self.assertNotIn("Traceback", self.log)
        proxy.signal(signal.SIGTERM)
        self.assertEqual(proxy.wait(), 0)
        self.assertFalse(Path(f"{self.world.vsock}_12345").exists())
        self.assertFalse(self.admin.exists())

    def test_a_guest_that_comes_behind_a_hand_over(self) -> None:
        """
        Its route had lapsed before: requests wait for it in old workers and in new ones, and all
        are answered when it comes, to the new ones.
        """
        proxy = self.start(2)
        first = self.nursery.guest(self.world.vsock, "blog\\.example")
        self.subscriptions(2)
        self.nursery.kill(first)
        self.subscriptions(0)
        before = Load(self.world.port, connections=8)
        before.start()
        time.sleep(0.3)
        before.end()
        proxy.signal(signal.SIGUSR2)
        proxy.wait_for(f"process {proxy.child.pid} has taken over")
        behind = Load(self.world.port, connections=8)
        behind.start()
        time.sleep(0.3)
        behind.end()
        self.nursery.guest(self.world.vsock, "blog\\.example")
        for each in before.stop(), behind.stop():
            self.assertEqual((each.total, each.failed), (8, 0), f"{each} {each.troubles[:3]}")

    def test_told_again_while_it_hands_over(self) -> None:
        """Signals at any moment of a hand-over, and of the start behind it: it goes on."""
        proxy = self.start(2)
        proxy.signal(signal.SIGUSR2)
        proxy.wait_for("handing over to a new program")
        end = time.monotonic() + 60
        while self.log.count(" has taken over") < 1 and time.monotonic() < end:
            for each in (signal.SIGHUP, signal.SIGUSR2, signal.SIGUSR1):
                os.kill(proxy.child.pid, each)
            time.sleep(0.01)
        self.assertTrue(alive(proxy.child.pid), self.log)
        self.assertIn(" has taken over", self.log)
        self.assertEqual(self.ask_all(4), {404})

    def test_a_program_that_would_fail(self) -> None:
        """Then this one goes on, with its workers."""
        path = self.world.folder / "subproxy.toml"
        path.write_text("[workers]\nshutdown-timeout = 3\n")
        proxy = self.start(2, f"--config={path}")
        before = self.pids
        path.write_text("[workers]\nnonsense = 3\n")
        proxy.signal(signal.SIGUSR2)
        proxy.wait_for("so this one goes on")
        self.assertIn("unknown key 'nonsense'", self.log)
        self.assertEqual(self.pids, before)
        self.assertEqual(self.world.ask()[0], 404)

    def test_reload(self) -> None:
        """All workers read the files again; one that is made later goes by what was taken."""
        path = self.world.folder / "subproxy.toml"
        path.write_text("[limits]\nmax-body = 1000\n")
        proxy = self.start(2, f"--config={path}")
        self.nursery.guest(self.world.vsock, "blog\\.example")
        self.subscriptions(2)

        def statuses() -> set[int]:
            asked = (self.world.ask("/", method="POST", body=b"x" * 500) for _ in range(16))
            return {status for status, _, _ in asked}

        self.assertEqual(statuses(), {200})
        path.write_text("[limits]\nmax-body = 100\n")
        proxy.signal(signal.SIGHUP)
        proxy.wait_for("is in force: limits.max-body changed", 2)
        wait_until(lambda: statuses() == {413}, "both workers go by it")
        path.write_text("[limits]\nmax-body = nonsense\n")
        self.kill_worker(0)
        self.assertEqual(statuses(), {413})
        refused = self.api("/api/reload", "POST")
        self.assertEqual(refused["error"], "nothing has changed")
        self.assertEqual(len(refused["problems"]), 1)

    def test_logs(self) -> None:
        """SIGUSR1 has every worker open the access log anew; all lines are there, whole."""
        log = self.world.folder / "access.log"
        proxy = self.start(2, f"--access-log={log}")
        self.nursery.guest(self.world.vsock, "blog\\.example")
        self.subscriptions(2)
        for number in range(16):
            self.world.ask(f"/before/{number}")
        wait_until(lambda: log.read_text().count("/before/") == 16, "lines of all workers")
        log.rename(self.world.folder / "access.log.1")
        proxy.signal(signal.SIGUSR1)
        for pid in self.pids.values():
            wait_until(lambda pid=pid: log in open_files(pid), "the new file of a worker")
        for number in range(16):
            self.world.ask(f"/after/{number}")
        wait_until(lambda: log.read_text().count("/after/") == 16, "lines of all workers")
        self.assertEqual(log.read_text().count("\n127.0.0.1 - - ["), 15)

    def test_one_view(self) -> None:
        """Metrics, API and command speak for all workers, and drain at all of them."""
        self.start(2)
        self.nursery.guest(self.world.vsock, "blog\\.example")
        name = self.subscriptions(2)[0]["id"]
        for number in range(20):
            self.world.ask(f"/{number}")
        page = admin_client.page(self.admin, "/metrics").decode()
        self.assertIn('requests_total{code="200",route="blog\\\\.example /.*"} 20.0', page)
        self.assertIn('subproxy_workers{state="serving"} 2.0', page)
        self.assertEqual(metric(self.admin, "routes"), 1)
        self.assertIn(name, admin_client.command(self.admin, "drain", name))
        self.assertEqual({each["state"] for each in self.subscriptions(2)}, {"draining"})
        explained = self.api("/api/explain?url=http://blog.example/x")
        self.assertEqual(len(explained["subscribers"]), 2)
        self.assertEqual(self.api("/api/drain/nobody", "POST")["error"][:16], "no subscriber is")

    def test_stop(self) -> None:
        """SIGTERM: what is under way is answered, then all processes end, with status 0."""
        proxy = self.start(2)
        self.guest("tests.integration.quiet_app:Quiet")
        self.subscriptions(2)
        workers = list(self.pids.values())
        proxy.signal(signal.SIGTERM)
        self.assertEqual(proxy.wait(), 0)
        for pid in workers:
            wait_until(lambda pid=pid: not alive(pid), "a worker to end")

    def test_the_parent_is_killed(self) -> None:
        """Then its workers end by themselves: nobody could replace or tell them."""
        proxy = self.start(2)
        workers = list(self.pids.values())
        proxy.signal(signal.SIGKILL)
        for pid in workers:
            wait_until(lambda pid=pid: not alive(pid), "a worker to end")

    def test_a_worker_is_told_to_stop(self) -> None:
        """It finishes, and another one has its place at once."""
        self.start(2)
        before = self.pids[1]
        os.kill(before, signal.SIGTERM)
        wait_until(lambda: self.pids[1] != before, "another worker")
        wait_until(lambda: not alive(before), "it to end")
        self.assertEqual(self.ask_all(8), {404})
        self.assertEqual(metric(self.admin, "worker_deaths_total"), 0)

    def test_that_cannot_listen(self) -> None:
        """Another program has the port: one line, status 1, and nobody is left."""
        with socket.create_server(("127.0.0.1", self.world.port)):
            proxy = self.world.start_proxy("--workers=2")
            self.assertEqual(proxy.wait(), 1)
        proxy.wait_for("Address already in use")

    def test_a_unix_socket(self) -> None:
        """One for all workers, with its mode; and the name goes when the proxy does."""
        path = self.world.folder / "http"
        proxy = self.start(2, f"--http=unix:{path}:mode=600", f"--http=tcp:{free_port()}")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        for _ in range(8):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(20)
                client.connect(str(path))
                client.sendall(b"GET / HTTP/1.0\r\nHost: nobody.example\r\n\r\n")
                self.assertIn(b" 404 ", client.recv(100))
        proxy.signal(signal.SIGTERM)
        self.assertEqual(proxy.wait(), 0)
        self.assertFalse(path.exists())
