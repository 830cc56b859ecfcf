"""Answers as cloud-hypervisor and Firecracker did: C{vmm_replay.py PROGRAM OPTIONS...}.

It is started in a machine's folder, where C{scene} names one of the scenes of
C{vmm_exchanges/PROGRAM.json}. What it was asked stands in C{asked.json} as it goes on. It writes
responses as micro-http does, the server of both: without a reason phrase, and keeping connections.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from pathlib import Path
from typing import Any

EXCHANGES = Path(__file__).parent / "vmm_exchanges"


class Replay:
    """One VMM in one scene."""

    def __init__(self, program: str, options: list[str]) -> None:
        recorded = json.loads((EXCHANGES / f"{program}.json").read_text())
        self._scene: list[dict[str, Any]] = recorded["scenes"][Path("scene").read_text()]
        self._server: str = recorded["server"]
        self._leaves: bool = recorded["leaves_sockets"]
        given = dict(zip(options[::2], options[1::2], strict=True))
        self._path = given.get("--api-sock") or given["--api-socket"].removeprefix("path=")
        self._events = int(given.get("--event-monitor", "fd=-1").removeprefix("fd="))
        self._listeners: list[socket.socket] = []
        self._asked: list[list[Any]] = []
        self._vsock = ""

    def run(self) -> None:
        """Answer until the scene ends it, or somebody else does."""
        if "exit" in self._scene[0]:
            self._do(self._scene[0])
        api = self._listen(self._path)
        while True:
            connection, _ = api.accept()
            with connection:
                while self._answer(connection):
                    pass

    def _answer(self, connection: socket.socket) -> bool:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(65536)
            if not piece:
                return False
            head += piece
        head, _, body = head.partition(b"\r\n\r\n")
        found = re.search(rb"(?im)^content-length: *(\d+)", head)
        while len(body) < (int(found[1]) if found else 0):
            body += connection.recv(65536)
        ask = b" ".join(head.split(b" ", 2)[:2]).decode()
        self._asked.append([ask, json.loads(body) if body else None])
        Path("asked.json").write_text(json.dumps(self._asked))
        expected = self._scene.pop(0) if self._scene else {}
        if expected.get("ask") != ask:
            sys.exit(f"asked for {ask}, not {expected}")
        if body:
            told = json.loads(body)
            self._vsock = _device(told) or self._vsock
            self._write(told, expected.get("writes", ()))
        connection.sendall(self._response(expected["status"], expected.get("body")))
        for step in expected.get("then", ()):
            self._do(step)
        return True

    def _write(self, told: dict[str, Any], names: list[str]) -> None:
        """A snapshot, where it was told to, with a configuration as far as we had one."""
        where = told.get("destination_url", "").removeprefix("file://")
        for name in names:
            path = Path(where, name) if where else Path(told[_FILES[name]])
            config = {"vsock": {"cid": 3, "socket": self._vsock}}
            path.write_text(json.dumps(config) if name == "config.json" else name)

    def _response(self, status: int, body: object) -> bytes:
        text = "" if body is None else json.dumps(body)
        head = f"HTTP/1.1 {status} \r\nServer: {self._server}\r\nConnection: keep-alive\r\n"
        if status != 204:
            head += f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n"
        return f"{head}\r\n{text}".encode()

    def _do(self, step: dict[str, Any]) -> None:
        if "listen" in step:
            self._listeners.append(self._listen(self._vsock))
        if "console" in step:
            os.write(1, step["console"].encode() + b"\r\n")
        if "stderr" in step:
            os.write(2, step["stderr"].encode() + b"\n")
        if "event" in step:
            event = {
                "timestamp": {"secs": 1, "nanos": 2},
                "source": "vm",
                "event": step["event"],
                "properties": None,
            }
            os.write(self._events, json.dumps(event, indent=2).encode() + b"\n\n")
        if "exit" in step:
            if not self._leaves:
                for path in filter(None, (self._path, self._vsock)):
                    Path(path).unlink(missing_ok=True)
            os._exit(step["exit"])

    def _listen(self, path: str) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen()
        return listener


_FILES = {"state": "snapshot_path", "memory": "mem_file_path"}


def _device(told: dict[str, Any]) -> str:
    """The path of the device that a VMM is told of, or that is in the snapshot it is told of."""
    if "source_url" in told:
        told = json.loads(
            Path(told["source_url"].removeprefix("file://"), "config.json").read_text()
        )
    override: str = told.get("vsock_override", {}).get("uds_path", "")
    return override or told.get("uds_path") or told.get("vsock", {}).get("socket") or ""


if __name__ == "__main__":
    Replay(sys.argv[1], sys.argv[2:]).run()
