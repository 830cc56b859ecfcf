"""The first process of a guest: starts its service, reaps what dies, powers off at the end.

It mounts what programs expect, loads the kernel modules of the image in order, reads
the settings of C{arguments}, runs the guest service as its child, and forwards what
the machine is told: SIGTERM, the ACPI power button and Ctrl-Alt-Del (which is how
Firecracker asks) all become a SIGTERM to the service, which drains; after a grace it
is killed. When the service ends its status is printed and the machine goes off.

Standard library only, and nothing of the image but C{arguments} and C{supervisor}: it is up
before Twisted could be imported. Of the library it imports little, and what a healthy machine
does not need where it is needed: where a processor is emulated each module costs 5 to 50 ms.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
import time
from collections.abc import Mapping
from fcntl import ioctl

from guest.image.arguments import ArgumentError, Settings, merge, parse, routes
from guest.image.supervisor import ChildSupervisor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

PYTHON_PATH = "/app:/opt/python"
SETTINGS = "/etc/subproxy.args"
MODULES = "/etc/modules"
INTERFACES = ("asgi", "wsgi")
DEFAULT_PROXY = "vsock:2:12345"
DEFAULT_GRACE = 35.0
"""Seconds: the guest service has 30 for what is under way."""


BROKEN = 70
"""The status that is printed when the machine itself, not the application, has failed."""

MOUNTS = (
    ("proc", "/proc", "proc"),
    ("sysfs", "/sys", "sysfs"),
    ("devtmpfs", "/dev", "devtmpfs"),
    ("tmpfs", "/tmp", "tmpfs"),
    ("tmpfs", "/run", "tmpfs"),
)

SYS_FINIT_MODULE = 313
RB_DISABLE_CAD = 0
ENDS: Mapping[str, int] = {
    "poweroff": 0x4321FEDC,
    "reboot": 0x01234567,
    "halt": 0xCDEF0123 - (1 << 32),
}

AF_INET = 2
SOCK_DGRAM = 2
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 1


def say(text: str) -> None:
    """One line on the console, with the seconds since the kernel started."""
    print(f"subproxy-init: [{time.monotonic():.2f}] {text}", flush=True)


def command(settings: Mapping[str, list[str]], python: str) -> list[str]:
    """The command line of the service that C{settings} ask for.

    Raises C{ArgumentError} for settings that don't go together.
    """
    if settings.get("run"):
        return list(settings["run"])
    proxy = _only(settings, "proxy", DEFAULT_PROXY)
    service = _only(settings, "service", "guest")
    app = _only(settings, "app", "")
    words = [python, "-S", "-B"]
    if service == "minimal":
        words += ["/opt/python/guest/minimal.py"]
    elif service in ("guest", *INTERFACES):
        words += ["-m", "guest"]
        if service in INTERFACES:
            words += [f"--interface={service}"]
        if not app:
            raise ArgumentError("no application: the kernel argument subproxy.app is missing")
    else:
        raise ArgumentError(f"subproxy.service is guest, asgi, wsgi or minimal, not {service!r}")
    words += [f"--proxy={proxy}"]
    for host, path in routes(settings):
        words += [f"--host={host}", f"--path={path}"]
    words += settings.get("arg", [])
    return [*words, app] if app else words


def environment(settings: Mapping[str, list[str]]) -> dict[str, str]:
    """The environment of the service. Raises C{ArgumentError} for what is no NAME=VALUE."""
    result = {
        "HOME": "/root",
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": PYTHON_PATH,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "TERM": "dumb",
    }
    for word in settings.get("env", []):
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise ArgumentError(f"subproxy.env is NAME=VALUE, not {word!r}")
        result[name] = value
    return result


def number(settings: Mapping[str, list[str]], name: str, default: float) -> float:
    """A setting in seconds. Raises C{ArgumentError} for what is no number from 0 on."""
    text = _only(settings, name, str(default))
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 86400:
        raise ArgumentError(f"subproxy.{name} is a number of seconds, not {text!r}")
    return value


def mount_all(libc: ctypes.CDLL) -> None:
    """Mount what programs expect. Raises C{OSError}."""
    for source, target, kind in MOUNTS:
        os.makedirs(target, exist_ok=True)
        if libc.mount(source.encode(), target.encode(), kind.encode(), 0, None):
            raise OSError(ctypes.get_errno(), f"can't mount {target}")
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1")):
        try:
            os.symlink(target, f"/dev/{name}")
        except FileExistsError:
            pass


def load_modules(libc: ctypes.CDLL) -> None:
    """Load the image's modules in their order; one that has no hardware here is passed over."""
    for name in _lines(MODULES):
        descriptor = os.open(f"/lib/modules/{name}.ko", os.O_RDONLY | os.O_CLOEXEC)
        if libc.syscall(SYS_FINIT_MODULE, descriptor, b"", 0):
            say(f"module {name} not loaded: {os.strerror(ctypes.get_errno())}")
        os.close(descriptor)


def open_vsock() -> None:
    """Let whoever the application runs as dial: without udev the device is root's alone."""
    try:
        os.chmod("/dev/vsock", 0o666)
    except FileNotFoundError:
        pass  # who dials says so


def loopback_up(libc: ctypes.CDLL) -> None:
    """Switch lo on: 127.0.0.1 then works, and no other network is there. Raises C{OSError}."""
    sock = libc.socket(AF_INET, SOCK_DGRAM, 0)
    if sock < 0:
        raise OSError(ctypes.get_errno(), "no socket for the loopback interface")
    try:
        request = struct.pack("16sH14x", b"lo", 0)
        (flags,) = struct.unpack_from("H", ioctl(sock, SIOCGIFFLAGS, request), 16)
        ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))
    finally:
        os.close(sock)


def end_others() -> None:
    """Ask every process that is left to end, then make it."""
    for number, patience in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 1.0)):
        deadline = time.monotonic() + patience
        try:
            os.kill(-1, number)
            while time.monotonic() < deadline:
                if os.waitpid(-1, os.WNOHANG) == (0, 0):
                    time.sleep(0.02)
        except (ProcessLookupError, ChildProcessError):
            return


def settle() -> None:
    """End all others, and let what was written arrive; nothing keeps the machine on."""
    import termios

    try:
        end_others()
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            termios.tcdrain(1)
        except termios.error:
            pass  # the console is no terminal
        os.sync()
    except BaseException:
        pass


def settings_of_machine() -> Settings:
    """What the image was built with, and the kernel's command line over it."""
    with open("/proc/cmdline", encoding="utf-8", errors="surrogateescape") as file:
        return merge(parse(" ".join(_lines(SETTINGS))), parse(file.read()))


def main() -> NoReturn:
    """Be the init of this machine."""
    say("up")
    libc = ctypes.CDLL(None, use_errno=True)
    status, end = BROKEN, "poweroff"
    try:
        mount_all(libc)
        settings = settings_of_machine()
        end = _only(settings, "end", end)
        if end not in ENDS:
            wrong, end = end, "poweroff"
            raise ArgumentError(f"subproxy.end is one of {', '.join(ENDS)}, not {wrong!r}")
        libc.reboot(RB_DISABLE_CAD)
        load_modules(libc)
        open_vsock()
        loopback_up(libc)
        words, env = command(settings, sys.executable), environment(settings)
        supervisor = ChildSupervisor(number(settings, "grace", DEFAULT_GRACE), say)
        say(f"starting {' '.join(words)}")
        status = supervisor.run(words, env)
        say(f"the application ended with status {status}: {end}")
    except ArgumentError as error:
        say(f"{error}: {end}")
    except BaseException:
        import traceback

        traceback.print_exc()
        say(f"init failed: {end}")
    finally:
        settle()
        libc.reboot(ENDS[end])
        # Without a power switch (Firecracker has none) the kernel returns: halting is what is left.
        os._exit(status)


def _only(settings: Mapping[str, list[str]], name: str, default: str) -> str:
    return settings[name][-1] if settings.get(name) else default


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            return [line.strip() for line in file if line.strip()]
    except FileNotFoundError:
        return []
