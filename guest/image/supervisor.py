"""One child of init, run to its end: signals and the power button ask it to, orphans are reaped.

Standard library only: part of what a guest boots with.
"""

from __future__ import annotations

import os
import select
import signal
import struct
import time
from collections.abc import Callable, Mapping, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_INPUT_EVENT = struct.Struct("qqHHi")
EV_KEY = 1
KEY_POWER = 116

SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGPWR)


class ChildSupervisor:
    """Runs one child to its end, reaps every other process that is left to init."""

    def __init__(self, grace: float, say: Callable[[str], None]) -> None:
        """Take over the signals of this process; C{grace} is in seconds, C{say} the console."""
        self._grace = grace
        self._say = say
        self._status: int | None = None
        self._kill_at: float | None = None
        self._child = 0
        self._wake, wakeup = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(wakeup, False)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)
        self._poll = select.poll()
        self._poll.register(self._wake, select.POLLIN)
        self._buttons = power_buttons()
        for button in self._buttons:
            self._poll.register(button, select.POLLIN)

    def run(self, words: Sequence[str], env: Mapping[str, str]) -> int:
        """The status with which the child ended, as a shell gives it (128 + a signal's number)."""
        self._child = os.fork()
        if not self._child:
            become(words, env, self._say)
        while self._status is None:
            for descriptor, _ in self._poll.poll(self._patience()):
                self._attend(descriptor)
            self._reap()
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                self._say(f"not ended within {self._grace:g} s: killed")
                os.kill(self._child, signal.SIGKILL)
                self._kill_at = None
        return self._status

    def _patience(self) -> float | None:
        if self._kill_at is None:
            return None
        return max(0.0, self._kill_at - time.monotonic()) * 1000 + 1

    def _attend(self, descriptor: int) -> None:
        try:
            data = os.read(descriptor, 4096)
        except BlockingIOError:
            return
        except OSError:  # the device was taken away
            self._poll.unregister(descriptor)
            return
        if descriptor == self._wake:
            told = {signal.Signals(n).name for n in data if n != signal.SIGCHLD}
        else:
            told = {"the power button"} if pressed(data) else set()
        if told and self._kill_at is None:
            self._say(f"{', '.join(sorted(told))}: asking the application to end")
            os.kill(self._child, signal.SIGTERM)
            self._kill_at = time.monotonic() + self._grace

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self._child:
                code = os.waitstatus_to_exitcode(status)
                self._status = code if code >= 0 else 128 - code


def become(words: Sequence[str], env: Mapping[str, str], say: Callable[[str], None]) -> NoReturn:
    """In the child: turn into C{words}, in a session of its own, with signals as they were."""
    try:
        signal.set_wakeup_fd(-1)
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        os.chdir("/app" if os.path.isdir("/app") else "/")
        os.execvpe(words[0], list(words), dict(env))
    except OSError as error:
        say(f"can't run {words[0]}: {error}")
    finally:
        os._exit(127)


def pressed(data: bytes) -> bool:
    """Whether these input events say that the power button went down."""
    whole = len(data) // _INPUT_EVENT.size * _INPUT_EVENT.size
    return any(
        kind == EV_KEY and code == KEY_POWER and value == 1
        for _, _, kind, code, value in _INPUT_EVENT.iter_unpack(data[:whole])
    )


def power_buttons() -> list[int]:
    """The input devices that are there; a guest's are buttons, or a keyboard that has one."""
    try:
        names = sorted(os.listdir("/dev/input"))
    except FileNotFoundError:
        return []
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    buttons = []
    for name in names:
        try:
            if name.startswith("event"):
                buttons.append(os.open(f"/dev/input/{name}", flags))
        except OSError:
            pass
    return buttons
