"""
Clients of HTTP/2 as they are, over TLS, whose connection is to end after 50 requests: none is lost.

Each asks 400 times, 20 at once, bodies small and large, and so its connection is never quiet.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path
from unittest import SkipTest

import httpx

from subproxy.fastpath.install import unavailable
from tests.integration import golang
from tests.integration.harness import wait_until
from tests.integration.node import install, node_folder
from tests.integration.tls_case import HOST, TlsCase

PROGRAMS = Path(__file__).parent / "programs"
UNDICI = "undici@8.13.1"
SIZES = (0, 5, 70_000, 5, 300_000)


class ClientTests(TlsCase):
    skip = unavailable()

    def setUp(self) -> None:
        super().setUp()
        self.put("local.pem", "localhost")
        self.proxy = self.world.start_proxy(
            f"--https=tcp:{self.https}:interface=127.0.0.1",
            f"--certificates={self.certificates}",
            "--keepalive-requests=50",
        )
        self.proxy.wait_for("HTTPS on")
        self.world.start_guest("echo:Echo", "--host=.*")
        self.url = f"https://localhost:{self.https}/echo"

    def ask(self, *command: str) -> None:
        """Run a client, which says what failed."""
        done = subprocess.run(
            [*command, self.url, str(self.ca)],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            cwd=self.world.folder,
        )
        self.assertEqual((done.stdout, done.returncode), ("done\n", 0), done.stderr)
        self.told()

    def told(self) -> None:
        """All were asked over HTTP/2."""
        wait_until(lambda: self.proxy.output.count('HTTP/2" 200') == 400, "a line for each")
        self.assertNotIn("Traceback", self.proxy.output)

    def test_go(self) -> None:
        program = self.world.folder / "client"
        source = shutil.copy(PROGRAMS / "http2_client.go", self.world.folder / "main.go")
        command = [golang.go(), "build", "-o", str(program), source]
        environment = golang.environment(GO111MODULE="off")
        subprocess.run(command, env=environment, check=True, cwd=self.world.folder)
        self.ask(str(program))

    def test_node(self) -> None:
        """Node's own client."""
        program = str(PROGRAMS / "http2_client.mjs")
        self.ask(str(Path(node_folder()) / "node"), program)

    def test_undici(self) -> None:
        """What C{fetch} of Node is made of; a request that it sends as GOAWAY comes is lost."""
        install(UNDICI, self.world.folder)
        program = shutil.copy(PROGRAMS / "undici_client.mjs", self.world.folder)
        self.ask(str(Path(node_folder()) / "node"), str(program))

    def test_httpx(self) -> None:
        async def ask_all() -> list[object]:
            gate = asyncio.Semaphore(20)
            async with httpx.AsyncClient(http2=True, verify=self.context, timeout=60) as client:

                async def ask(size: int) -> object:
                    body = os.urandom(size)
                    async with gate:
                        if not size:
                            answer = await client.get(self.url)
                        else:
                            answer = await client.post(self.url, content=body)
                    good = answer.status_code == 200 and answer.content == (body or b"OK")
                    return (good, answer.http_version)

                return await asyncio.gather(*(ask(SIZES[each % 5]) for each in range(400)))

        self.assertEqual(asyncio.run(ask_all()), [(True, "HTTP/2")] * 400)
        self.told()


class ToolTests(TlsCase):
    """What nghttp2 brings, over TLS, on a connection that stays."""

    skip = unavailable()

    def setUp(self) -> None:
        super().setUp()
        self.serve(application=None)
        self.world.start_guest("echo:Echo", "--host=.*")
        self.url = f"https://{HOST}:{self.https}/echo"

    def run_tool(self, *command: str) -> str:
        """What it says."""
        if shutil.which(command[0]) is None:
            raise SkipTest(f"{command[0]} is not here: apt install nghttp2-client")
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
        self.assertEqual(done.returncode, 0, (done.stdout, done.stderr, self.proxy.output))
        return done.stdout

    def test_nghttp(self) -> None:
        """Forty at once, each with a body and a trailer."""
        body = self.world.folder / "body"
        body.write_bytes(b"x" * 70_000)
        said = self.run_tool(
            *("nghttp", "-v", "-m", "40", "--trailer=x-sum: 1", "-d", str(body)),
            *("-H", f":authority: {HOST}", f"https://127.0.0.1:{self.https}/echo"),
        )
        self.assertEqual(said.count(":status: 200"), 40)
        self.assertIn("The negotiated protocol: h2", said)
        self.assertNotIn("RST_STREAM", said)

    def test_h2load(self) -> None:
        """Two thousand, on four connections of 25 streams."""
        connect = f"--connect-to=127.0.0.1:{self.https}"
        said = self.run_tool("h2load", "-n2000", "-c4", "-m25", connect, self.url)
        self.assertIn("2000 succeeded, 0 failed", said)
        self.assertIn("Application protocol: h2", said)

    def test_curl(self) -> None:
        """Ten answers on one connection."""
        many = f"https://{HOST}:{self.https}/[1-10]"
        said = self.run_tool(
            *("curl", "-sS", "-m", "30", "--cacert", str(self.ca)),
            *("--connect-to", f"{HOST}:{self.https}:127.0.0.1:{self.https}"),
            *("-w", "%{http_version} %{num_connects}\n", "-o", "/dev/null", many),
        )
        self.assertEqual(said.split("\n"), ["2 1", *["2 0"] * 9, ""])
