from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from guest.image.arguments import COMMAND_LINE_LIMIT, parse
from subproxy.machines.declaration import Machine
from subproxy.machines.vmm.driver import VmmError
from subproxy.machines.vmm.kernel_command_line import LONGEST, kernel_command_line

MACHINE = Machine("blog", "qemu", ("blog.example",), kernel="/k")
TEXT = st.text(st.characters(exclude_categories=("Cs",)))


class KernelCommandLineTests(SynchronousTestCase):
    def test_order(self) -> None:
        """The kernel takes the last of two words of one name: the operator's."""
        machine = replace(
            MACHINE,
            kernel_arguments=("panic=5", "nosmp"),
            arguments=("--weight=50",),
            environment={"MODE": "a b"},
        )
        self.assertEqual(
            kernel_command_line(machine, "console=ttyS0", "panic=-1"),
            "console=ttyS0 panic=-1 panic=5 nosmp subproxy.arg=--weight=50 subproxy.env=MODE=a%20b",
        )

    @given(st.lists(TEXT, max_size=4), st.dictionaries(TEXT, TEXT, max_size=4))
    def test_a_guest_reads_what_was_meant(
        self, arguments: list[str], environment: dict[str, str]
    ) -> None:
        machine = replace(MACHINE, arguments=tuple(arguments), environment=environment)
        try:
            line = kernel_command_line(machine)
        except VmmError:
            return
        found = parse(line)
        self.assertEqual(found.get("arg", []), arguments)
        given = [f"{name}={value}" for name, value in environment.items()]
        self.assertEqual(found.get("env", []), given)

    def test_too_long(self) -> None:
        self.assertEqual(LONGEST, COMMAND_LINE_LIMIT)
        whole = kernel_command_line(replace(MACHINE, kernel_arguments=("x" * LONGEST,)))
        self.assertEqual(len(whole), LONGEST)
        longer = replace(MACHINE, kernel_arguments=("x" * (LONGEST + 1),))
        error = self.assertRaises(VmmError, kernel_command_line, longer)
        self.assertIn("2048 bytes", error.reason)
