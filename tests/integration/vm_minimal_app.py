"""The application of the minimal guest in test_vm_guest."""

from pathlib import Path

BOOT = Path("/proc/sys/kernel/random/boot_id").read_bytes()


def app(method, target, headers, body):
    """Says who it is, and what it was sent."""
    if target == b"/boot":
        return 200, [], BOOT
    if target == b"/echo":
        return 200, [], body.read()
    return 404, [], b""
