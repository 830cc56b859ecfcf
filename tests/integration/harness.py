"""
Real processes for integration tests: the proxy under twistd, guests, and waiting with deadlines.

Everything lives in a fresh folder, listens on ephemeral ports, and ends by pid.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
TWISTD = [str(Path(sys.executable).parent / "twistd")]
DEADLINE = 30.0

LISTENERS = {
    "--http=": "HTTP on",
    "--https=": "HTTPS on",
    "--admin=": "admin on",
    "--peer-listen=": "other hosts on",
}
"""What a proxy says of each listener when that is there. One that can't be had ends it."""


_ports: deque[socket.socket] = deque(maxlen=256)
"""Sockets that keep the ports which were given last."""


def free_port() -> int:
    """
    A TCP port that nobody listens on, and that nobody else is given: by this function, or by the
    kernel. It stays bound here: who is told to may listen there beside that, as servers do
    (C{SO_REUSEADDR}).
    """
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", 0))
    _ports.append(keeper)
    return int(keeper.getsockname()[1])


def wait_until(
    condition: Callable[[], Any], what: str, deadline: float = DEADLINE, every: float = 0.02
) -> Any:
    """Wait until C{condition} is true, which is looked at C{every} so many seconds; its value."""
    end = time.monotonic() + deadline
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline} s: {what}")
        time.sleep(every)
    return value


class Process:
    """A child with its output in a file."""

    def __init__(self, name: str, folder: Path, command: list[str], **environment: str) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        number = 1
        while self.log.exists():
            number += 1
            self.log = folder / f"{name}-{number}.log"
        self.command = command
        variables = dict(os.environ, PYTHONUNBUFFERED="1", **environment)
        path = [str(ROOT), str(ROOT / "examples"), str(folder), variables.get("PYTHONPATH", "")]
        variables["PYTHONPATH"] = ":".join(filter(None, path))
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=variables, cwd=folder
            )

    @property
    def output(self) -> str:
        """All that it has printed."""
        return self.log.read_text(errors="replace")

    @property
    def whole_lines(self) -> str:
        """What it has printed up to its last newline: a line may come in two writes."""
        ended = self.child.poll() is not None
        output = self.output
        return output if ended else output[: output.rfind("\n") + 1]

    def wait_for(self, text: str, count: int = 1, deadline: float = DEADLINE) -> None:
        """Wait until it has printed C{text} so many times, each with the end of its line."""

        def printed() -> bool:
            if self.whole_lines.count(text) >= count:
                return True
            if self.child.poll() is not None:
                raise AssertionError(
                    f"{self.name} ended ({self.child.returncode}) before {text!r}:\n{self.output}"
                )
            return False

        try:
            wait_until(printed, f"{self.name} says {text!r}", deadline)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output}") from None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.child.send_signal(number)

    def wait(self, deadline: float = DEADLINE) -> int:
        """Wait for its end; the exit status."""
        return self.child.wait(deadline)

    def ask_to_end(self) -> None:
        """Tell it to end, even if it is stopped."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGCONT)
            self.child.terminate()

    def end(self) -> None:
        """End it, kindly first."""
        self.ask_to_end()
        self.wait_or_kill()

    def wait_or_kill(self) -> None:
        """Wait for its end, which it knows of, and no longer than can be."""
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


class World:
    """A folder, a proxy in it, and guests."""

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="subproxy-test-")
        self.folder = Path(self._temporary.name)
        self.port = free_port()
        self.vsock = self.folder / "cid10.sock"
        self.processes: list[Process] = []
        self.proxy: Process | None = None

    def start_proxy(
        self,
        *options: str,
        vsock: str | None = None,
        twistd: tuple[str, ...] = (),
        prefix: tuple[str, ...] = (),
        deadline: float = DEADLINE,
    ) -> Process:
        """Start the real proxy, and wait until it listens."""
        command = [
            *prefix,
            *TWISTD,
            "-n",
            "--pidfile=",
            *twistd,
            "subproxy",
            f"--http=tcp:{self.port}:interface=127.0.0.1",
            f"--vsock={vsock or self.vsock}",
            *options,
        ]
        self.proxy = self.start("proxy", command)
        for option, said in LISTENERS.items():
            if any(word.startswith(option) for word in command):
                self.proxy.wait_for(said, deadline=deadline)
        return self.proxy

    def start(self, name: str, command: list[str], **environment: str) -> Process:
        """Start any process in the folder."""
        process = Process(name, self.folder, command, **environment)
        self.processes.append(process)
        return process

    def start_guest(
        self,
        application: str,
        *options: str,
        name: str = "guest",
        vsock: Path | None = None,
        wait: bool = True,
    ) -> Process:
        """Start a guest that dials the emulated socket, and wait until it is registered."""
        guest = self.start(
            name,
            [sys.executable, "-m", "guest", f"--proxy=unix:{vsock or self.vsock}_12345"]
            + [*options, application],
        )
        if wait:
            guest.wait_for("registered")
        return guest

    def ask(
        self,
        path: str = "/",
        host: str = "blog.example",
        method: str = "GET",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 20.0,
    ) -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own: status, headers in lower case, body."""
        client = HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            client.request(method, path, body, {"Host": host, **(headers or {})})
            response = client.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            return response.status, fields, response.read()
        finally:
            client.close()

    def close(self) -> None:
        """End everything: all are told to, and only then the first is waited for."""
        for process in reversed(self.processes):
            process.ask_to_end()
        for process in reversed(self.processes):
            process.wait_or_kill()
        self._temporary.cleanup()
