"""The environment of a WSGI application (PEP 3333)."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from guest.adapters.client_certificate import wsgi_tls
from guest.adapters.wsgi_input import FileWrapper
from subproxy.wire.fields import Info

_MOST = 1024
_OWN = {"CONTENT-TYPE": "CONTENT_TYPE", "CONTENT-LENGTH": "CONTENT_LENGTH"}


class EnvironMaker:
    """
    Makes environments.

    Fields whose names have an underscore are left out: after the rules of CGI they could not be
    told from those with a hyphen, which a proxy has set or checked.
    """

    def __init__(self, root_path: str = "", threads: int = 1) -> None:
        """
        Prepare.

        @param root_path: where the application is mounted: without a slash at its end.
        """
        self._root = root_path.encode("utf-8").decode("latin-1")
        self._names: dict[bytes, str] = {}
        self._servers: dict[str, tuple[str, str]] = {}
        self._base: dict[str, Any] = {
            "SCRIPT_NAME": self._root,
            "SERVER_SOFTWARE": "subproxy",
            "GATEWAY_INTERFACE": "CGI/1.1",
            "wsgi.version": (1, 0),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": threads > 1,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "wsgi.file_wrapper": FileWrapper,
            # Of us it means that an input ends where the body does, also without a length.
            "wsgi.input_terminated": True,
        }

    def make(
        self,
        method: bytes,
        target: bytes,
        fields: Iterable[Iterable[bytes]],
        info: Info,
        body: Any,
        length: int | None,
    ) -> dict[str, Any]:
        """
        The environment of one request.

        @param body: C{wsgi.input}.
        @param length: of the body, where the fields may not tell it; 0: there is none.
        """
        environ = self._base.copy()
        path, _, query = target.decode("latin-1").partition("?")
        if "%" in path:
            path = unquote_to_bytes(path.encode("latin-1")).decode("latin-1")
        root = self._root
        if root and (path == root or path.startswith(root + "/")):
            path = path[len(root) :]
        scheme = info.get(b"scheme", b"http").decode("latin-1")
        environ["REQUEST_METHOD"] = method.decode("latin-1")
        environ["PATH_INFO"] = path
        environ["QUERY_STRING"] = query
        environ["REQUEST_URI"] = environ["RAW_URI"] = target.decode("latin-1")
        environ["REMOTE_ADDR"] = info.get(b"client", b"").decode("latin-1")
        environ["SERVER_PROTOCOL"] = "HTTP/" + info.get(b"version", b"1.1").decode("latin-1")
        environ["wsgi.url_scheme"] = scheme
        if b"tls" in info:
            environ.update(wsgi_tls(info))
        environ["wsgi.input"] = body
        names = self._names
        for name, value in fields:
            key = names.get(name)
            if key is None:
                key = self._name(name)
            if not key:
                continue
            text = value.decode("latin-1")
            if key in environ:
                text = environ[key] + ("; " if key == "HTTP_COOKIE" else ",") + text
            environ[key] = text
        if length:
            environ["CONTENT_LENGTH"] = str(length)
        host = environ.get("HTTP_HOST", "")
        server = self._servers.get(host) or self._server(host)
        environ["SERVER_NAME"], port = server
        environ["SERVER_PORT"] = port or ("443" if scheme == "https" else "80")
        return environ

    def _name(self, name: bytes) -> str:
        upper = name.decode("latin-1").upper()
        if "_" in upper or upper == "TRANSFER-ENCODING":
            key = ""
        else:
            key = _OWN.get(upper) or "HTTP_" + upper.replace("-", "_")
        if len(self._names) >= _MOST:
            self._names.clear()
        self._names[name] = key
        return key

    def _server(self, host: str) -> tuple[str, str]:
        name, colon, port = host.rpartition(":")
        if not colon or not port.isdigit():
            name, port = host, ""
        if len(self._servers) >= _MOST:
            self._servers.clear()
        self._servers[host] = found = (name or "localhost", port)
        return found
