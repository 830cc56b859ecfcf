"""Runs inside the machine of test_vm_native: the proxy, its subscribers and their client.

Everything is in one guest, joined by vsock_loopback (CID 1), so that the proxy's native
C{AF_VSOCK} is real without any of the host's. Standard library only. Each check prints
C{ok REACTOR NAME} or C{FAILED REACTOR NAME: why}; the exit status is the number of failures.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable

from vm_app import BLOCK, MEBIBYTE, digest, pattern

PYTHON = [sys.executable, "-S", "-B"]
TWISTD = [*PYTHON, "-c", "from twisted.scripts.twistd import run; run()"]
LARGE = 8 * MEBIBYTE
DEADLINE = 90.0


class Child:
    """A process, and what it has printed."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self.text = ""
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            text = line.decode(errors="replace")
            self.text += text
            print(f"  {self.name}: {text}", end="", flush=True)

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        return self._process.wait(DEADLINE)

    def wait_for(self, wanted: str, since: int = 0) -> None:
        until(
            lambda: re.search(wanted, self.text[since:]) or self._process.poll() is not None,
            f"{self.name} says {wanted!r}",
        )
        assert re.search(wanted, self.text[since:]), f"{self.name} ended before {wanted!r}"

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(10)


def until(condition: Callable[[], object], what: str, seconds: float = DEADLINE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)


class Proxy:
    """One proxy on one reactor, with the subscribers C{one} and C{two}."""

    def __init__(self, reactor: str, vsock: int, port: int) -> None:
        self.reactor = reactor
        self.vsock = vsock
        self.port = port
        self.guests: dict[str, Child] = {}
        command = [*TWISTD, "-n", "--pidfile=", f"--reactor={reactor}", "subproxy"]
        command += [f"--http=tcp:{port}:interface=127.0.0.1", "--ping-interval=1"]
        command += [f"--vsock=vsock:{vsock}:local=yes", f"--vsock=vsock:{vsock + 100}"]
        command += ["--ping-timeout=2", "--guest-timeout=6", "--access-log=none"]
        self.child = Child(f"proxy-{reactor}", command)

    def ready(self) -> None:
        self.child.wait_for(rf"guests on vsock:{self.vsock + 100}")

    def subscribe(self, name: str) -> None:
        command = [*PYTHON, "-m", "guest", f"--proxy=vsock:1:{self.vsock}", f"--name={name}"]
        command += [rf"--host={name}\.test", r"--host=pool\.test", "vm_app:App"]
        self.guests[name] = Child(f"{name}-{self.reactor}", command)

    def subscribed(self, name: str) -> None:
        self.guests[name].wait_for(r"registered host=pool")

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)

    def request(
        self, host: str, path: str, method: str = "GET", body: object = None
    ) -> tuple[int, bytes]:
        connection = self.connect()
        try:
            connection.request(method, path, body, {"Host": f"{host}.test"})  # type: ignore[arg-type]
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def the_reactor_is_the_one_asked_for(proxy: Proxy) -> None:
    wanted = {"epoll": "EPollReactor", "io_uring": "IOUringReactor"}[proxy.reactor]
    assert f"{wanted}." in proxy.child.text, proxy.child.text[:2000]


def the_identity_is_the_peer_cid(proxy: Proxy) -> None:
    assert "cid:1 subscribed" in proxy.child.text


def small_bodies_both_ways(proxy: Proxy) -> None:
    body = bytes(range(256)) * 5
    for name in proxy.guests:
        assert proxy.request(name, "/echo", "POST", body) == (200, body)
    assert proxy.request("three", "/boot")[0] == 404


def a_large_body_to_the_client(proxy: Proxy) -> None:
    connection = proxy.connect()
    connection.request("GET", f"/send/{LARGE}", headers={"Host": "one.test"})
    response = connection.getresponse()
    assert digest(iter(lambda: response.read(BLOCK), b"")) == digest(pattern(LARGE))
    connection.close()


def a_large_body_to_the_guest(proxy: Proxy) -> None:
    connection = proxy.connect()
    headers = {"Host": "one.test", "Content-Length": str(LARGE)}
    connection.request("POST", "/take", pattern(LARGE), headers)
    answer = connection.getresponse().read().decode()
    assert answer == f"{LARGE} {digest(pattern(LARGE))}", answer
    connection.close()


def a_local_cid_is_refused_unless_asked_for(proxy: Proxy) -> None:
    import socket

    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as sock:  # type: ignore[attr-defined]
        sock.settimeout(10)
        sock.connect((1, proxy.vsock + 100))
        assert sock.recv(100) == b""


def a_frozen_subscriber_is_ejected(proxy: Proxy) -> None:
    mark = len(proxy.child.text)
    proxy.guests["one"].signal(signal.SIGSTOP)
    proxy.child.wait_for("ejected", mark)
    for _ in range(10):
        assert proxy.request("pool", "/boot")[0] == 200
    proxy.guests["one"].signal(signal.SIGCONT)
    until(lambda: proxy.request("one", "/boot")[0] == 200, "the thawed subscriber is back")


def a_subscriber_killed_in_mid_response(proxy: Proxy) -> None:
    connection = proxy.connect()
    connection.request("GET", "/endless", headers={"Host": "two.test"})
    response = connection.getresponse()
    assert len(response.read(10_000)) == 10_000
    proxy.guests["two"].end()
    try:
        while response.read(65536):
            pass
    except (http.client.IncompleteRead, ConnectionError):
        pass
    else:
        raise AssertionError("the response ended as if it were whole")
    until(lambda: proxy.request("two", "/boot")[0] in (404, 503), "its route is gone", 2)
    assert proxy.request("pool", "/boot")[0] == 200


def a_subscriber_drains_on_sigterm(proxy: Proxy) -> None:
    proxy.guests["one"].signal(signal.SIGTERM)
    assert proxy.guests["one"].wait() == 0


def the_proxy_ends_cleanly(proxy: Proxy) -> None:
    proxy.child.signal(signal.SIGTERM)
    # twistd ends by the signal that it was told to stop with, when all else is done.
    assert proxy.child.wait() == 0
    assert "Server Shut Down" in proxy.child.text
    assert "Traceback" not in proxy.child.text


CHECKS = (
    the_reactor_is_the_one_asked_for,
    the_identity_is_the_peer_cid,
    small_bodies_both_ways,
    a_large_body_to_the_client,
    a_large_body_to_the_guest,
    a_local_cid_is_refused_unless_asked_for,
    a_frozen_subscriber_is_ejected,
    a_subscriber_killed_in_mid_response,
    a_subscriber_drains_on_sigterm,
    the_proxy_ends_cleanly,
)


def checked(word: str, check: Callable[[], None]) -> int:
    """Run one check and say how it went; the number of failures."""
    began = time.monotonic()
    try:
        check()
    except Exception as error:
        print(f"FAILED {word}: {error!r}", flush=True)
        traceback.print_exc(file=sys.stdout)
        return 1
    print(f"ok {word} ({time.monotonic() - began:.1f} s)", flush=True)
    return 0


def run_checks(proxy: Proxy) -> int:
    """All checks of one proxy; the number of failures."""
    failures = 0
    try:
        proxy.ready()
        for name in ("one", "two"):
            proxy.subscribed(name)
    except Exception as error:
        print(f"FAILED {proxy.reactor} start: {error!r}", flush=True)
        return 1
    for check in CHECKS:
        failures += checked(f"{proxy.reactor} {check.__name__}", lambda c=check: c(proxy))
    return failures


def orphans_are_reaped() -> None:
    """What nobody waits for is init's, which leaves no zombies."""
    script = "import os, time; os.fork() or (os.setsid(), time.sleep(0.2)); print(os.getpid())"
    done = subprocess.run([*PYTHON, "-c", script], capture_output=True, check=True, timeout=20)
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == 2, pids
    until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), "orphans are gone", 5)


def native(reactor: str) -> None:
    """The endpoints alone (guest_native_checks)."""
    command = [*PYTHON, "/app/guest_native_checks.py", "--reactor", reactor]
    assert subprocess.run(command, check=False, timeout=120).returncode == 0


def main(reactors: list[str]) -> int:
    proxies = [Proxy(name, 12345 + i, 8888 + i) for i, name in enumerate(reactors)]
    for proxy in proxies:
        for name in ("one", "two"):
            proxy.subscribe(name)
    failures = sum(map(run_checks, proxies))
    for proxy in proxies:
        for child in (proxy.child, *proxy.guests.values()):
            child.end()
    failures += checked("init orphans_are_reaped", orphans_are_reaped)
    for reactor in reactors:
        failures += checked(f"{reactor} endpoints", lambda r=reactor: native(r))
    print(f"vm_native: {failures} failed after {time.monotonic():.0f} s", flush=True)
    return failures


if __name__ == "__main__":
    os.chdir("/tmp")
    sys.exit(main(sys.argv[1:]))
