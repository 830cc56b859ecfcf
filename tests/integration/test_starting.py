"""How a start ends, in the foreground and as a daemon: what is said, with which status."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import unittest
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.integration.harness import ROOT, TWISTD, free_port, wait_until

LIMIT = 30


class Started:
    """What C{twistd} said, apart, and its status; None while it runs."""

    def __init__(self, folder: Path, command: list[str], wait: bool = True, **more: str) -> None:
        self.out, self.err = folder / "stdout", folder / "stderr"
        environment = dict(os.environ, PYTHONUNBUFFERED="1", PYTHONPATH=str(ROOT), **more)
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.child = subprocess.Popen(
                command, stdout=out, stderr=err, env=environment, cwd=folder
            )
        self.status = self.child.wait(LIMIT) if wait else None

    @property
    def stderr(self) -> str:
        return self.err.read_text()

    @property
    def stdout(self) -> str:
        return self.out.read_text()


class StartingCase(unittest.TestCase):
    def setUp(self) -> None:
        temporary = TemporaryDirectory(prefix="subproxy-start-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.port = free_port()
        self.pidfile = self.folder / "proxy.pid"
        self.log = self.folder / "proxy.log"
        self.vsock = self.folder / "vm.sock"

    def twistd(self, *options: str, daemon: bool, pidfile: bool = True) -> list[str]:
        command = [*TWISTD]
        command += [f"--logfile={self.log}"] if daemon else ["-n"]
        command += [f"--pidfile={self.pidfile}"] if pidfile else []
        return [*command, "subproxy", *options]

    def start(self, *options: str, daemon: bool, wait: bool = True, **more: str) -> Started:
        return Started(self.folder, self.twistd(*options, daemon=daemon), wait, **more)

    def end_daemon(self) -> None:
        try:
            pid = int(self.pidfile.read_text())
        except FileNotFoundError:
            return
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not self.pidfile.exists(), "the daemon ends")

    def end(self, started: Started, number: signal.Signals = signal.SIGTERM) -> int:
        started.child.send_signal(number)
        return started.child.wait(LIMIT)

    def guest(self, application: str) -> subprocess.Popen[bytes]:
        """One that serves every host; what it says is in a file, C{guest}."""
        command = [sys.executable, "-m", "guest", f"--proxy=unix:{self.vsock}_12345", "--host=.*"]
        with (self.folder / "guest").open("wb") as out:
            guest = subprocess.Popen(
                [*command, f"tests.starting_apps:{application}"],
                env=dict(os.environ, PYTHONPATH=str(ROOT)),
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.addCleanup(guest.wait, LIMIT)
        self.addCleanup(guest.kill)
        return guest

    def status_of(self, host: str, port: int) -> int:
        client = HTTPConnection(host, port, timeout=LIMIT)
        try:
            client.request("GET", "/")
            return client.getresponse().status
        finally:
            client.close()


class FailedStartTests(StartingCase):
    def check_fails(self, line: str, *options: str, **more: str) -> None:
        """One line on stderr, status 1, and nothing is left, both ways."""
        before = {path.name for path in self.folder.iterdir()}
        for daemon in (False, True):
            with self.subTest(daemon=daemon, options=options):
                started = self.start(*options, daemon=daemon, **more)
                self.assertEqual(started.status, 1, started.stderr + started.stdout)
                self.assertIn(line, started.stderr)
                self.assertTrue(started.stderr.startswith("subproxy: "), started.stderr)
                self.assertEqual(started.stderr.count("\n"), 1, started.stderr)
                self.assertNotIn("Traceback", started.stdout)
                left = {path.name for path in self.folder.iterdir()} - before
                self.assertLessEqual(left, {"stdout", "stderr", "proxy.log"})
                if self.log.exists():
                    self.assertNotIn("Traceback", self.log.read_text())

    def test_port_in_use(self) -> None:
        """The sockets that were made before are withdrawn as well."""
        with socket.create_server(("127.0.0.1", self.port)):
            self.vsock.touch()
            for http in (f"--http={self.port}", f"--http=tcp:{self.port}"):
                self.check_fails(
                    f"{self.port}", http, f"--vsock={self.vsock}", f"--admin={self.folder}/a.sock"
                )

    def test_a_later_listener_fails(self) -> None:
        """What listened already does so no more, and its name is gone."""
        with socket.create_server(("127.0.0.1", self.port)):
            self.check_fails(
                "Address already in use",
                f"--http={free_port()}",
                f"--http=unix:{self.folder}/http.sock",
                f"--vsock={self.vsock}",
                f"--admin=tcp:{self.port}:interface=127.0.0.1",
            )

    def test_a_later_listener_fails_beside_a_pattern(self) -> None:
        """The listeners of a folder lose their names too."""
        with socket.socket(socket.AF_UNIX) as machine:
            machine.bind(str(self.vsock))
            with socket.create_server(("127.0.0.1", self.port)):
                self.check_fails(
                    "Address already in use",
                    f"--http={free_port()}",
                    f"--vsock={self.folder}/*.sock",
                    f"--admin=tcp:{self.port}:interface=127.0.0.1",
                )

    def test_ipv6_port_in_use(self) -> None:
        try:
            other = socket.create_server(("::1", self.port), family=socket.AF_INET6)
        except OSError:
            self.skipTest("no IPv6 here")
        with other:
            self.check_fails("Address already in use", f"--http={self.port}", "--vsock=x.sock")

    def test_missing_folders(self) -> None:
        """They are named, whatever wants a file in them."""
        none = self.folder / "none"
        http, vsock = f"--http={self.port}", f"--vsock={self.vsock}"
        self.check_fails(f"there is no folder {none}", http, vsock, f"--admin={none}/admin.sock")
        self.check_fails(f"there is no folder {none}", http, vsock, f"--access-log={none}/log")
        self.check_fails(f"{none}", http, f"--vsock={none}/vm.sock")
        self.check_fails(f"there is no folder {none}", f"--http=unix:{none}/http.sock", vsock)

    def test_systemd(self) -> None:
        """A socket that was not passed is told from those that were."""
        http, vsock = f"--http={self.port}", f"--vsock={self.vsock}"
        for options in (
            ("--http=systemd:domain=INET:name=web", vsock),
            (http, "--vsock=systemd:name=web"),
            (http, vsock, "--admin=systemd:domain=UNIX:index=0"),
        ):
            self.check_fails("systemd has passed no sockets", *options)

    def test_systemd_names(self) -> None:
        """Those that were passed are told by their names, if they have any."""
        script = (
            "import os, socket, sys; s = socket.create_server(('127.0.0.1', 0)); "
            "os.dup2(s.fileno(), 3); "
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', {names});"
            "os.execv(sys.argv[1], sys.argv[1:])"
        )
        options = ("--http=systemd:domain=INET:name=web", f"--vsock={self.vsock}")
        for daemon, names, told in (
            (False, "LISTEN_FDNAMES='http'", "name=http"),
            (True, "LISTEN_FDNAMES='http'", "name=http"),
            (True, "", "none has a name"),
        ):
            begin = script.format(names=names)
            command = [sys.executable, "-c", begin, *self.twistd(*options, daemon=daemon)]
            started = Started(self.folder, command)
            self.assertEqual(started.status, 1)
            self.assertIn(f"it has passed index=0 ({told})", started.stderr)
            self.assertEqual(started.stderr.count("\n"), 1, started.stderr)

    def test_a_lock_that_is_held(self) -> None:
        """Another proxy that starts in the same folder is waited for; it is told if in vain."""
        with open(self.folder / ".subproxy.lock", "w") as lock:
            os.fchmod(lock.fileno(), 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.check_fails(
                "another process holds the lock of",
                f"--http={self.port}",
                f"--vsock={self.vsock}",
            )

    def test_bad_policy(self) -> None:
        policy = self.folder / "policy.toml"
        policy.write_text("nonsense = 1\n")
        self.check_fails("policy.toml:1:", f"--policy={policy}", f"--vsock={self.vsock}")

    def test_bad_configuration(self) -> None:
        path = self.folder / "subproxy.toml"
        path.write_text(f"[guests]\nlisten = '{self.vsock}'\n hodl = 1\n")
        self.check_fails("subproxy.toml:3:2: unknown key 'hodl'", f"--config={path}")

    def test_a_daemon_that_is_killed(self) -> None:
        """Whoever waits for it learns that it has ended."""
        # A log that cannot be opened ends twistd before there is a service to complain.
        command = [*TWISTD, f"--logfile={self.folder}/none/log", f"--pidfile={self.pidfile}"]
        started = Started(self.folder, [*command, "subproxy", f"--vsock={self.vsock}"])
        self.assertEqual(started.status, 1)
        self.assertIn("it ended while it started", started.stderr)


class StartTests(StartingCase):
    def test_daemon(self) -> None:
        """Status 0 once it serves, nothing said, a pid file; and all is gone at the end."""
        self.addCleanup(self.end_daemon)
        started = self.start(f"--http={self.port}", f"--vsock={self.vsock}", daemon=True)
        self.assertEqual((started.status, started.stderr, started.stdout), (0, "", ""))
        self.assertEqual(self.status_of("127.0.0.1", self.port), 404)
        pid = int(self.pidfile.read_text())
        self.assertEqual(os.getsid(pid) == os.getsid(0), False)
        for number in range(3):
            self.assertEqual(os.readlink(f"/proc/{pid}/fd/{number}"), os.devnull)
        with open(f"/proc/{pid}/status") as status:
            self.assertIn("Umask:\t0077", status.read())
        self.end_daemon()
        left = {path.name for path in self.folder.iterdir()}
        self.assertEqual(left, {"stdout", "stderr", "proxy.log"})

    def test_clean_end(self) -> None:
        """SIGTERM and SIGINT end it with status 0."""
        for number in (signal.SIGTERM, signal.SIGINT):
            options = (f"--http={self.port}", f"--vsock={self.vsock}")
            started = self.start(*options, daemon=False, wait=False)
            wait_until(lambda started=started: "HTTP on" in started.stdout, "it listens")
            self.assertEqual(self.status_of("127.0.0.1", self.port), 404)
            self.assertEqual(self.end(started, number), 0, started.stdout)
            self.assertEqual(started.stderr, "")
            self.assertFalse(self.pidfile.exists())

    def test_told_while_it_starts(self) -> None:
        """It ends in good order too, whenever that is."""
        for line in ("reactor: ", "starting up", "HTTP on", "guests on"):
            started = self.start(
                f"--http={self.port}", f"--vsock={self.vsock}", daemon=False, wait=False
            )
            wait_until(lambda started=started, line=line: line in started.stdout, line)
            self.assertEqual(self.end(started), 0, started.stdout)
            self.assertEqual((started.stderr, self.pidfile.exists()), ("", False))
            self.assertFalse(Path(f"{self.vsock}_12345").exists())

    def test_told_twice(self) -> None:
        """A request under way is finished first, unless the signal comes again."""
        started = self.start(
            f"--http={self.port}", f"--vsock={self.vsock}", daemon=False, wait=False
        )
        self.addCleanup(started.child.kill)
        wait_until(lambda: "guests on" in started.stdout, "it listens")
        self.guest("Silent")
        wait_until(lambda: "registered" in (self.folder / "guest").read_text(), "it serves")
        with socket.create_connection(("127.0.0.1", self.port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            wait_until(lambda: "asked" in (self.folder / "guest").read_text(), "it is asked")
            started.child.send_signal(signal.SIGTERM)
            wait_until(lambda: "1 requests in flight" in started.stdout, "it drains")
            self.assertIsNone(started.child.poll())
            self.assertEqual(self.end(started, signal.SIGINT), 0)
        self.assertIn("told to stop again", started.stdout)

    def test_two_in_one_folder(self) -> None:
        """In the foreground no pid file is written that nobody has asked for."""
        running = []
        for number in range(2):
            options = (f"--http={free_port()}", f"--vsock={self.folder}/vm{number}.sock")
            folder = self.folder / str(number)
            folder.mkdir()
            command = self.twistd(f"{options[0]}", options[1], daemon=False, pidfile=False)
            # What they say goes elsewhere, so that one folder is the current one of both.
            command[1:1] = [f"--rundir={self.folder}"]
            started = Started(folder, command, wait=False)
            self.addCleanup(started.child.kill)
            running.append(started)
            wait_until(lambda started=started: "guests on" in started.stdout, "it listens")
        self.assertFalse((self.folder / "twistd.pid").exists())
        self.assertEqual([self.end(each) for each in running], [0, 0])

    def test_the_pid_file_that_was_asked_for(self) -> None:
        """Also by the name that is twistd's default."""
        options = (f"--http={self.port}", f"--vsock={self.vsock}")
        command = [*TWISTD, "-n", "--pidfile=twistd.pid", "subproxy", *options]
        started = Started(self.folder, command, wait=False)
        wait_until(lambda: "HTTP on" in started.stdout, "it listens")
        self.assertEqual(int((self.folder / "twistd.pid").read_text()), started.child.pid)
        self.assertEqual(self.end(started), 0)

    def test_pattern_of_an_empty_folder(self) -> None:
        """It is said to be watched."""
        options = (f"--http={self.port}", f"--vsock={self.folder}/*.sock", "--vsock=none/*.sock")
        started = self.start(*options, daemon=False, wait=False)
        wait_until(lambda: "HTTP on" in started.stdout, "it listens")
        self.assertEqual(self.end(started), 0)
        said = started.stdout
        self.assertIn(
            f"guests on {self.folder}/*.sock: no socket of a VM there yet; the folder is watched",
            said,
        )
        self.assertIn("none/*.sock: that folder is not there yet; the folder is watched", said)


class BarePortTests(StartingCase):
    def serve(self, *options: str) -> Started:
        vsock = f"--vsock={self.vsock}"
        started = self.start(f"--http={self.port}", vsock, *options, daemon=False, wait=False)
        self.addCleanup(started.child.kill)
        wait_until(lambda: "guests on" in started.stdout, "it listens")
        return started

    def listeners(self) -> set[str]:
        """The addresses on which this port listens, as ss prints them."""
        found = set()
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            with open(table) as lines:
                for line in list(lines)[1:]:
                    address, state = line.split()[1], line.split()[3]
                    host, _, port = address.partition(":")
                    if state == "0A" and int(port, 16) == self.port:
                        found.add(host)
        return found

    def test_without_policy(self) -> None:
        """It answers this machine alone, on both versions of IP; a line says so."""
        started = self.serve()
        loopback = {"0100007F", "0" * 24 + "01000000"}
        if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
            loopback.remove("0" * 24 + "01000000")
        self.assertEqual(self.listeners(), loopback)
        self.assertIn(f"so port {self.port} answers this machine alone", started.stdout)
        self.assertIn(f"--http=tcp:{self.port}", started.stdout)
        self.assertEqual(self.status_of("127.0.0.1", self.port), 404)
        if len(loopback) == 2:
            self.assertEqual(self.status_of("::1", self.port), 404)
        self.assertEqual(self.end(started), 0)

    def test_with_a_policy(self) -> None:
        """It is one of all interfaces, and clients of IPv4 are called by their addresses."""
        policy = self.folder / "policy.toml"
        policy.write_text("")
        for fast in ((), ("--no-fastpath",)):
            started = self.serve(f"--policy={policy}", *fast)
            self.assertIn("0" * 8, self.listeners())
            self.assertEqual(self.status_of("127.0.0.1", self.port), 404)
            wait_until(lambda started=started: "\n127.0.0.1 - -" in started.stdout, "a line")
            if "0" * 32 in self.listeners():
                self.assertEqual(self.status_of("::1", self.port), 404)
                wait_until(lambda started=started: "\n::1 - -" in started.stdout, "a line")
            self.assertEqual(self.end(started), 0)

    def test_hand_over(self) -> None:
        """Both sockets go to the next process."""
        policy = self.folder / "policy.toml"
        policy.write_text("")
        for options in ((), (f"--policy={policy}",)):
            started = self.serve(*options)
            self.addCleanup(self.end_daemon)
            before = self.listeners()
            started.child.send_signal(signal.SIGUSR2)
            self.assertEqual(started.child.wait(LIMIT), 0, started.stdout)
            self.assertEqual(self.listeners(), before)
            self.assertEqual(self.status_of("127.0.0.1", self.port), 404)
            if len(before) == 2:
                self.assertEqual(self.status_of("::1", self.port), 404)
            self.assertNotEqual(int(self.pidfile.read_text()), started.child.pid)
            self.end_daemon()

    def test_ipv4_on_a_socket_of_ipv6(self) -> None:
        """Who comes over an endpoint of both is called by an address of IPv4, on both paths."""
        if not os.path.exists("/proc/net/if_inet6"):
            self.skipTest("no IPv6 here")
        for fast in ((), ("--no-fastpath",)):
            started = self.start(
                *(f"--http=tcp6:{self.port}", f"--vsock={self.vsock}", *fast),
                "--trust=127.0.0.0/8",
                daemon=False,
                wait=False,
            )
            self.addCleanup(started.child.kill)
            wait_until(lambda started=started: "guests on" in started.stdout, "it listens")
            guest = self.guest("Forwarded")
            try:
                wait_until(lambda: self.status_of("127.0.0.1", self.port) == 200, "it serves")
                self.assertEqual(self.body_of("127.0.0.1"), b"127.0.0.1 127.0.0.1")
                trusted = self.body_of("127.0.0.1", {"X-Forwarded-For": "192.0.2.9"})
                self.assertEqual(trusted, b"192.0.2.9 192.0.2.9, 127.0.0.1")
                wait_until(lambda started=started: "\n127.0.0.1 - -" in started.stdout, "a line")
                self.assertNotIn("::ffff:", started.stdout)
            finally:
                guest.terminate()
                guest.wait(LIMIT)
            self.assertEqual(self.end(started), 0)

    def body_of(self, host: str, fields: dict[str, str] | None = None) -> bytes:
        client = HTTPConnection(host, self.port, timeout=LIMIT)
        try:
            client.request("GET", "/", headers={"Host": "blog.example", **(fields or {})})
            return client.getresponse().read()
        finally:
            client.close()

    def test_an_endpoint(self) -> None:
        """It means what it says, with a policy and without."""
        started = self.start(
            f"--http=tcp:{self.port}", f"--vsock={self.vsock}", daemon=False, wait=False
        )
        self.addCleanup(started.child.kill)
        wait_until(lambda: "guests on" in started.stdout, "it listens")
        self.assertEqual(self.listeners(), {"0" * 8})
        self.assertNotIn("this machine alone", started.stdout)
        self.assertEqual(self.end(started), 0)
