from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.vmm.driver import VmmEvent, VmmEventKind
from subproxy.machines.vmm.monitor_events import LONGEST, MonitorReader


def event(name: str, source: str = "vm") -> bytes:
    """An event as it is written."""
    message = {
        "timestamp": {"secs": 0, "nanos": 24},
        "source": source,
        "event": name,
        "properties": None,
    }
    return json.dumps(message, indent=2).encode() + b"\n\n"


def kinds(*pieces: bytes) -> list[VmmEventKind]:
    """What is read of it."""
    reader = MonitorReader()
    return [each.kind for piece in pieces for each in reader.feed(piece)]


EVENTS = st.sampled_from(["booted", "rebooting", "shutdown", "rebooted", "deleted"])


class MonitorReaderTests(SynchronousTestCase):
    def test_events(self) -> None:
        self.assertEqual(
            kinds(event("starting", "vmm"), event("booted"), event("shutdown"), event("deleted")),
            [VmmEventKind.SHUTDOWN],
        )
        self.assertEqual(kinds(event("panic", "guest")), [VmmEventKind.PANICKED])

    def test_a_shutdown_within_a_reboot_is_none(self) -> None:
        reboot = event("rebooting") + event("shutdown") + event("rebooted")
        self.assertEqual(
            kinds(reboot, event("shutdown")), [VmmEventKind.REBOOTED, VmmEventKind.SHUTDOWN]
        )

    def test_what_is_none(self) -> None:
        for piece in (b"", b"\n\n", b"x", b"{}", b'{"source": 3, "event": []}', b"{" * 9000):
            self.assertEqual(kinds(piece), [])

    def test_what_never_ends_is_forgotten(self) -> None:
        reader = MonitorReader()
        self.assertEqual(reader.feed(b"{" + b" " * LONGEST), [])
        self.assertEqual(
            reader.feed(event("shutdown")),
            [VmmEvent(VmmEventKind.SHUTDOWN, "the virtual machine has ended")],
        )

    @given(st.lists(EVENTS, max_size=5), st.integers(1, 40))
    def test_in_pieces(self, names: list[str], size: int) -> None:
        data = b"".join(map(event, names))
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        self.assertEqual(kinds(*pieces), kinds(data))

    @given(st.lists(st.binary(), max_size=5))
    def test_anything(self, pieces: list[bytes]) -> None:
        kinds(*pieces)
