"""Container images, made by the tools that others make them with: umoci, skopeo, buildah, crane."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from unittest import SkipTest

from tests.integration.golang import go

CRANE = "github.com/google/go-containerregistry/cmd/crane@v0.20.6"


def need(*tools: str) -> None:
    """Skip the test without these tools, unless this is CI, where they must be there."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        text = f"no {', '.join(missing)}: sudo .ci/install-tools installs what tests need"
        if os.environ.get("CI") == "true":
            raise AssertionError(text)
        raise SkipTest(text)


def run(folder: Path, *command: str, timeout: float = 120) -> str:
    """Run a tool in a folder; what it writes."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


@cache
def crane() -> str:
    """The program, built once a machine: Debian has none, but it is a module of Go."""
    folder = Path.home() / ".cache" / "subproxy" / "tools" / CRANE.rpartition("@")[2]
    if not (folder / "crane").is_file():
        kept = {"GOBIN": str(folder), "GOFLAGS": "-p=1", "GOTOOLCHAIN": "local"}
        done = subprocess.run(
            [go(), "install", CRANE], env=os.environ | kept, capture_output=True, check=False
        )
        if done.returncode:
            text = f"no crane: {done.stderr.decode()}"
            if os.environ.get("CI") == "true":
                raise AssertionError(text)
            raise SkipTest(text)
    return str(folder / "crane")


class Layout:
    """An OCI layout that umoci fills: a bundle is changed, and what has changed is a layer."""

    def __init__(self, folder: Path, image: str = "shop:1") -> None:
        need("umoci")
        self.folder = folder
        name, _, self.tag = image.partition(":")
        self.path = folder / name
        self._image = image
        self._bundles = 0
        run(folder, "umoci", "init", "--layout", name)
        run(folder, "umoci", "new", "--image", image)
        self._unpack()

    def _unpack(self) -> None:
        self._bundles += 1
        self._bundle = self.folder / f"bundle-{self._image}-{self._bundles}".replace(":", "-")
        rootless = ["--rootless"] if os.getuid() else []
        run(self.folder, "umoci", "unpack", *rootless, "--image", self._image, str(self._bundle))
        self.root = self._bundle / "rootfs"
        """What the next layer will change."""

    def commit(self) -> None:
        """What is different in C{root} becomes a layer."""
        run(self.folder, "umoci", "repack", "--image", self._image, str(self._bundle))
        self._unpack()

    def config(self, **options: str | list[str]) -> None:
        """Change the configuration: C{entrypoint=["a", "b"]}."""
        words: list[str] = []
        for name, values in options.items():
            for value in [values] if isinstance(values, str) else values:
                words += [f"--config.{name.replace('_', '-')}", value]
        run(self.folder, "umoci", "config", "--image", self._image, *words)
        self._unpack()
