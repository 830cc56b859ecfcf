"""
Both inits as the first process of namespaces of their own: what they do to a machine, for real.

Processes, mounts and the network are theirs alone; the kernel is not: modules that it refuses
are all they can try. Booted in virtual machines they are in test_vm_guest and test_guest_init.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from subproxy.wire.frames import FrameDecoder, encode

UNSHARE = ["unshare", "--pid", "--fork", "--mount", "--net", "--kill-child"]

MACHINE = """
import os, subprocess, sys
from pathlib import Path
from guest.image import init

folder = sys.argv[1]

def private(path):
    "A folder of this machine's that we may fill."
    os.makedirs(path, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", path], check=True)
    return Path(path)

(private("/lib/modules") / "broken.ko").write_bytes(b"no module")
os.mkfifo(private("/dev/input") / "event0")
Path("/dev/input/mouse0").touch()
init.SETTINGS, init.MODULES = f"{folder}/args", f"{folder}/modules"
init.MOUNTS = (("proc", "/proc", "proc"), ("tmpfs", f"{folder}/tmp", "tmpfs"))
init.main()
"""

PRESSES_THE_BUTTON = """
trap 'echo asked to end; exit 3' TERM
(trap '' TERM; sleep 1000) &
cat /proc/self/mounts | grep -q " $1/tmp tmpfs" && echo mounted
echo "$A in $(pwd)"
exec 9>/dev/input/event0
{ printf '%16s\\1\\0\\164\\0\\1\\0\\0\\0' "" >&9; }
while :; do sleep .02; done
"""


class NamespaceTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        try:
            subprocess.run([*UNSHARE, "true"], check=True, capture_output=True, timeout=30)
        except (OSError, subprocess.CalledProcessError):
            raise SkipTest("no namespaces for us here") from None
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def run_init(self, *words: str) -> list[str]:
        """What it says, until the machine is off."""
        done = subprocess.run(
            [*UNSHARE, sys.executable, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        # To power off such a machine ends its first process by this signal.
        self.assertIn(done.returncode, (-signal.SIGINT, 128 + signal.SIGINT), done.stdout)
        return [line.partition("] ")[2] or line for line in done.stdout.splitlines()]


class ImageInitTests(NamespaceTestCase):
    def start(self, *settings: str, modules: str = "") -> list[str]:
        (self.folder / "args").write_text("\n".join(f"subproxy.{each}" for each in settings))
        (self.folder / "modules").write_text(modules)
        return self.run_init("-c", MACHINE, str(self.folder))

    def test_a_whole_life(self) -> None:
        script = self.folder / "application"
        script.write_text(PRESSES_THE_BUTTON)
        words = ["/bin/sh", str(script), str(self.folder)]
        said = self.start(*(f"run={word}" for word in words), "env=A=b", modules="broken\n")
        self.assertEqual(said[0], "up")
        self.assertRegex(said[1], "^module broken not loaded: ")
        self.assertEqual(
            said[2:],
            [
                f"starting {' '.join(words)}",
                "mounted",
                "b in /",
                "the power button: asking the application to end",
                "asked to end",
                "the application ended with status 3: poweroff",
            ],
        )

    def test_settings_that_make_no_sense(self) -> None:
        for setting, complaint in (
            ("end=sleep", "subproxy.end is one of poweroff, reboot, halt, not 'sleep': poweroff"),
            (
                "service=other",
                "subproxy.service is guest, asgi, wsgi or minimal, not 'other': poweroff",
            ),
        ):
            self.assertEqual(self.start(setting), ["up", complaint])

    def test_a_machine_that_is_broken(self) -> None:
        """A module that is named is there, or there is no starting."""
        said = self.start("run=/bin/true", modules="missing\n")
        self.assertIn("/lib/modules/missing.ko", said[-2])
        self.assertEqual(said[-1], "init failed: poweroff")


class MinimalInitTests(NamespaceTestCase):
    def test_it_subscribes_until_it_is_replaced(self) -> None:
        module = self.folder / "broken.ko"
        module.write_bytes(b"no module")
        path = str(self.folder / "proxy")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            listener.settimeout(30)
            guest = subprocess.Popen(
                [*UNSHARE, sys.executable, "-m", "guest.minimal", f"--proxy=unix:{path}"]
                + [f"--module={module}", "--worker=0", "--host=a"],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            self.addCleanup(guest.communicate)
            self.addCleanup(guest.kill)
            connection, _ = listener.accept()
        with connection:
            connection.settimeout(30)
            decoder = FrameDecoder(9_999_999)
            while (hello := decoder.next()) is None:
                data = connection.recv(65536)
                self.assertTrue(data, "it left without a word")
                decoder.feed(data)
            self.assertEqual((hello[0], hello[1][b"application"]), (b"hello", b"hello"))
            connection.sendall(encode([b"welcome", {b"version": 1}]))
            connection.sendall(encode([b"bye", b"replaced", b"another is here"]))
            output, _ = guest.communicate(timeout=60)
        said = output.splitlines()
        self.assertEqual(said[0], f"cannot load the module {module}")
        self.assertEqual(said[-1], "ended with status 5")

    def test_what_it_cannot_understand_ends_the_machine_too(self) -> None:
        said = self.run_init("-m", "guest.minimal", "--path=/x")
        self.assertIn("which --host is --path=/x for? Give that one before it", said[-1])
