"""Tests of subproxy.reactor.availability."""

from __future__ import annotations

from errno import EACCES, EINVAL, ENOMEM, ENOSYS, EPERM
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.reactor import RingUnavailable, install, unavailable
from subproxy.reactor import availability as features


class UnavailableTests(SynchronousTestCase):
    """What C{unavailable} says."""

    def outcome(self, outcome: BaseException | None) -> str | None:
        def trial() -> None:
            if outcome is not None:
                raise outcome

        self.patch(features, "_try", trial)
        return unavailable()

    def test_available(self) -> None:
        self.assertIsNone(self.outcome(None))

    def test_noSystemCall(self) -> None:
        self.assertIn("ENOSYS", str(self.outcome(OSError(ENOSYS, ""))))

    def test_seccomp(self) -> None:
        self.patch(features, "_SYSCTL", Path(self.mktemp()))
        self.assertIn("seccomp", str(self.outcome(OSError(EPERM, ""))))

    def test_sysctl(self) -> None:
        sysctl = Path(self.mktemp())
        for value in "1", "2":
            sysctl.write_text(value + "\n")
            self.patch(features, "_SYSCTL", sysctl)
            text = str(self.outcome(OSError(EPERM, "")))
            self.assertIn(f"kernel.io_uring_disabled is {value}", text)
        sysctl.write_text("0\n")
        self.assertIn("seccomp", str(self.outcome(OSError(EPERM, ""))))

    def test_oldKernel(self) -> None:
        self.assertIn("6.1", str(self.outcome(OSError(EINVAL, ""))))

    def test_noMemory(self) -> None:
        self.assertIn("memory", str(self.outcome(OSError(ENOMEM, ""))))
        self.assertIn("memory", str(self.outcome(MemoryError())))

    def test_another(self) -> None:
        self.assertIn("Permission", str(self.outcome(OSError(EACCES, "Permission denied"))))

    def test_notBuilt(self) -> None:
        """Without the extension the package still imports, and says so."""
        self.assertIn("extension", str(self.outcome(ImportError("no such module"))))

    def test_installRefuses(self) -> None:
        """Who asks for io_uring by name is told, rather than given something else."""
        self.patch(features, "_SYSCTL", Path(self.mktemp()))
        self.outcome(OSError(EPERM, ""))
        error = self.assertRaises(RingUnavailable, install)
        self.assertIn("seccomp", str(error))
