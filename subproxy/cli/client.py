"""Asks the admin listener of a running proxy."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlencode

from subproxy.admin.token import TokenError, read_token

TIMEOUT = 10.0


class AdminError(Exception):
    """
    The proxy could not be asked, or said no; its text is for a person.

    @ivar lines: the reasons, each for a line of its own; each may hold anything, newlines too.
    """

    def __init__(self, *lines: str) -> None:
        self.lines = lines
        super().__init__("\n".join(lines))


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
    @param token_files: where the token may be that is asked for over TCP; the first that is there
        is used.
    """

    def __init__(self, where: str, token_files: Sequence[str] = ()) -> None:
        self.where = where
        self._token_files = token_files

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **query: str) -> Any:
        """
        Ask the admin listener; return the decoded JSON of its answer.

        @param body: what it is told beside that.
        @raise AdminError: there is no good answer.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        connection = self._connection()
        fields = {} if isinstance(connection, _UnixConnection) else self._credentials()
        try:
            connection.request(method, target, body, fields)
            response = connection.getresponse()
            body = response.read()
        except (OSError, HTTPException, UnicodeError, OverflowError) as error:
            # A name that is none, and a port beyond 65535, are found out at the socket.
            raise AdminError(self._unanswered(error)) from None
        finally:
            connection.close()
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            raise AdminError(f"{self.where} is no admin listener of a proxy")
        if response.status == 401:
            files = " or ".join(self._token_files)
            raise AdminError(f"{data.get('error')} (looked for in {files}; see --admin-token)")
        if response.status >= 400:
            problems = data.get("problems") or [data.get("error", response.reason)]
            raise AdminError(*map(str, problems))
        return data

    @property
    def not_understood(self) -> str:
        """What a person is told of an answer that does not say what is to be shown."""
        return f"{self.where} answers something else: is it a proxy, and of this version?"

    def _unanswered(self, error: Exception) -> str:
        reason = getattr(error, "strerror", None) or error
        text = f"no answer from the proxy at {self.where}: {reason}"
        if isinstance(error, (FileNotFoundError, ConnectionRefusedError)):
            text += "; is the proxy running, with --admin there?"
        return text

    def _credentials(self) -> dict[str, str]:
        for path in self._token_files:
            try:
                return {"Authorization": f"Bearer {read_token(path).decode()}"}
            except FileNotFoundError:
                pass
            except TokenError as error:
                raise AdminError(str(error)) from None
        return {}

    def _connection(self) -> HTTPConnection:
        host, colon, port = self.where.rpartition(":")
        if "/" not in self.where and colon and port.isdigit():
            return HTTPConnection(host.strip("[]"), int(port), timeout=TIMEOUT)
        return _UnixConnection(self.where)
