"""nginx and HAProxy at their best settings against a back end that is killed each second."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests.integration.harness import Process, World, free_port

NGINX = """
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx-errors.log crit;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/ng-body;
  proxy_temp_path {folder}/ng-proxy;
  fastcgi_temp_path {folder}/ng-fastcgi;
  uwsgi_temp_path {folder}/ng-uwsgi;
  scgi_temp_path {folder}/ng-scgi;
  keepalive_requests 1000000000;
  upstream app {{
    server {one} max_fails=0;
    server {two} max_fails=0;
    keepalive 64;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_connect_timeout 1s;
      proxy_next_upstream error timeout http_502 http_503;
      proxy_next_upstream_tries 3;
    }}
  }}
}}
"""

HAPROXY = """
global
  maxconn 1024
  nbthread 1
defaults
  mode http
  timeout connect 1s
  timeout client 30s
  timeout server 30s
  timeout queue 5s
  retries 10
  option redispatch 1
  retry-on conn-failure empty-response response-timeout 502 503
  http-reuse always
frontend f
  bind 127.0.0.1:{port}
  http-request disable-l7-retry if {{ method POST }}
  default_backend b
backend b
  balance leastconn
  server one {one}
  server two {two}
"""


def available(name: str) -> bool:
    """Whether the peer is installed."""
    return shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") is not None


def start_peer(world: World, name: str, port: int, one: int | Path, two: int | Path) -> Process:
    """
    Start it in the foreground.

    @param one, two: the back ends: ports of loopback, or unix sockets.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=world.folder))
    folder.chmod(0o777)
    text = NGINX if name == "nginx" else HAPROXY
    configuration = folder / f"{name}.cfg"
    unix = "unix:" if name == "nginx" else "unix@"
    backends = {
        key: f"{unix}{where}" if isinstance(where, Path) else f"127.0.0.1:{where}"
        for key, where in (("one", one), ("two", two))
    }
    configuration.write_text(text.format(folder=folder, port=port, **backends))
    program = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert program is not None
    if name == "nginx":
        command = [program, "-p", str(folder), "-c", str(configuration)]
    else:
        command = [program, "-db", "-f", str(configuration)]
    return world.start(name, command)


def ports(count: int) -> list[int]:
    """So many free ports, all different."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return list(found)
