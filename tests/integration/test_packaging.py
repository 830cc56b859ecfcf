"""The wheel, installed in a clean environment and used from another folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from .harness import ROOT, World


def run(command: list[str], folder: Path) -> str:
    """What C{command} prints; it must succeed."""
    done = subprocess.run(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode:
        raise AssertionError(f"{command} failed:\n{done.stdout}")
    return done.stdout


class WheelTests(SynchronousTestCase):
    def test_wheel(self) -> None:
        """It has the three packages, no tests, the plugins work, and so does the guest."""
        world = World()
        self.addCleanup(world.close)
        folder = world.folder
        # From a copy: what an earlier build left in build/ must not get into the wheel.
        ignore = shutil.ignore_patterns(
            ".*", "build", "*.egg-info", "*.so", "_trial_temp*", "tests.*"
        )
        source = shutil.copytree(ROOT, folder / "source", ignore=ignore)
        wheel_command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps"]
        run([*wheel_command, "-w", str(folder), str(source)], folder)
        (wheel,) = folder.glob("subscription_proxy_vsock-*.whl")
        names = zipfile.ZipFile(wheel).namelist()
        tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
        self.assertEqual(tops, {"subproxy", "guest", "twisted"})
        self.assertIn("twisted/plugins/subproxy_plugin.py", names)
        self.assertNotIn("twisted/__init__.py", names)
        self.assertNotIn("twisted/plugins/__init__.py", names)
        self.assertIn("subproxy/py.typed", names)
        environment = folder / "venv"
        run([sys.executable, "-m", "venv", str(environment)], folder)
        python = str(environment / "bin" / "python")
        run([python, "-m", "pip", "install", "-q", str(wheel)], folder)
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir()
        self.assertIn("subproxy", run([str(environment / "bin" / "twistd"), "--help"], elsewhere))
        self.assertIn(
            "--vsock",
            run([str(environment / "bin" / "twistd"), "subproxy", "--help"], elsewhere),
        )
        self.assertIn("--proxy", run([python, "-m", "guest", "--help"], elsewhere))
        parsed = run(
            [
                python,
                "-c",
                "from twisted.internet import endpoints, reactor\n"
                "print(endpoints.serverFromString(reactor, 'hvsock:/tmp/x.sock:port=9'))\n"
                "print(endpoints.clientFromString(reactor, 'vsock:2:12345'))",
            ],
            elsewhere,
        )
        self.assertEqual(len(parsed.splitlines()), 2)
