"""
The main job on one machine, without a VM: the proxy, a guest that registers itself, a request.

The guest is a process here, and dials the unix socket by which VMMs emulate vsock: the
very socket that a VM's guest would come out of. Run it by `make demo`; with `--keep` it
stays until Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEADLINE = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(name: str, folder: Path, command: list[str]) -> subprocess.Popen[bytes]:
    shown = " ".join(command).replace(f"{Path(sys.executable).parent}/", "")
    print(f"$ {shown}", flush=True)
    environment = dict(os.environ, PYTHONPATH=f"{HERE}:{HERE.parent}", PYTHONUNBUFFERED="1")
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=folder
        )


def wait_for(text: str, name: str, folder: Path, process: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        log = (folder / f"{name}.log").read_text()
        for line in log.splitlines():
            if text in line:
                return line
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise SystemExit(f"{name} never said {text!r}:\n{(folder / f'{name}.log').read_text()}")


def ask(port: int) -> None:
    url = f"http://127.0.0.1:{port}/"
    print(f"$ curl -H 'Host: blog.example' {url}", flush=True)
    if shutil.which("curl"):
        subprocess.run(
            ["curl", "-sS", "--noproxy", "*", "--fail", "-H", "Host: blog.example", url], check=True
        )
    else:
        request = urllib.request.Request(url, headers={"Host": "blog.example"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as response:
            sys.stdout.write(response.read().decode())
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="stay until Ctrl-C")
    parser.add_argument("--port", type=int, help="for HTTP (default: a free one)")
    arguments = parser.parse_args()
    port = arguments.port or free_port()
    processes: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(prefix="subproxy-demo-") as name:
        folder = Path(name)
        vsock = folder / "cid10.sock"
        try:
            proxy = start(
                "proxy",
                folder,
                [str(Path(sys.executable).parent / "twistd"), "-n", "--pidfile=", "subproxy"]
                + [f"--http=tcp:{port}:interface=127.0.0.1", f"--vsock={vsock}"],
            )
            processes.append(proxy)
            wait_for("HTTP on", "proxy", folder, proxy)
            guest = start(
                "guest",
                folder,
                [sys.executable, "-m", "guest", f"--proxy=unix:{vsock}_12345"]
                + [r"--host=blog\.example", "hello:Hello"],
            )
            processes.append(guest)
            print("  " + wait_for("registered", "guest", folder, guest))
            ask(port)
            if arguments.keep:
                guest.wait()
        except KeyboardInterrupt:
            pass
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait(10)


if __name__ == "__main__":
    main()
