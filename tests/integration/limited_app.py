"""An application that notices when it gets more requests at a time than it takes."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater

from guest import Request, Response, SubscriberProtocol


class Limited(SubscriberProtocol):
    """Answers 200, or 500 if there are more than C{MOST} at a time over all its connections."""

    active = 0

    async def requestReceived(self, request: Request) -> Response:
        Limited.active += 1
        try:
            many = Limited.active > int(os.environ["MOST"])
            clock: Any = reactor
            await deferLater(clock, 0.0005)
            many = many or Limited.active > int(os.environ["MOST"])
            return Response(500 if many else 200, [], b"%d" % Limited.active)
        finally:
            Limited.active -= 1
