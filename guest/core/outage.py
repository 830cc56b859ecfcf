"""
What a person is told while there is no subscription: whom we dial, what the system says, what to
look at. Once, then at growing intervals: dials are many. Imports no framework, reads no clock.
"""

from __future__ import annotations

import errno
import os

FIRST_REMINDER = 10.0
"""Seconds from the first line to the second, if nothing has changed."""

LONGEST_REMINDER = 600.0
"""Seconds between lines at most; each interval is three times the one before."""

CLOSED = "the connection was closed"


def system_says(error: BaseException) -> str:
    """
    One line of what went wrong: the system's words for it, where it has some.

    Twisted's C{ConnectError} has the number in C{osError}; or it holds a C{Failure}, whose text
    has several lines.
    """
    number = error_number(error)
    if number:
        return os.strerror(number)
    inner = getattr(error.args[0], "value", None) if error.args else None
    if isinstance(inner, BaseException):
        return system_says(inner)
    if type(error).__name__ in ("ConnectionDone", "ConnectionLost"):
        return CLOSED
    return " ".join(str(error).split()).removesuffix(".") or type(error).__name__


def error_number(error: BaseException) -> int:
    """The C{errno} of an error; 0 if it has none."""
    for number in (getattr(error, "osError", None), getattr(error, "errno", None)):
        if isinstance(number, int):
            return number
    return 0


def advice(where: str, error: BaseException) -> str:
    """
    What to look at when C{where}, an endpoint's description, cannot be reached.

    @return: one line; empty if nothing is known.
    """
    kind, _, rest = where.partition(":")
    number = error_number(error)
    if kind == "unix":
        return _advice_unix(rest.partition(":")[0], number)
    if kind == "vsock":
        return _advice_vsock(rest.rpartition(":")[2], number)
    if number == errno.ECONNREFUSED:
        return "nobody listens there: is the proxy running?"
    return ""


def _advice_unix(path: str, number: int) -> str:
    machine, _, port = path.rpartition("_")
    if number in (errno.ENOENT, errno.ECONNREFUSED) and not (machine and port.isdecimal()):
        # Refused is who dials the VM's own socket.
        return (
            "the proxy's sockets are called PATH_12345 for --vsock=PATH: is that the path, and is "
            "the proxy running?"
        )
    if number == errno.ENOENT:
        return f"is the proxy running, with --vsock={machine} and --vsock-port={port}?"
    if number == errno.ECONNREFUSED:
        return "nobody listens there any more: is the proxy running?"
    if number in (errno.EACCES, errno.EPERM):
        return (
            "this user may not: see the mode of the socket and its folder, and the proxy's "
            "--vsock-mode, --vsock-owner and --vsock-group"
        )
    return ""


def _advice_vsock(port: str, number: int) -> str:
    if number in (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
        return "this kernel has no vsock: load vmw_vsock_virtio_transport"
    if number in (errno.ENODEV, errno.ENETUNREACH, errno.EADDRNOTAVAIL):
        return (
            "there is no vsock device: does the VMM give this machine one, and is "
            "vmw_vsock_virtio_transport loaded?"
        )
    if number in (errno.EACCES, errno.EPERM):
        return "this process may not use vsock: see its sandbox, and the mode of /dev/vsock"
    return (
        f"nobody listens on port {port} for this VM: is the proxy running, with --vsock= for it "
        "(the very path that the VMM has, or the native port), and may the VMM write to its "
        "socket (--vsock-mode, --vsock-owner)?"
    )


class Outage:
    """
    The dials since there was a subscription, and what was told of them.

    @ivar dials: how many have failed.
    """

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._forget()

    def _forget(self) -> None:
        self.dials = 0
        self._began = 0.0
        self._told.clear()
        self._next = 0.0
        self._interval = FIRST_REMINDER

    def failed(self, now: float, reason: str) -> str | None:
        """
        A dial has failed.

        @return: what is to be told of it now; None: nothing.
        """
        if not self.dials:
            self._began, self._next = now, now
        self.dials += 1
        if reason not in self._told:
            self._told.add(reason)
            self._next = max(self._next, now + self._interval)
            return f"{reason}; dialling again until it is there"
        if now < self._next:
            return None
        self._interval = min(3 * self._interval, LONGEST_REMINDER)
        self._next = now + self._interval
        short = reason.partition("; ")[0]  # what to look at was told
        return f"still {short}; {self.dials} dials in {now - self._began:.0f} s"

    def over(self, now: float) -> str | None:
        """
        There is a subscription.

        @return: what is to be told; None if there was no outage.
        """
        dials, began = self.dials, self._began
        self._forget()
        if not dials:
            return None
        return f"subscribed, after {dials} dials in {now - began:.0f} s"
