"""An application that fails while a file is there, and answers its pings all the same."""

from __future__ import annotations

import os

from guest import Request, Response, SubscriberProtocol

NAME = os.environ.get("FAILING_NAME", "")


class Failing(SubscriberProtocol):
    """Says who it is, with a status that says how it does."""

    def requestReceived(self, request: Request) -> Response:
        broken = os.path.exists(os.environ["FAILING_FILE"])
        return Response(500 if broken else 200, [], NAME.encode() + b"\n")
