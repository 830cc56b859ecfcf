"""C{python -m guest}: runs an application that subscribes to a proxy."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from guest.cli import options
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

_TOLD = {"asgi": "an ASGI application, on asyncio", "wsgi": "a WSGI application, in {} threads"}


def main(arguments: Sequence[str]) -> int:
    """Run a command line; return the exit status."""
    asked = options.parse(arguments)

    from guest.cli.interface import Interface, interface_of
    from guest.cli.loading import BadImport, load
    from guest.cli.worker import NoFreeWorker, WorkerSlot, take

    if asked.reload:
        from guest.cli.reloading import CHILD, reload_main

        if CHILD not in os.environ:
            return reload_main(arguments)
    try:
        application = load(asked.target, asked.interface)
    except BadImport as error:
        complain(str(error))
        return BAD_IMPORT
    interface = interface_of(application, asked.interface)
    try:
        slot = take(asked.name) if asked.worker is None else WorkerSlot(asked.worker, None)
    except (NoFreeWorker, OSError) as error:
        complain(str(error))
        return NO_WORKER
    try:
        if interface is Interface.TWISTED:
            from guest.cli import run_twisted

            return run_twisted.run(asked, application, slot.number)
        from guest.cli import run_asyncio

        complain(f"{asked.target} is {_TOLD[interface.value].format(asked.threads)}")
        return run_asyncio.run(asked, application, interface, slot.number)
    finally:
        slot.release()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
