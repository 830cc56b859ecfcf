"""The wheel, installed in a clean environment and used from another folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from http.client import HTTPConnection
from pathlib import Path
from sysconfig import get_config_var

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.harness import ROOT, TWISTD, World, free_port, wait_until


def run(command: list[str], folder: Path) -> str:
    """
    What C{command} prints; it must succeed.

    It does not see the checkout, which pip would take for what is to be installed.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode:
        raise AssertionError(f"{command} failed:\n{done.stdout}")
    return done.stdout


def copy_of_the_sources(folder: Path) -> Path:
    """The checkout without what was built in it: nothing of an earlier build may be taken."""
    ignore = shutil.ignore_patterns(".*", "build", "*.egg-info", "*.so", "_trial_temp*", "tests.*")
    return shutil.copytree(ROOT, folder / "source", ignore=ignore)


class NoCompilerTests(SynchronousTestCase):
    """Nothing but speed depends on a compiler."""

    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.source = copy_of_the_sources(self.world.folder)

    def build(self, **environment: str) -> subprocess.CompletedProcess[str]:
        variables = dict(os.environ, **environment)
        variables.pop("SUBPROXY_BUILD_CACHE", None)
        return subprocess.run(
            [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
            cwd=self.source,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )

    def extensions(self) -> list[Path]:
        return list(self.source.rglob("*.so"))

    def test_it_builds_without_a_compiler(self) -> None:
        """The build says what is missing, and leaves no extension of an earlier one."""
        stale = self.source / "subproxy" / "relay" / f"_flow{get_config_var('EXT_SUFFIX')}"
        stale.write_bytes(b"of other sources")
        done = self.build(CC="/nonexistent/cc", SUBPROXY_REQUIRE_EXTENSIONS="0")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("nothing is compiled (/nonexistent/cc is not there", done.stdout)
        self.assertEqual(self.extensions(), [])

    def test_it_builds_with_a_compiler_that_fails(self) -> None:
        done = self.build(CC="/bin/false", SUBPROXY_REQUIRE_EXTENSIONS="0")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("nothing is compiled (/bin/false", done.stdout)
        self.assertEqual(self.extensions(), [])

    def test_a_build_for_others_needs_a_compiler(self) -> None:
        done = self.build(CC="/bin/false", SUBPROXY_REQUIRE_EXTENSIONS="1")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("the extensions cannot be compiled", done.stdout)

    def test_the_proxy_says_that_nothing_is_compiled(self) -> None:
        """And answers all the same."""
        port = free_port()
        listen = f"--http=tcp:{port}:interface=127.0.0.1"
        guests = self.world.folder / "vm.sock"
        with (self.world.folder / "proxy.log").open("w+") as log:
            proxy = subprocess.Popen(
                [*TWISTD, "-n", "--pidfile=", "subproxy", listen, f"--vsock={guests}"],
                cwd=self.source,
                env=dict(os.environ, PYTHONPATH=str(self.source)),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            self.addCleanup(proxy.wait, 10)
            self.addCleanup(proxy.terminate)
            wait_until(lambda: "HTTP on" in Path(log.name).read_text(), "it listens")
            self.assertIn("nothing is compiled here", Path(log.name).read_text())
            client = HTTPConnection("127.0.0.1", port, timeout=10)
            self.addCleanup(client.close)
            client.request("GET", "/")
            self.assertEqual(client.getresponse().status, 404)


class WheelTests(SynchronousTestCase):
    def test_wheel(self) -> None:
        """It has the three packages, no tests, the plugins work, and so does the guest."""
        world = World()
        self.addCleanup(world.close)
        folder = world.folder
        source = copy_of_the_sources(folder)
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
        self.assertEqual([name for name in names if name.endswith(".c")], [])
        environment = folder / "venv"
        # This pip will do, and what the few processes below import is compiled by them.
        run([sys.executable, "-m", "venv", "--without-pip", str(environment)], folder)
        python = str(environment / "bin" / "python")
        pip = [sys.executable, "-m", "pip", "--python", python]
        run([*pip, "install", "-q", "--no-compile", str(wheel)], folder)
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir()
        self.assertIn("subproxy", run([str(environment / "bin" / "twistd"), "--help"], elsewhere))
        self.assertIn(
            "--vsock",
            run([str(environment / "bin" / "twistd"), "subproxy", "--help"], elsewhere),
        )
        self.assertIn("--proxy", run([python, "-m", "guest", "--help"], elsewhere))
        (elsewhere / "guest.py").write_text("raise SystemExit('not this one')\n")
        script = str(environment / "bin" / "subproxy-guest")
        self.assertIn("subproxy guest", run([script, "--version"], elsewhere))
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
