"""How fast a machine starts: what C{subproxy-mkinitramfs --measure} tells, and the small kernel.

No time is asserted here: what they are is in docs/reference/mkinitramfs.md.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.integration.harness import World
from tests.integration.qemu import ROOT, Machine, build_image, need_tools

PARTS = ("QEMU", "the kernel", "init", "the application", "from a request")
SMALL_KERNEL = ROOT / ".cache" / "kernel"
"""Where C{.ci/nightly} has C{tools/guest-kernel} put it."""


def small_kernel() -> Path:
    """The small kernel's image."""
    folder = Path(os.environ.get("SUBPROXY_SMALL_KERNEL", SMALL_KERNEL))
    found = sorted(folder.glob("boot/vmlinuz-*"))
    if not found:
        raise SkipTest(f"no small kernel: tools/guest-kernel {SMALL_KERNEL} builds it")
    return found[-1]


class BootTests(SynchronousTestCase):
    timeout = 300

    def setUp(self) -> None:
        need_tools()
        self.world = World()
        self.addCleanup(self.world.close)

    def test_where_the_time_goes(self) -> None:
        folder = self.world.folder
        (folder / "app.py").write_text(
            "def app(method, target, headers, body):\n    return 200, [], b''\n"
        )
        done = subprocess.run(
            [
                *(sys.executable, "-m", "guest.image.cli", "-q", "--level=1", "--measure"),
                *("--minimal", f"{folder}/app.py", "-o", f"{folder}/app.img"),
            ],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        told = done.stdout[done.stdout.index("\nFrom the start of QEMU") :].splitlines()[2:]
        lines = [re.fullmatch(r" *([0-9.]+) (s  |MB )(.*)", line) for line in told]
        self.assertEqual(len(lines), len(PARTS) + 2, told)
        for line, part in zip(lines, PARTS, strict=False):
            assert line is not None
            self.assertTrue(line[3].startswith(part), told)
            self.assertGreaterEqual(float(line[1]), 0)
        self.assertRegex(told[-2], r"s  in all \([0-9.]+ to [0-9.]+, of 3\)$")
        self.assertRegex(told[-1], r"MB of its memory touched$")

    def test_the_small_kernel(self) -> None:
        """A guest on Twisted has all that it needs, and powers off at the button."""
        image = build_image(
            self.world.folder,
            "small",
            *(f"--kernel={small_kernel()}", "examples/hello.py", r"--host=vm\.example"),
        )
        machine = Machine(self.world.folder, "small", image, 9, "", 128)
        self.addCleanup(machine.keep_logs)
        self.addCleanup(machine.kill)
        self.world.start_proxy("--access-log=none", vsock=str(machine.vsock))
        machine.start()
        machine.wait_for(r"registered host=vm\\.example path=/\.\*", 120)
        self.assertEqual(self.world.ask("/", "vm.example")[::2], (200, b"hello\n"))
        self.assertNotIn("not loaded", machine.console.text())
        machine.press_power_button()
        machine.wait_for(r"the application ended with status 0: poweroff", 30)
        self.assertEqual(machine.console.wait(60), 0)
