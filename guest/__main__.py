"""C{python -m guest}: runs an application that subscribes to a proxy."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial

from guest.cli import options
from guest.cli.collector import begin_collecting, resting
from guest.core.statuses import (
    BAD_IMPORT,
    FAILED,
    NO_WORKER,
    REFUSED,
    REPLACED,
    USAGE,
    complain,
)

__all__ = ["BAD_IMPORT", "FAILED", "NO_WORKER", "REFUSED", "REPLACED", "USAGE", "main"]

_TOLD = {
    "asgi": "an ASGI application, on asyncio",
    "wsgi": "a WSGI application, in {threads} threads",
    "twisted": "a {kind}, on Twisted",
}


def main(arguments: Sequence[str]) -> int:
    """Run a command line; return the exit status."""
    with resting():
        return _main(arguments)


def _main(arguments: Sequence[str]) -> int:
    asked = options.parse(arguments)

    if asked.sidecar is not None:
        from guest.cli import run_sidecar

        return _with_number(asked, partial(run_sidecar.run, asked, asked.sidecar))

    from guest.cli.interface import Interface, interface_of
    from guest.cli.late_import import import_late
    from guest.cli.loading import BadImport, load

    import_late()

    if asked.reload:
        from guest.cli.reloading import CHILD, reload_main

        if CHILD not in os.environ:
            begin_collecting()
            return reload_main(arguments)
    try:
        application = load(asked.target, asked.interface)
    except BadImport as error:
        if error.trace:
            print(error.trace, end="", file=sys.stderr)
        complain(str(error))
        return BAD_IMPORT
    interface = interface_of(application, asked.interface)
    kind = "SubscriberProtocol" if isinstance(application, type) else "SubscriberFactory"
    told = _TOLD[interface.value].format(threads=asked.threads, kind=kind)
    complain(f"{asked.target} is {told}")
    if interface is Interface.TWISTED:
        from guest.cli import run_twisted

        return _with_number(asked, partial(run_twisted.run, asked, application))

    from guest.cli import run_asyncio

    return _with_number(asked, partial(run_asyncio.run, asked, application, interface))


def _with_number(asked: options.GuestOptions, run: Callable[[int], int]) -> int:
    """Run with the worker number that is ours, and return the exit status."""
    from guest.cli.worker import NoFreeWorker, WorkerSlot, take

    try:
        slot = take(asked.name) if asked.worker is None else WorkerSlot(asked.worker, None)
    except (NoFreeWorker, OSError) as error:
        complain(str(error))
        return NO_WORKER
    try:
        return run(slot.number)
    finally:
        slot.release()


def run() -> None:
    """C{subproxy-guest}: the same, where a module of the current folder can't take its name."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
