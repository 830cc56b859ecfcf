"""uWSGI's HTTP router with a subscribed application: the nearest relative."""

from __future__ import annotations

import subprocess

from ..peers import uwsgi_program
from ..rig import HOST, Rig, free_port
from .base import Contender, Server

APPLICATION = """\
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, World!"]
"""


class UWSGI(Contender):
    """The router is counted, the application is not. The router writes no log.

    By default it closes each connection after an answer; C{--http-keepalive} is the other name.
    """

    def __init__(self, *, keepalive: bool) -> None:
        self.name = "uwsgi-keepalive" if keepalive else "uwsgi"
        self.title = "uWSGI router, keep-alive" if keepalive else "uWSGI router, default (closes)"
        self.keeps_connections = keepalive

    def missing(self) -> str | None:
        return None if uwsgi_program().exists() else "uwsgi (from PyPI, in a venv of its own)"

    def start(self, rig: Rig) -> Server:
        port, subscriptions = free_port(), free_port()
        router = rig.spawn(
            [
                str(uwsgi_program()),
                *("--http", f"127.0.0.1:{port}"),
                *("--http-subscription-server", f"127.0.0.1:{subscriptions}"),
                *(["--http-keepalive"] if self.keeps_connections else []),
                *("--http-timeout", "600", "--http-processes", "1"),
                *("--so-keepalive", "--listen", "4096", "--max-fd", "30000", "--master"),
                "--disable-logging",
            ],
            counted=True,
        )
        rig.spawn(
            [
                str(uwsgi_program()),
                *("--socket", rig.path("application.sock"), "--listen", "4096"),
                *("--wsgi-file", rig.write("application.py", APPLICATION)),
                *("--subscribe-to", f"127.0.0.1:{subscriptions}:{HOST}"),
                *("--subscribe-freq", "2"),
                *("--master", "--processes", "1", "--disable-logging", "--die-on-term"),
            ]
        )
        rig.wait_for_answer(port)
        return Server(port, router, rig)

    def version(self) -> str:
        command = [str(uwsgi_program()), "--version"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
