"""Asks the admin listener of a running proxy."""

from __future__ import annotations

import json
import socket
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlencode

TIMEOUT = 10.0


class AdminError(Exception):
    """The proxy could not be asked, or said no; its text is for a person."""


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class AdminClient:
    """
    @ivar where: a path of a UNIX socket, or C{HOST:PORT}.
    """

    def __init__(self, where: str) -> None:
        self.where = where

    def ask(self, path: str, method: str = "GET", **query: str) -> Any:
        """
        What the proxy answers, decoded.

        @raise AdminError: there is no good answer.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        connection = self._connection()
        try:
            connection.request(method, target)
            response = connection.getresponse()
            body = response.read()
        except (OSError, HTTPException) as error:
            raise AdminError(f"no answer from the proxy at {self.where}: {error}") from None
        finally:
            connection.close()
        try:
            data = json.loads(body)
        except ValueError:
            raise AdminError(f"{self.where} is no admin listener of a proxy") from None
        if response.status >= 400:
            raise AdminError(str(data.get("error", response.reason)))
        return data

    def _connection(self) -> HTTPConnection:
        host, colon, port = self.where.rpartition(":")
        if "/" not in self.where and colon and port.isdigit():
            return HTTPConnection(host.strip("[]"), int(port), timeout=TIMEOUT)
        return _UnixConnection(self.where)
