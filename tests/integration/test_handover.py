"""One proxy after the other, under load: nobody notices."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import sys
import threading
import time
from http.client import HTTPSConnection
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.admin_client import metric
from tests.integration.certificate import certificate
from tests.integration.harness import TWISTD, World, free_port, wait_until
from tests.integration.kill_loop import HOLD
from tests.integration.load import Load
from tests.integration.nursery import Nursery
from tests.integration.successors import Line, alive


def end(pid: int) -> None:
    """End a daemon, if it is still there."""
    if alive(pid):
        os.kill(pid, signal.SIGKILL)


class HandoverTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.executed = self.world.folder / "executed"
        self.nursery = Nursery(self.executed, self.world.folder / "nursery.log")
        self.addCleanup(self.nursery.close)

    def line(self) -> Line:
        line = Line(self.world)
        self.addCleanup(line.end)
        return line

    def test_nothing_fails(self) -> None:
        """
        Three hand-overs under load, with GET and POST: no request fails, none is executed
        twice, and the old processes end.
        """
        proxy = self.world.start_proxy("--access-log=none", HOLD)
        for worker in range(2):
            self.nursery.guest(self.world.vsock, "blog\\.example", worker)
        proxy.wait_for(" serves ", 2)
        line = self.line()
        get = Load(self.world.port, connections=8)
        post = Load(self.world.port, connections=8, method="POST", keep=True)
        get.start()
        post.start()
        for _ in range(3):
            time.sleep(0.3)
            line.hand_over()
        time.sleep(1.0)
        outcomes = get.stop(), post.stop()
        line.wait_for_the_old()
        for outcome in outcomes:
            self.assertEqual(outcome.failed, 0, f"{outcome}\n{line.log}")
            self.assertEqual(outcome.unconnected, 0, str(outcome))
            self.assertGreater(outcome.total, 50)
        executed = list(map(int, self.executed.read_text().split()))
        self.assertEqual(len(executed), len(set(executed)))
        self.assertEqual(set(executed), outcomes[1].answered)
        self.assertEqual(self.world.ask()[0], 200)
        self.assertNotIn("Traceback", line.log)

    def test_one_guest_in_a_folder(self) -> None:
        """A listener that a folder made, and the admin page, move too; the names stay."""
        admin = self.world.folder / "admin"
        vm = self.world.folder / "vms" / "cid10.sock"
        vm.parent.mkdir()
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(vm))
        proxy = self.world.start_proxy(HOLD, f"--admin={admin}", vsock=f"{vm.parent}/*.sock")
        proxy.wait_for("starting on HybridVsockAddress")
        self.nursery.guest(vm, "blog\\.example")
        proxy.wait_for(" serves ")
        line = self.line()
        inode = os.stat(f"{vm}_12345").st_ino
        load = Load(self.world.port, connections=4)
        load.start()
        line.hand_over()
        line.wait_for_the_old()
        outcome = load.stop()
        self.assertEqual(outcome.failed, 0, f"{outcome}\n{line.log}")
        self.assertEqual(os.stat(f"{vm}_12345").st_ino, inode)
        self.assertEqual(metric(admin, "subscriptions"), 1)
        os.kill(line.pids[-1], signal.SIGTERM)
        line.end()
        self.assertFalse(Path(f"{vm}_12345").exists())

    def test_a_new_process_that_fails(self) -> None:
        """Then the old one goes on, as if nothing had been."""
        policy = self.world.folder / "policy.toml"
        policy.write_text("")
        proxy = self.world.start_proxy(f"--policy={policy}")
        self.nursery.guest(self.world.vsock, "blog\\.example")
        proxy.wait_for(" subscribed")
        policy.write_text("nonsense")
        proxy.signal(signal.SIGUSR2)
        proxy.wait_for("so this one goes on")
        self.assertTrue(alive(proxy.child.pid))
        self.assertIn(self.world.ask()[0], (200, 404))

    def test_a_new_listener_that_cannot_be_had(self) -> None:
        """With workers the new program would be there instead: nothing would go on."""
        path = self.world.folder / "subproxy.toml"
        path.write_text("")
        proxy = self.world.start_proxy(f"--config={path}", "--workers=2")
        self.nursery.guest(self.world.vsock, "blog\\.example")
        proxy.wait_for(" serves blog", 2)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            where = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
            path.write_text(f"[admin]\nlisten = '{where}'\n")
            proxy.signal(signal.SIGUSR2)
            proxy.wait_for(
                f"so this one goes on: subproxy: cannot listen for admin on {where}: Address"
            )
            self.assertTrue(alive(proxy.child.pid))
            self.assertEqual(self.world.ask()[0], 200)
        proxy.signal(signal.SIGUSR2)
        proxy.wait_for(" has taken over")
        self.assertEqual(self.world.ask()[0], 200)

    def test_a_configuration(self) -> None:
        """What only a new process can take, it takes; a wrong file has none come up."""
        path = self.world.folder / "subproxy.toml"
        path.write_text("[limits]\nmax-unsent = 1000\n")
        proxy = self.world.start_proxy(f"--config={path}", HOLD)
        self.nursery.guest(self.world.vsock, "blog\\.example")
        proxy.wait_for(" serves ")
        line = self.line()
        path.write_text("[limits]\nmax-unsent = 2000\n[guests]\nbulk = 0\n")
        proxy.signal(signal.SIGHUP)
        proxy.wait_for("is in force: guests.bulk changed")
        proxy.wait_for("(SIGUSR2) is needed for limits.max-unsent")
        line.hand_over()
        line.wait_for_the_old()
        os.kill(line.pids[-1], signal.SIGHUP)
        wait_until(lambda: line.log.count("is in force: nothing changed") == 1, "it reloads")
        self.assertEqual(line.log.count("is needed for"), 1)
        path.write_text("[limits]\nmax-unsend = 2000\n")
        os.kill(line.pids[-1], signal.SIGUSR2)
        wait_until(lambda: "so this one goes on" in line.log, "no new one comes up")
        self.assertIn(f"{path}:2:1: unknown key 'max-unsend'", line.log)
        self.assertTrue(alive(line.pids[-1]))
        self.assertEqual(self.world.ask()[0], 200)

    def test_that_cannot_listen(self) -> None:
        """Then the old one goes on, and what the new one had of it has kept its name."""
        folder = self.world.folder / "admin"
        folder.mkdir()
        http = self.world.folder / "http.sock"
        proxy = self.world.start_proxy(f"--admin={folder}/admin.sock", f"--http=unix:{http}")
        shutil.move(folder, self.world.folder / "elsewhere")
        proxy.signal(signal.SIGUSR2)
        proxy.wait_for("so this one goes on")
        proxy.wait_for(f"there is no folder {folder}")
        self.assertTrue(http.exists())
        self.nursery.guest(self.world.vsock, "blog\\.example")
        proxy.wait_for(" subscribed")
        self.assertEqual(self.world.ask(host="other.example")[0], 404)
        proxy.signal(signal.SIGTERM)
        self.assertEqual(proxy.wait(), 0)

    def test_daemon(self) -> None:
        """A daemon with a pid file: it names the new process, which removes it; systemd is told."""
        pidfile, notify = self.world.folder / "pid", self.world.folder / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind(str(notify))
            systemd.settimeout(20)
            self.world.start(
                "proxy",
                [
                    *(*TWISTD, f"--pidfile={pidfile}", f"--logfile={self.world.folder}/log"),
                    *("subproxy", f"--http=tcp:{self.world.port}:interface=127.0.0.1"),
                    f"--vsock={self.world.vsock}",
                ],
                NOTIFY_SOCKET=str(notify),
            ).wait()
            self.assertEqual(systemd.recv(100), b"READY=1")
            first = int(pidfile.read_text())
            self.addCleanup(end, first)
            os.kill(first, signal.SIGUSR2)
            said = systemd.recv(100)
            second = int(said.removeprefix(b"MAINPID="))
            self.addCleanup(end, second)
            wait_until(lambda: not alive(first), "the first to end")
            self.assertEqual(int(pidfile.read_text()), second)
            self.assertEqual(self.world.ask()[0], 404)
            os.kill(second, signal.SIGTERM)
            self.assertEqual(systemd.recv(100), b"STOPPING=1")
            wait_until(lambda: not alive(second), "the second to end")
            self.assertFalse(pidfile.exists())

    def test_tls(self) -> None:
        """A listener of TLS, whose connections go on with the one that they began with."""
        pem, port = self.world.folder / "pem", free_port()
        pem.write_bytes(certificate())
        proxy = self.world.start_proxy(
            HOLD, f"--http=ssl:{port}:privateKey={pem}:interface=127.0.0.1"
        )
        self.nursery.guest(self.world.vsock, "blog\\.example")
        proxy.wait_for(" serves ")
        line = self.line()
        context = ssl.create_default_context(cafile=pem)
        statuses: list[int] = []
        ending = threading.Event()

        def ask() -> None:
            while not ending.is_set():
                client = HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
                for _ in range(3):
                    client.request("GET", "/0", headers={"Host": "blog.example"})
                    response = client.getresponse()
                    response.read()
                    statuses.append(response.status)
                    if response.will_close:
                        break
                client.close()

        asking = threading.Thread(target=ask)
        asking.start()
        for _ in range(2):
            line.hand_over()
        line.wait_for_the_old()
        ending.set()
        asking.join(30)
        self.assertFalse(asking.is_alive())
        self.assertEqual(set(statuses), {200}, line.log)
        self.assertGreater(len(statuses), 20)
        self.assertNotIn("Traceback", line.log)

    def test_systemd(self) -> None:
        """Sockets that systemd made, for clients and for guests; and handed over again."""
        program = (
            "import os, socket, sys\n"
            "http = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
            "vm = socket.socket(socket.AF_UNIX); vm.bind(sys.argv[2]); vm.listen()\n"
            "fds = [http.detach(), vm.detach()]\n"
            "high = [os.dup2(fd, 20 + i) for i, fd in enumerate(fds)]\n"
            "for i, fd in enumerate(high): os.dup2(fd, 3 + i)\n"
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='2',\n"
            " LISTEN_FDNAMES='clients:guests')\n"
            "os.execv(sys.argv[3], sys.argv[3:])\n"
        )
        listen = [sys.executable, "-c", program, str(self.world.port), f"{self.world.vsock}_12345"]
        proxy = self.world.proxy = self.world.start(
            "proxy",
            [
                *listen,
                *(sys.executable, *TWISTD, "-n", "--pidfile=", "subproxy"),
                "--http=systemd:domain=INET:index=0",
                "--vsock=systemd:domain=UNIX:name=guests",
            ],
        )
        proxy.wait_for("guests on")
        self.nursery.guest(self.world.vsock, "blog\\.example")
        proxy.wait_for(" serves ")
        self.assertEqual(self.world.ask()[0], 200)
        proxy.wait_for("path:")
        line = self.line()
        line.hand_over()
        line.wait_for_the_old()
        self.assertEqual(self.world.ask()[0], 200)
        os.kill(line.pids[-1], signal.SIGTERM)
        line.end()
        self.assertTrue(Path(f"{self.world.vsock}_12345").exists())
