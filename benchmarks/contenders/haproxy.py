"""HAProxy: one thread, log to a datagram socket, forwardfor, keep-alive to a unix socket."""

from __future__ import annotations

import re
import shutil
import subprocess

from ..build import program
from ..rig import Rig, free_port, raise_descriptor_limit
from .base import Contender, Server

CONFIGURATION = """\
global
  nbthread 1
  no strict-limits
  maxconn {most}
  log {dir}/log.sock len 1024 format raw local0
  {tuning}
defaults
  mode http
  log global
  option httplog
  option forwardfor
  http-reuse always
  timeout connect 10s
  timeout client 600s
  timeout server 600s
  {extra}
frontend clients
  bind 127.0.0.1:{port}{ssl} backlog 4096
  default_backend application
backend application
  server one unix@{dir}/backend.sock
"""


def configuration(
    rig: Rig, port: int, *, most: int, tuning: str = "", extra: str = "", ssl: str = ""
) -> str:
    """
    The file that HAProxy is started with.

    @param most: connections that it may have.
    @param tuning: more lines of the section C{global}.
    @param extra: more lines of the section C{defaults}.
    @param ssl: what its listener is, beside where it is.
    """
    return CONFIGURATION.format(
        dir=rig.directory,
        port=port,
        most=most,
        tuning=tuning,
        extra=extra,
        ssl=f" {ssl}" if ssl else "",
    )


class HAProxy(Contender):
    """HAProxy, its sections C{global} and C{defaults} completed by some more lines."""

    def __init__(
        self, name: str = "haproxy", title: str = "HAProxy", tuning: str = "", extra: str = ""
    ) -> None:
        self.name = name
        self.title = title
        self._tuning = tuning
        self._extra = extra

    def missing(self) -> str | None:
        return None if shutil.which("haproxy") else "haproxy (Debian package haproxy)"

    def start(self, rig: Rig) -> Server:
        port = free_port()
        rig.spawn([program("backend"), rig.path("backend.sock")])
        rig.spawn([program("sink"), rig.path("log.sock")])
        rig.wait_for_socket("backend.sock")
        rig.wait_for_socket("log.sock")
        text = rig.write("haproxy.cfg", self.configuration(rig, port))
        process = rig.spawn(["haproxy", "-db", "-f", text], counted=True)
        rig.wait_for_answer(port)
        return Server(port, process, rig)

    def configuration(self, rig: Rig, port: int) -> str:
        """The file that it is started with."""
        most = min(24_000, raise_descriptor_limit() - 500)
        return configuration(rig, port, most=most, tuning=self._tuning, extra=self._extra)

    def version(self) -> str:
        text = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=True).stdout
        found = re.search(r"version (\S+)", text)
        return found.group(1) if found else text.strip()
