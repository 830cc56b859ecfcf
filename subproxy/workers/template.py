"""
The process that workers are forked from: its imports are done, and it has no reactor and no ring.

It is forked from the parent before that has a reactor. It knows nothing but its control socket:
it forks when it is told to, gives the new process its end of a channel, tells how processes end,
and ends itself when the parent is gone and its last worker has ended.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from subproxy.process.signals import OF_OPERATORS, let_signals_come
from subproxy.process.startup import leave_foreground
from subproxy.workers.channel import channel_pair, receive_now, send_now
from subproxy.workers.messages import (
    Ended,
    Failed,
    Fork,
    Forked,
    HasRead,
    MessageBroken,
    ReadAgain,
    Refresh,
)


@dataclass(frozen=True, slots=True)
class TemplateProcess:
    """The parent's view: the control socket, and which process it is."""

    control: socket.socket
    pid: int


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """A worker's view: its end of the channel to the parent."""

    end: socket.socket


def fork_template(
    refresh: Callable[[], object],
    read_again: Callable[[], int],
    prepare: Callable[[], object] = lambda: None,
) -> TemplateProcess | WorkerProcess:
    """
    Fork a template. This returns once in the parent, and once in each worker.

    To be called before there is a reactor.

    @param refresh: called in the template when what is in force has changed.
    @param read_again: likewise, when certificates were renewed; it returns how many.
    @param prepare: called in the template first: what workers need, they find there.
    """
    ours, theirs = channel_pair()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        theirs.close()
        return TemplateProcess(ours, pid)
    ours.close()
    try:
        leave_foreground()
        prepare()
        end = _serve(theirs, refresh, read_again)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    if end is None:
        os._exit(0)
    return WorkerProcess(end)


def _serve(
    control: socket.socket, refresh: Callable[[], object], read_again: Callable[[], int]
) -> socket.socket | None:
    """Fork when told to; in a worker, its end of the channel; None when there is no more to do."""
    # Somebody may send them to all processes of the proxy: it is the parent that acts on them.
    for each in OF_OPERATORS:
        signal.signal(each, signal.SIG_IGN)
    let_signals_come()
    waking, wake = os.pipe()
    os.set_blocking(waking, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    gc.collect()
    gc.freeze()
    children: set[int] = set()
    listening = True
    while listening or children:
        watched: list[Any] = [waking, control] if listening else [waking]
        ready, _, _ = select.select(watched, [], [])
        if waking in ready:
            os.read(waking, 4096)
            listening = _reap(control, children) and listening
        if control in ready:
            try:
                asked = receive_now(control)
            except (OSError, MessageBroken):
                asked = None
            if isinstance(asked, Refresh):
                refresh()
                continue
            if isinstance(asked, ReadAgain):
                count = read_again()
                if count:
                    listening = _tell(control, HasRead(count))
                continue
            if not isinstance(asked, Fork):
                listening = False
                continue
            (descriptor,) = asked.descriptors
            try:
                pid = os.fork()
            except OSError as error:
                # No memory, or too many processes, now: the parent asks again after a while.
                with socket.socket(fileno=descriptor) as end:
                    _tell(end, Failed(f"it can't be forked: {error.strerror}"))
                continue
            if not pid:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.close(waking)
                os.close(wake)
                control.close()
                return socket.socket(fileno=descriptor)
            os.close(descriptor)
            children.add(pid)
            listening = _tell(control, Forked(asked.serial, pid))
    return None


def _reap(control: socket.socket, children: set[int]) -> bool:
    """Tell which children have ended; whether anybody hears that."""
    heard = True
    for pid in list(children):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            children.discard(pid)
            heard = _tell(control, Ended(pid, status))
    return heard


def _tell(to: socket.socket, what: Forked | Ended | Failed | HasRead) -> bool:
    try:
        send_now(to, what)
    except OSError:
        return False
    return True
