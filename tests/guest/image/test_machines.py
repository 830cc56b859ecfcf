"""The command lines of the VMMs."""

from __future__ import annotations

import json
import shlex

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from guest.image.arguments import ArgumentError, parse, render
from guest.image.machines import (
    BootSpec,
    cloud_hypervisor,
    firecracker,
    memory_for,
    qemu,
    qemu_native,
)

MACHINE = BootSpec("a b.img", "k.vmlinuz", "k.vmlinux", 256)
SETTINGS = {"host": [r"^(a|b)\.example$"], "path": ["/it's $HOME%"], "app": ["hello:Hello"]}


class CommandLineTests(SynchronousTestCase):
    def test_a_shell_hands_the_settings_on_whole(self) -> None:
        for make in (cloud_hypervisor, qemu, qemu_native):
            words = shlex.split(make(MACHINE, render(SETTINGS)))
            line = next(word for word in words if "console=ttyS0" in word)
            self.assertEqual(parse(line), SETTINGS)
            self.assertIn("a b.img", words)

    def test_emulated_processors_need_no_timer_check(self) -> None:
        """Where the processor is emulated, and nowhere else."""
        self.assertIn(" no_timer_check", qemu(MACHINE, "a=b"))
        for make in (cloud_hypervisor, qemu_native, firecracker):
            self.assertNotIn("no_timer_check", make(MACHINE))

    def test_firecracker_reads_them_from_a_file(self) -> None:
        script = firecracker(MACHINE, render(SETTINGS))
        config = json.loads(script[script.index("{") : script.rindex("\nEND")])
        self.assertEqual(parse(config["boot-source"]["boot_args"]), {**SETTINGS, "end": ["reboot"]})

    def test_a_line_that_linux_would_cut_is_refused(self) -> None:
        with self.assertRaises(ArgumentError):
            qemu(MACHINE, render({"host": ["a" * 3000]}))


class MemoryTests(SynchronousTestCase):
    @given(st.integers(0, 1 << 31), st.integers(0, 1 << 30))
    def test_the_image_fits_twice(self, unpacked: int, packed: int) -> None:
        memory = memory_for(unpacked, packed)
        self.assertGreater(memory << 20, 2 * unpacked + packed)
        self.assertEqual(memory % 64, 0)
        self.assertGreaterEqual(memory, 192)
