"""
A victim beside each hostile client of HTTP/2: what the victim's clients notice, and what the proxy
spends.

    python -m tests.integration.beside_http2 [--seconds N] [--rounds N] [ATTACK...]

As L{tests.integration.beside}: rounds without the attack and with it take turns. The attacker sends
what L{tests.rigs.http2_floods} has, as fast as it is read, on a few connections at a time; when one
is closed it dials again. It asks for a guest of its own.
"""

from __future__ import annotations

import argparse
import os
import selectors
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.build import program
from benchmarks.rig import cpu_seconds
from tests.integration.attack_apart import AttackApart, tell
from tests.integration.beside import Asked, Stage
from tests.integration.test_main_job import memory_of
from tests.rigs.http2_floods import COSTLY, ERRORS, FLOODS, Attack

ATTACKS: dict[str, Attack] = {**FLOODS, **ERRORS, **COSTLY}
MODULE = "tests.integration.beside_http2"
CONNECTIONS = 4
PREPARED = 4_000
"""Pieces that are made before the attack, so that it costs the attacker little."""

AT_ONCE = 65_536
"""Bytes that are written at once."""


@dataclass
class Seen:
    """
    What was seen of one attack.

    @ivar quiet: the victim's clients in each round without it.
    @ivar attacked: the same with it.
    @ivar spent: CPU seconds a second of the proxy in each round without it.
    @ivar spent_attacked: the same with it.
    @ivar peak: bytes of memory that the proxy had more at its worst than before, in each.
    @ivar dialled: connections of the attacker.
    @ivar sent: its bytes.
    """

    name: str
    quiet: list[Asked] = field(default_factory=list)
    attacked: list[Asked] = field(default_factory=list)
    spent: list[float] = field(default_factory=list)
    spent_attacked: list[float] = field(default_factory=list)
    peak: list[int] = field(default_factory=list)
    dialled: int = 0
    sent: int = 0

    def __str__(self) -> str:
        quiet, attacked = (
            median(each.p99 * 1e3 for each in rounds) for rounds in (self.quiet, self.attacked)
        )
        total = sum(each.total for each in self.attacked)
        failed = sum(each.failed for each in self.attacked)
        return (
            f"| {self.name} | {failed} of {total:,} | {quiet:.2f} → {attacked:.2f} ms"
            f" ({attacked / quiet:.1f}) | {median(self.spent):.2f} →"
            f" {median(self.spent_attacked):.2f} | {max(self.peak) / 1e6:+.1f} MB |"
            f" {self.dialled:,}, {self.sent / 1e6:.1f} MB |"
        )


class Attacker:
    """
    Attacks from a thread.

    @ivar dialled: how often it has connected.
    @ivar sent: how many bytes it has sent.
    """

    def __init__(self, attack: Attack, port: int) -> None:
        self._port = port
        self._prepared = list(prepared(attack))
        self._selector = selectors.DefaultSelector()
        self.dialled = 0
        self.sent = 0

    def start(self) -> None:
        """Connect, and begin."""
        for _ in range(CONNECTIONS):
            self._dial()
        threading.Thread(target=self._attack, daemon=True).start()

    def _attack(self) -> None:
        try:
            self._run()
        except Exception:
            traceback.print_exc()
            os._exit(1)  # who waits for the attack is to know

    def _run(self) -> None:
        while True:
            for key, events in self._selector.select():
                try:
                    self._serve(key, events)
                except OSError:
                    self._selector.unregister(key.fileobj)
                    key.data[0].close()
                    self._dial()

    def _dial(self) -> None:
        client = socket.create_connection(("127.0.0.1", self._port), 20)
        client.setblocking(False)
        self.dialled += 1
        waits = [client, iter(self._prepared), memoryview(b"")]
        self._selector.register(client, selectors.EVENT_READ | selectors.EVENT_WRITE, waits)

    def _serve(self, key: selectors.SelectorKey, events: int) -> None:
        client, pieces, left = key.data
        if events & selectors.EVENT_READ and not client.recv(1 << 20):
            raise ConnectionResetError
        if events & selectors.EVENT_WRITE:
            if not left:
                piece = next(pieces, None)
                if piece is None:
                    # All is said: what it holds is held until somebody closes.
                    self._selector.modify(client, selectors.EVENT_READ, key.data)
                    return
                left = memoryview(piece)
            with suppress(BlockingIOError):
                count = client.send(left)
                self.sent += count
                left = left[count:]
            key.data[2] = left


def prepared(attack: Attack) -> Iterator[bytes]:
    """The bytes of one connection, in large pieces."""
    out = bytearray(attack.greeting)
    for _, piece in zip(range(PREPARED), attack.pieces(), strict=False):
        out += piece
        if len(out) > AT_ONCE:
            yield bytes(out)
            out.clear()
    yield bytes(out)


def peak_of(pid: int) -> int:
    """The most memory that a process has had, bytes."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0]) * 1024


def attacked(stage: Stage, name: str, seconds: float, seen: Seen) -> None:
    """One round without the attack, and one with it."""
    pid = stage.proxy.child.pid
    before, began = cpu_seconds([pid]), time.monotonic()
    seen.quiet.append(stage.ask(seconds))
    seen.spent.append((cpu_seconds([pid]) - before) / (time.monotonic() - began))
    memory = memory_of(pid)
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak is counted anew
    attack = AttackApart(MODULE, "--attack", name, str(stage.world.port))
    before, began = cpu_seconds([pid]), time.monotonic()
    seen.attacked.append(stage.ask(seconds))
    seen.spent_attacked.append((cpu_seconds([pid]) - before) / (time.monotonic() - began))
    seen.peak.append(peak_of(pid) - memory)
    dialled, sent = attack.stop()
    seen.dialled += dialled
    seen.sent += sent
    assert "Traceback" not in stage.proxy.output, stage.proxy.output
    time.sleep(0.2)


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[1])
    parser.add_argument("attack", nargs="*", choices=[[], *ATTACKS])
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--attack", dest="attacker", nargs=2, metavar=("NAME", "PORT"))
    options = parser.parse_args()
    if options.attacker:
        name, port = options.attacker
        attacker = Attacker(ATTACKS[name], int(port))
        attacker.start()
        tell(attacker)
        return
    with Stage("--keepalive-timeout=75") as stage:
        guest = [program("guest"), f"{stage.hostile}_12345", "a.example", "1", "1"]
        stage.world.start("asked", guest)
        stage.proxy.wait_for(r"serves a\.example")
        stage.ask(0.5)
        for name in options.attack or ATTACKS:
            seen = Seen(name)
            for _ in range(options.rounds):
                attacked(stage, name, options.seconds, seen)
            print(seen, flush=True)


if __name__ == "__main__":
    main()
