"""
Whoever starts the proxy learns whether it came up: one line on standard error and status 1 if not.

C{twistd} does not see to that. It sends standard error to the log before anything listens, and
when it has made a daemon of itself, the process that waits for the daemon holds the writing end
of its pipe too: it waits for ever for one that ended without a word. So the proxy detaches
itself, before the reactor is there, and keeps the terminal until it serves.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable, MutableMapping
from typing import Any, NoReturn, TextIO

from twisted.logger import LoggingFile

UMASK = 0o077
"""What twistd sets in a daemon if nothing else was asked for."""

UP = b"0"
DOWN = b"1"


def terminal() -> TextIO | None:
    """Standard error, also where it has been made a part of the log; None if it is closed."""
    return sys.__stderr__ if isinstance(sys.stderr, LoggingFile) else sys.stderr


def say(reason: str) -> None:
    """One line on standard error, for whoever starts the program; or to who has asked for it."""
    to = terminal()
    if foreground.reporter is not None:
        foreground.reporter(reason)
    elif to is not None:
        print(f"subproxy: {reason}", file=to, flush=True)


def fail(reason: str) -> NoReturn:
    """
    End the program with one line and status 1.

    @raise SystemExit: always.
    """
    say(reason)
    foreground.tell(DOWN)
    raise SystemExit(1)


def fail_running(reactor: Any, reason: str) -> None:
    """As L{fail}, where the reactor runs already: it is stopped, and twistd's status is 1."""
    say(reason)
    foreground.tell(DOWN)
    # twistd ends with 0 whatever a service thinks of that.
    atexit.register(_end)
    reactor.stop()


def _end() -> None:
    sys.stdout.flush()
    os._exit(1)


class Foreground:
    """
    The process that somebody has started, and that waits for our word.

    @ivar pipe: the descriptor to tell it; -1: there is none, or it was told.
    @ivar reporter: hears why the program cannot go on, in the place of the terminal.
    """

    def __init__(self) -> None:
        self.pipe = -1
        self.reporter: Callable[[str], object] | None = None

    def tell(self, word: bytes) -> None:
        """Say L{UP}; or L{DOWN}, and then it waits for our end."""
        if self.pipe < 0:
            return
        pipe, self.pipe = self.pipe, -1
        try:
            os.write(pipe, word)
        except OSError:
            pass  # it was ended meanwhile
        if word == UP:
            os.close(pipe)


foreground = Foreground()
"""That of this process."""


def detach(config: MutableMapping[str, Any] | None) -> None:
    """
    Go on in the background, if C{config}, the options of twistd itself, does not say otherwise.

    The process that was started ends when L{started} is called, with status 0, or when the
    daemon ends before, with status 1. What the daemon says meanwhile on standard error is
    seen. It is to be called before the reactor has begun: a ring of io_uring is of one process.
    """
    if config is None or config.get("nodaemon", True):
        return
    sys.stdout.flush()
    sys.stderr.flush()
    waiting, telling = os.pipe()
    if os.fork():
        os.close(telling)
        os._exit(_wait(waiting))
    os.close(waiting)
    os.setsid()
    if os.fork():
        os._exit(0)
    foreground.pipe = telling
    _to_null(0, 1)
    config["nodaemon"] = True  # twistd has nothing left to do
    config["umask"] = UMASK if config["umask"] is None else config["umask"]


def started(config: MutableMapping[str, Any] | None) -> None:
    """The proxy serves: let go of the terminal, if that is what was asked for."""
    if foreground.pipe < 0 or config is None:
        return
    _to_null(2)
    config["nodaemon"] = False  # twistd asks again when the reactor has crashed
    foreground.tell(UP)


def _wait(waiting: int) -> int:
    """Wait for the word of the daemon; the exit status."""
    word = os.read(waiting, 1)
    if not word:
        say("it ended while it started; the log (twistd's --logfile, twistd.log) may say why")
    elif word == DOWN:
        os.read(waiting, 1)  # nothing comes: but it is gone then, with all that it had made
    return 0 if word == UP else 1


def _to_null(*descriptors: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(null, descriptor)
    if null > 2:
        os.close(null)


def leave_foreground() -> None:
    """
    Be no part of the start: another process tells how that went, and has the terminal.

    For a process that is forked while the program starts, and stays. Where the program goes to the
    background, so does this one at once.
    """
    pipe, foreground.pipe = foreground.pipe, -1
    if pipe >= 0:
        os.close(pipe)
        _to_null(0, 1, 2)
