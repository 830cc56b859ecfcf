"""A hand-over of a parent that fails when the next program was tried already."""

from __future__ import annotations

import resource
from typing import Any

from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.app import parent as module
from subproxy.app.parent import ParentService
from subproxy.app.parent_state import ParentState


class Paused:
    """What a parent lets wait for its next program: machines, hosts, the admin listener."""

    def __init__(self) -> None:
        self.waits = False

    def pause(self) -> Any:
        self.waits = True
        return succeed(None)

    async def stopListening(self) -> None:
        self.waits = True

    def go_on(self) -> None:
        self.waits = False

    listen_again = go_on


class NoWorkers:
    slots = ()
    settled = True

    def tell(self, workers: object, said: object) -> None:
        """Nobody is there."""


class FailedHandOverTests(SynchronousTestCase):
    def test_no_descriptor(self) -> None:
        """What the next program has to know can't be written: all goes on as before."""
        parent: Any = ParentService.__new__(ParentService)
        parent.running = 1
        parent._upgrading = False
        parent._reactor = Clock()
        parent.crew = NoWorkers()
        paused = parent._admin, parent.hosts, parent.machines = Paused(), Paused(), Paused()
        parent._describe = ParentState
        self.patch(module, "try_program", lambda *_: succeed(None))
        least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, most))
        try:
            parent.hand_over()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (least, most))
        self.assertFalse(parent._upgrading)
        self.assertEqual([each.waits for each in paused], [False] * 3)
