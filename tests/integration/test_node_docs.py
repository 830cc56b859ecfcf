"""docs/howto/node.md: what a reader types, and what it says of Vite."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from tests.integration.harness import ROOT, Process, World, free_port
from tests.integration.node import node_path, npm
from tests.integration.test_tutorial import run_readme

PAGE = ROOT / "docs" / "howto" / "node.md"
VITE = "vite@8.4.0"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.M | re.S)


class NodePageTests(SynchronousTestCase):
    def test_what_is_typed(self) -> None:
        tool = run_readme()
        with TemporaryDirectory(prefix="subproxy-node-") as name:
            runner = tool.Runner(Path(name))
            runner.environment["PYTHONPATH"] = str(ROOT)
            binaries = runner.environment["PATH"].partition(":")[0]
            runner.environment["PATH"] = f"{binaries}:{node_path()}"
            self.addCleanup(runner.close)
            (block,) = BLOCK.findall(PAGE.read_text())
            for old in ("8888", "3000"):
                block = block.replace(old, str(free_port()))
            block = block.replace("/tmp/node.sock", f"{name}/node.sock")
            try:
                for command, expected in tool.steps(block):
                    self.assertIsNone(runner.run(command, expected), command)
            finally:
                runner.close()


class ViteTests(SynchronousTestCase):
    """The development server from npm, as it is."""

    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.folder = self.world.folder / "site"
        self.folder.mkdir()
        scripts = {"dev": "vite"}
        package = {"name": "site", "private": True, "type": "module", "scripts": scripts}
        (self.folder / "package.json").write_text(json.dumps(package))
        (self.folder / "index.html").write_text('<script type="module" src="/main.js"></script>')
        (self.folder / "main.js").write_text("import './style.css';\n")
        (self.folder / "style.css").write_text("p { color: red; }\n")

    def serve(self, host: str, *options: str) -> Process:
        port = free_port()
        command = [sys.executable, "-m", "guest", f"--proxy=unix:{self.world.vsock}_12345"]
        command += [f"--host={host}", f"--to=http://localhost:{port}", *options, "--"]
        command += [*npm(), "--prefix", str(self.folder), "run", "dev", "--", f"--port={port}"]
        guest = self.world.start("guest", command, PATH=node_path())
        guest.wait_for("registered", deadline=60)
        return guest

    def test_hosts_that_it_refuses(self) -> None:
        """It sees a host that it knows, if that is asked for; all of its processes end."""
        done = subprocess.run(
            [*npm(), "install", "--no-audit", "--no-fund", "--loglevel=error", VITE],
            cwd=self.folder,
            env=os.environ | {"PATH": node_path()},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.world.start_proxy()
        guest = self.serve(r"a\.example")
        status, _, body = self.world.ask("/", host="a.example")
        self.assertEqual(status, 403, body)
        self.assertIn(b'This host ("a.example") is not allowed', body)
        self.end(guest)  # there may be one in a folder
        guest = self.serve(r"b\.example", "--host-header=localhost")
        for path, text in (
            ("/", b"/@vite/client"),
            ("/main.js", b'import "/style.css"'),
            ("/@vite/client", b"WebSocket"),
            ("/style.css", b"color: red"),
        ):
            status, fields, body = self.world.ask(path, host="b.example")
            self.assertEqual((status, text in body), (200, True), (path, fields, body[:200]))
        self.changed_files()
        self.end(guest)

    def changed_files(self) -> None:
        """A page hears of them over a WebSocket, which it opens with the token that it was told."""
        script = self.world.ask("/@vite/client", host="b.example")[2].decode()
        token = re.search(r'wsToken = "([^"]+)"', script)
        assert token is not None
        with connect(
            f"ws://b.example/?token={token[1]}",
            sock=socket.create_connection(("127.0.0.1", self.world.port), 30),
            origin=Origin("http://b.example"),
            subprotocols=[Subprotocol("vite-hmr")],
        ) as page:
            self.assertEqual(page.subprotocol, "vite-hmr")
            self.assertEqual(json.loads(page.recv(30)), {"type": "connected"})
            (self.folder / "style.css").write_text("p { color: blue; }\n")
            kinds = {"update", "full-reload"}
            while (said := json.loads(page.recv(30)))["type"] not in kinds:
                pass
            self.assertIn("/style.css", str(said))
        self.assertIn(b"color: blue", self.world.ask("/style.css", host="b.example")[2])

    def end(self, guest: Process) -> None:
        guest.signal(signal.SIGINT)
        self.assertIn(guest.wait(), (0, 130), guest.output)
