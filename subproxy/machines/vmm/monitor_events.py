"""What cloud-hypervisor tells on its event monitor: JSON objects, one after the other."""

from __future__ import annotations

import json
from typing import Final

from subproxy.machines.vmm.driver import VmmEvent, VmmEventKind

LONGEST: Final = 1 << 16
"""Bytes of an event; one has some hundred."""


class MonitorReader:
    """
    Reads C{{"timestamp": ..., "source": "vm", "event": "rebooted", "properties": null}}, over
    several lines and with blank ones between (C{event_monitor/src/lib.rs}).

    While it reboots a machine in place it tells of a shutdown too, which is no end.
    """

    def __init__(self) -> None:
        self._text = ""
        self._rebooting = False

    def feed(self, data: bytes) -> list[VmmEvent]:
        """The events that are complete with this. What is none is passed over."""
        self._text += data.decode("utf-8", "replace")
        found: list[VmmEvent] = []
        while (begin := self._text.find("{")) >= 0:
            try:
                message, end = json.JSONDecoder().raw_decode(self._text, begin)
            except (ValueError, RecursionError):
                # Not whole yet, or nothing that will ever be.
                self._text = self._text[begin:] if len(self._text) - begin <= LONGEST else ""
                return found
            self._text = self._text[end:]
            if (event := self._told(message)) is not None:
                found.append(event)
        self._text = ""
        return found

    def _told(self, message: object) -> VmmEvent | None:
        assert isinstance(message, dict)
        what = (message.get("source"), message.get("event"))
        if what == ("vm", "rebooting"):
            self._rebooting = True
        elif what == ("vm", "rebooted"):
            self._rebooting = False
            return VmmEvent(VmmEventKind.REBOOTED, "the guest has restarted, or has panicked")
        elif what == ("vm", "shutdown") and not self._rebooting:
            return VmmEvent(VmmEventKind.SHUTDOWN, "the virtual machine has ended")
        elif what == ("guest", "panic"):
            return VmmEvent(VmmEventKind.PANICKED, "cloud-hypervisor was told by the guest")
        return None
