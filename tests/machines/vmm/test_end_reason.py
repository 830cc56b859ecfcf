from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.vmm.console_lines import ConsoleLines
from subproxy.machines.vmm.end_reason import ProcessEnd, end_reason

CLEAN = ProcessEnd("qemu", 0, None)
PANIC = b"Kernel panic - not syncing: x\n"


class EndReasonTests(SynchronousTestCase):
    def reason(
        self, end: ProcessEnd, console: bytes = b"", shutdown: str = "", killed: str = ""
    ) -> str:
        """The reason, of all that."""
        lines = ConsoleLines()
        lines.feed(console)
        return end_reason(end, shutdown=shutdown, killed=killed, console=lines)

    def test_reasons(self) -> None:
        status = b"subproxy-init: [3.2] the application ended with status 3\n"
        failed = ProcessEnd("qemu", 1, None, "could not open kernel file '/k'")
        crashed = ProcessEnd("vhost", None, 9)
        for found, reason in (
            (self.reason(CLEAN), "qemu has ended with status 0"),
            (self.reason(CLEAN, shutdown="powered off"), "powered off"),
            (self.reason(CLEAN, shutdown="restarted", console=PANIC),
             "restarted; Kernel panic - not syncing: x"),
            (self.reason(CLEAN, console=PANIC), "qemu has ended; Kernel panic - not syncing: x"),
            (self.reason(CLEAN, shutdown="powered off", console=status),
             "powered off; the application ended with status 3"),
            (self.reason(failed), "qemu has ended with status 1: could not open kernel file '/k'"),
            (self.reason(crashed), "vhost was ended by SIGKILL"),
            (self.reason(ProcessEnd("qemu", None, 250)), "qemu was ended by signal 250"),
            (self.reason(ProcessEnd("qemu", None, None)), "qemu has ended"),
            (self.reason(crashed, killed="killed", shutdown="powered off"), "killed"),
        ):  # fmt: skip
            self.assertEqual(found, reason)
