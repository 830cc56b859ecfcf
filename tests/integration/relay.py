"""
A relay between a guest and the proxy that is as bad as a network can be: it delays, splits into
single bytes, stalls and resets. It listens where a VMM's guest would dial.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from pathlib import Path


class Relay:
    """
    Relays each connection to a UNIX socket by two threads.

    @ivar delay: seconds that each piece waits, at most.
    @ivar split: bytes of a piece, at most; 0 for as they come.
    @ivar stalled: while true nothing moves.
    """

    def __init__(self, listen: Path, target: Path) -> None:
        self.delay = 0.0
        self.split = 0
        self.stalled = False
        self._target = target
        self._ending = False
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(listen))
        self._listening.listen(1024)
        threading.Thread(target=self._accept, daemon=True).start()

    def reset(self) -> None:
        """Cut every connection, whatever is under way."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self) -> None:
        """End."""
        self._ending = True
        self._listening.close()
        self.reset()

    def _accept(self) -> None:
        while True:
            try:
                guest, _ = self._listening.accept()
            except OSError:
                return
            proxy = socket.socket(socket.AF_UNIX)
            try:
                proxy.connect(str(self._target))
            except OSError:
                guest.close()
                continue
            self._pairs.append((guest, proxy))
            for one, other in ((guest, proxy), (proxy, guest)):
                threading.Thread(target=self._copy, args=(one, other), daemon=True).start()

    def _copy(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                size = self.split or len(data)
                for at in range(0, len(data), size):
                    while self.stalled and not self._ending:
                        time.sleep(0.01)
                    if self.delay:
                        time.sleep(random.random() * self.delay)
                    other.sendall(data[at : at + size])
        except OSError:
            pass
        for end in (one, other):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        one.close()
