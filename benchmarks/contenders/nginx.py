"""nginx: one worker, buffered access log, X-Forwarded-For, keep-alive to a unix socket."""

from __future__ import annotations

import re
import shutil
import subprocess

from ..build import program
from ..rig import Rig, free_port
from .base import Contender, Server

CONFIGURATION = """\
daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile {files};
pid {dir}/nginx.pid;
error_log {dir}/error.log error;
events {{ use epoll; worker_connections {most}; }}
http {{
  access_log {dir}/access.log combined buffer=64k flush=1s;
  client_body_temp_path {dir}/client_body;
  proxy_temp_path {dir}/proxy_temp;
  fastcgi_temp_path {dir}/fastcgi_temp;
  uwsgi_temp_path {dir}/uwsgi_temp;
  scgi_temp_path {dir}/scgi_temp;
  client_max_body_size 0;
  keepalive_timeout 600s;
  keepalive_requests 1000000000;
  {http}
  upstream application {{
    server unix:{dir}/backend.sock;
    keepalive 512;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
  }}
  server {{
    listen 127.0.0.1:{port}{ssl} backlog=4096;
    location / {{
      proxy_pass http://application;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      {extra}
    }}
  }}
}}
"""


def configuration(
    rig: Rig, port: int, *, most: int = 24_000, http: str = "", ssl: str = "", extra: str = ""
) -> str:
    """
    The file that nginx is started with.

    @param most: connections that it may have.
    @param http: more directives of the block C{http}.
    @param ssl: what its listener is, beside where it is.
    @param extra: more directives of its location.
    """
    return CONFIGURATION.format(
        dir=rig.directory,
        port=port,
        files=most + 6_000,
        most=most,
        http=http,
        ssl=f" {ssl}" if ssl else "",
        extra=extra,
    )


UNBUFFERED = """\
proxy_buffering off;
      proxy_request_buffering off;
      proxy_buffer_size 64k;
      proxy_buffers 8 64k;
      proxy_busy_buffers_size 128k;
      client_body_buffer_size 64k;"""
"""The location for large bodies without files, in the 64 KiB steps that cost nginx least."""


class Nginx(Contender):
    """nginx, its location completed by some more directives."""

    def __init__(self, name: str = "nginx", title: str = "nginx", extra: str = "") -> None:
        self.name = name
        self.title = title
        self._extra = extra

    def missing(self) -> str | None:
        return None if shutil.which("nginx") else "nginx (Debian package nginx-light)"

    def start(self, rig: Rig) -> Server:
        port = free_port()
        rig.spawn([program("backend"), rig.path("backend.sock")])
        rig.wait_for_socket("backend.sock")
        configuration = rig.write("nginx.conf", self.configuration(rig, port))
        command = ["nginx", "-p", str(rig.directory), "-c", configuration, "-e", rig.path("early")]
        process = rig.spawn(command, counted=True)
        rig.wait_for_answer(port)
        return Server(port, process, rig)

    def configuration(self, rig: Rig, port: int) -> str:
        """The file that it is started with."""
        return configuration(rig, port, extra=self._extra)

    def version(self) -> str:
        text = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr
        found = re.search(r"nginx/(\S+)", text)
        return found.group(1) if found else text.strip()
