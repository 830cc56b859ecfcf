"""An application that shows the target and the fields of each request."""

from __future__ import annotations

import json

from guest import Request, Response, SubscriberProtocol


class Shown(SubscriberProtocol):
    """A page of JSON."""

    def requestReceived(self, request: Request) -> Response:
        fields = [
            [name.decode("latin-1"), value.decode("latin-1")] for name, value in request.headers
        ]
        shown = {"target": request.target.decode("latin-1"), "fields": fields}
        headers = [(b"content-type", b"application/json"), (b"set-cookie", b"theirs=1; Path=/")]
        return Response(200, headers, json.dumps(shown).encode())
