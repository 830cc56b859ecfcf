"""A program for the sidecar: the server of C{websockets}, which sends back what comes."""

from __future__ import annotations

import sys

from websockets.sync.server import ServerConnection, serve


def echo(connection: ServerConnection) -> None:
    """Until the client closes."""
    for message in connection:
        connection.send(message)


if __name__ == "__main__":
    with serve(echo, "127.0.0.1", int(sys.argv[1]), subprotocols=["chat"]) as server:  # type: ignore[list-item]
        server.serve_forever()
