"""The reactor and its process: forks, daemons, children, threads, limits, seccomp."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from subproxy import reactor
from subproxy.reactor import compiled_epoll
from tests.integration.reactor_harness import DEADLINE

ROOT = Path(__file__).resolve().parents[2]

SERVER = """
    import importlib, os, sys
    reactor = importlib.import_module(os.environ["TESTED_REACTOR"]).install()
    from twisted.internet.protocol import Factory, Protocol

    class Echo(Protocol):
        def dataReceived(self, data):
            self.transport.write(b"%d " % os.getpid() + data)

    port = reactor.listenTCP(0, Factory.forProtocol(Echo), backlog=1024, interface="127.0.0.1")
    number = port.getHost().port
"""


class ProcessTestCase(SynchronousTestCase):
    """Runs programs that use a reactor.

    @cvar module: that of C{install} and C{unavailable}.
    @cvar named: what C{twistd --reactor} calls it.
    @cvar kind: its class.
    """

    module: Any = reactor
    named = "io_uring"
    kind = "IOUringReactor"

    def setUp(self) -> None:
        reason = self.module.unavailable()
        if reason is not None:
            raise SkipTest(reason)
        self.directory = Path(self.mktemp())
        self.directory.mkdir(parents=True)

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT), "TESTED_REACTOR": self.module.__name__}

    def start(self, program: str, *args: str, **options: Any) -> subprocess.Popen[str]:
        """A program in Python, killed with the test."""
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program), *args],
            env=self.environment(),
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )
        self.addCleanup(self.end, process)
        return process

    def end(self, process: subprocess.Popen[str]) -> None:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def eventually(self, done: Callable[[], Any]) -> Any:
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            found = done()
            if found:
                return found
            time.sleep(0.02)
        return self.fail("it did not happen in time")

    def ask(self, port: int, question: bytes = b"who?") -> int:
        """The pid of the process that answers on a port."""
        with socket.create_connection(("127.0.0.1", port), DEADLINE) as peer:
            peer.sendall(question)
            got = b""
            while question not in got:
                data = peer.recv(100)
                if not data:
                    raise ConnectionError("closed without an answer")
                got += data
            return int(got.split()[0])

    def cpu(self, pid: int) -> float:
        """Seconds of CPU that a process has used."""
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def assertQuiet(self, pid: int) -> None:
        """The process sleeps when nobody asks it anything."""
        before = self.cpu(pid)
        time.sleep(0.5)
        self.assertLess(self.cpu(pid) - before, 0.2)


class ForkTests(ProcessTestCase):
    """A child with its parent's engine makes one of its own."""

    def test_daemonisedTwistdServes(self) -> None:
        """C{twistd --reactor=...} without -n answers, and sleeps in between."""
        (self.directory / "service.py").write_text(
            textwrap.dedent(f"""
            kind = "{self.kind}"
            """)
            + textwrap.dedent("""
            import os
            from twisted.application import internet, service
            from twisted.internet import reactor
            from twisted.internet.endpoints import TCP4ServerEndpoint
            from twisted.internet.protocol import Factory, Protocol

            assert type(reactor).__name__ == kind
            reactor.iterate(0)  # as bad as it gets: there is an engine before the fork

            class Echo(Protocol):
                def dataReceived(self, data):
                    self.transport.write(b"%d " % os.getpid() + data)

            class Listen(service.Service):
                def startService(self):
                    port = reactor.listenTCP(0, Factory.forProtocol(Echo), interface="127.0.0.1")
                    with open("port.new", "w") as file:
                        file.write(str(port.getHost().port))
                    os.rename("port.new", "port")

            application = service.Application("echo")
            Listen().setServiceParent(application)
        """)
        )
        subprocess.run(
            [sys.executable, "-m", "twisted", "--help"],
            env=self.environment(),
            cwd=self.directory,
            capture_output=True,
            check=True,
            timeout=DEADLINE,
        )
        twistd = Path(sys.executable).with_name("twistd")
        subprocess.run(
            [
                twistd,
                f"--reactor={self.named}",
                "--pidfile=pid",
                "--logfile=log",
                "-y",
                "service.py",
            ],
            env=self.environment(),
            cwd=self.directory,
            check=True,
            timeout=DEADLINE,
        )
        pid = int(self.eventually((self.directory / "pid").read_text))
        self.addCleanup(os.kill, pid, signal.SIGTERM)
        self.eventually((self.directory / "port").exists)
        port = int((self.directory / "port").read_text())
        for _ in range(3):
            self.assertEqual(self.ask(port), pid)
        self.assertQuiet(pid)
        self.assertIn(self.kind, (self.directory / "log").read_text())

    def test_connectionsSurviveAFork(self) -> None:
        """A child that goes on where its parent stopped takes the connections with it."""
        process = self.start(
            SERVER
            + """
    def daemonise():
        if os.fork():
            os._exit(0)

    class Daemonising(Echo):
        def dataReceived(self, data):
            if data == b"fork":
                daemonise()
            super().dataReceived(data)

    port.factory.protocol = Daemonising
    print(number, flush=True)
    reactor.run()
"""
        )
        number = int(process.stdout.readline())  # type: ignore[union-attr]
        with socket.create_connection(("127.0.0.1", number), DEADLINE) as other:
            other.sendall(b"before")
            before = int(other.recv(100).split()[0])
            child = self.ask(number, b"fork")
            self.assertNotEqual(child, before)
            # Until it is gone the parent accepts from the same socket.
            process.wait(DEADLINE)
            other.sendall(b"after")
            self.assertEqual(int(other.recv(100).split()[0]), child)
        self.assertEqual(self.ask(number), child)
        os.kill(child, signal.SIGKILL)

    def test_spawnProcess(self) -> None:
        """A child process has its pipes, and none of the reactor's descriptors."""
        process = self.start(
            SERVER
            + """
    from twisted.internet.utils import getProcessOutputAndValue

    def spawn():
        program = "import os; print(os.listdir('/proc/self/fd'))"
        d = getProcessOutputAndValue(sys.executable, ["-c", program])
        d.addCallback(lambda result: print(result, flush=True))
        d.addErrback(lambda failure: print(failure, flush=True))
        d.addBoth(lambda _: reactor.stop())

    reactor.callLater(0.1, spawn)
    reactor.run()
"""
        )
        output, _ = process.communicate(timeout=DEADLINE)
        self.assertEqual(process.returncode, 0, output)
        self.assertIn("['0', '1', '2', '3']", output)

    def test_anotherThread(self) -> None:
        """A reactor that was set up, or even ran, elsewhere runs in the thread that runs it."""
        process = self.start(
            SERVER
            + """
    import threading
    reactor.iterate(0)
    thread = threading.Thread(target=reactor.run, kwargs={"installSignalHandlers": False})
    thread.start()
    print(number, flush=True)
    sys.stdin.readline()
    reactor.callFromThread(reactor.stop)
    thread.join(5)
    print("stopped" if not thread.is_alive() else "stuck", flush=True)
""",
            stdin=subprocess.PIPE,
        )
        assert process.stdout is not None
        number = int(process.stdout.readline())
        self.assertEqual(self.ask(number), process.pid)
        output, _ = process.communicate("\n", timeout=DEADLINE)
        self.assertIn("stopped", output)


class ForkTestsOnEpoll(ForkTests):
    """The same, of an epoll descriptor."""

    module = compiled_epoll
    named = "compiled_epoll"
    kind = "CompiledEpollReactor"


class LimitTests(ProcessTestCase):
    """Descriptors run out."""

    def test_exhaustedDescriptors(self) -> None:
        """The port neither spins nor dies, and accepts again when there are some."""
        process = self.start(
            """
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
"""
            + SERVER
            + """
    print(number, flush=True)
    reactor.run()
"""
        )
        number = int(process.stdout.readline())  # type: ignore[union-attr]
        self.assertEqual(self.ask(number), process.pid)
        peers = [socket.create_connection(("127.0.0.1", number), DEADLINE) for _ in range(150)]
        time.sleep(0.3)
        self.assertQuiet(process.pid)
        peers[0].sendall(b"still there?")
        self.assertIn(b"still there?", peers[0].recv(100))
        for peer in peers:
            peer.close()

        def answered() -> bool:
            try:
                return self.ask(number) == process.pid
            except OSError:
                return False

        self.eventually(answered)


class LimitTestsOnEpoll(LimitTests):
    """The same on epoll."""

    module = compiled_epoll


class SeccompTests(ProcessTestCase):
    """Docker's default filter, and others, refuse io_uring."""

    FILTER = """
    import ctypes, struct

    def refuse(errno):
        libc = ctypes.CDLL(None, use_errno=True)
        def statement(code, k, t=0, f=0):
            return struct.pack("HBBI", code, t, f, k)
        program = b"".join([
            statement(0x20, 0),                     # the number of the system call
            statement(0x35, 425, 0, 2),             # from io_uring_setup ...
            statement(0x25, 427, 1, 0),             # ... to io_uring_register
            statement(0x06, 0x00050000 | errno),    # returns an error
            statement(0x06, 0x7FFF0000),            # anything else is allowed
        ])
        buffer = ctypes.create_string_buffer(program)
        filter = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
        assert libc.prctl(38, 1, 0, 0, 0) == 0
        assert libc.prctl(22, 2, ctypes.c_char_p(filter), 0, 0) == 0
"""

    def reason(self, code: str) -> str:
        process = self.start(
            self.FILTER
            + f"""
    refuse({code})
    from subproxy.reactor import unavailable
    print(unavailable())
"""
        )
        return process.communicate(timeout=DEADLINE)[0]

    def test_permission(self) -> None:
        self.assertIn("seccomp", self.reason("1"))

    def test_noSystemCall(self) -> None:
        self.assertIn("ENOSYS", self.reason("38"))

    def test_whatTheProxyTakesInstead(self) -> None:
        """The compiled reactor on epoll, and it says why."""
        process = self.start(
            self.FILTER
            + """
    refuse(1)
    from subproxy.process.reactor_choice import choose
    print(choose())
    from twisted.internet import reactor
    reactor.callLater(0, reactor.stop)
    reactor.run()
"""
        )
        output, _ = process.communicate(timeout=DEADLINE)
        self.assertEqual(process.returncode, 0, output)
        self.assertIn("CompiledEpollReactor, since io_uring cannot be used: it is not", output)

    def test_twistdSaysWhy(self) -> None:
        """Asked for by name, it is refused with the reason, and not replaced."""
        process = self.start(
            self.FILTER
            + """
    refuse(1)
    import sys
    from twisted.scripts.twistd import run
    sys.argv = ["twistd", "--reactor=io_uring", "-n", "web"]
    run()
"""
        )
        output, _ = process.communicate(timeout=DEADLINE)
        self.assertNotEqual(process.returncode, 0)
        self.assertIn("io_uring cannot be used", output)


class PluginTests(ProcessTestCase):
    """C{--reactor=io_uring} and C{--reactor=compiled_epoll}."""

    def test_listed(self) -> None:
        twistd = Path(sys.executable).with_name("twistd")
        listed = subprocess.run(
            [twistd, "--help-reactors"],
            env=self.environment(),
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=True,
        )
        self.assertIn("io_uring", listed.stdout)
        self.assertIn("compiled_epoll", listed.stdout)
