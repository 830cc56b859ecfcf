"""Whether io_uring can be used here, and if not, why not."""

from __future__ import annotations

from errno import EINVAL, ENOMEM, ENOSYS, EPERM
from pathlib import Path

_SYSCTL = Path("/proc/sys/kernel/io_uring_disabled")


class RingUnavailable(RuntimeError):
    """io_uring was asked for by name, and cannot be used; its text says why."""


def unavailable() -> str | None:
    """Why the io_uring reactor cannot be used here, for people; None if it can.

    It is tried, on a small ring of its own, in about a millisecond: versions
    say nothing about what a distribution ported back or a seccomp filter
    forbids.
    """
    try:
        _try()
    except ImportError as e:
        return f"the compiled extension is not there ({e})"
    except OSError as e:
        return _explain(e)
    except MemoryError:
        return "there is not enough memory for a ring"
    return None


def _try() -> None:
    from subproxy.reactor._probe import trial

    trial()


def _explain(e: OSError) -> str:
    if e.errno == ENOSYS:
        return "the system call is not there (ENOSYS): an old kernel, or a seccomp filter"
    if e.errno == EPERM:
        disabled = _disabled()
        if disabled in ("1", "2"):
            return f"it is switched off (the sysctl kernel.io_uring_disabled is {disabled})"
        return "it is not permitted (EPERM): a seccomp filter, as Docker has by default"
    if e.errno == EINVAL:
        return "the kernel is too old (EINVAL): Linux 6.1 has what is needed"
    if e.errno == ENOMEM:
        return "there is not enough memory for a ring, or RLIMIT_MEMLOCK forbids it"
    return f"a trial of it failed ({e.strerror})"


def _disabled() -> str:
    try:
        return _SYSCTL.read_text().strip()
    except OSError:
        return ""
