"""
C{subproxy top}: who serves what, again and again.

On a terminal it stays in place and takes keys, if rich is there (C{pip install
'subscription-proxy-vsock[top]'}); else it prints tables one after the other.
"""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from subproxy.cli import rates
from subproxy.cli.tables import table
from subproxy.core.printable import printable

Data = dict[str, Any]
VIEWS = ("subscribers", "routes")
CLEAR = "\x1b[H\x1b[2J"
HELP = "q quit  v view  s sort by the next column  r reverse"


class TopView:
    """
    What is shown, and in which order: no I/O.

    @ivar view: one of L{VIEWS}.
    @ivar column: the one that is sorted by.
    """

    def __init__(self, view: str, sort: str | None = None) -> None:
        self.view = view
        self.column = 0
        self.falling = False
        self._data: Data | None = None
        self._last: Data | None = None
        if sort is not None:
            self.column = self.columns.index(sort)
            self.falling = self.column > 0

    @property
    def columns(self) -> tuple[str, ...]:
        """Their heads."""
        return rates.ROUTE_COLUMNS if self.view == "routes" else rates.SUBSCRIBER_COLUMNS

    def take(self, data: Data) -> None:
        """There is a new look."""
        self._last, self._data = self._data, data

    def press(self, key: str) -> bool:
        """What a key does; whether to go on."""
        if key == "v":
            self.view = VIEWS[1 - VIEWS.index(self.view)]
            self.column, self.falling = 0, False
        elif key == "s":
            self.column = (self.column + 1) % len(self.columns)
            self.falling = self.column > 0
        elif key == "r":
            self.falling = not self.falling
        return key not in ("q", "\x03", "\x1b")

    @property
    def summary(self) -> str:
        """One line."""
        assert self._data is not None
        return rates.summary(self._data, self._last)

    def rows(self) -> list[tuple[Any, ...]]:
        """Those of the view, sorted."""
        assert self._data is not None
        if self.view == "routes":
            found = rates.route_rows(self._data, self._last)
        else:
            found = rates.subscriber_rows(self._data)
        return rates.arranged(found, self.column, self.falling)

    def text(self) -> str:
        """All of it, for what is no terminal, or has no rich."""
        rows = self.rows()
        if not rows:
            return f"no {self.view}"
        cells = [["-" if cell is None else cell for cell in row] for row in rows]
        return table([name.upper() for name in self.columns], cells)


def top(
    look: Callable[[], Data], view: TopView, interval: float, count: int, as_json: bool
) -> None:
    """
    Look, and show, until it has been done often enough.

    @param look: asks the proxy.
    @param interval: seconds between looks.
    @param count: how often; 0 for no end.
    """
    on_terminal = sys.stdout.isatty() and sys.stdin.isatty() and not as_json
    if on_terminal and _has_rich():
        _live(look, view, interval, count)
        return
    done = 0
    while True:
        data = look()
        view.take(data)
        if as_json:
            import json

            print(json.dumps(data), flush=True)
        else:
            clear = CLEAR if sys.stdout.isatty() else ""
            print(f"{clear}{printable(view.summary)}\n{view.text()}", flush=True)
        done += 1
        if done == count:
            return
        time.sleep(interval)


def _has_rich() -> bool:
    from importlib.util import find_spec

    return find_spec("rich") is not None


def _live(look: Callable[[], Data], view: TopView, interval: float, count: int) -> None:
    from rich.live import Live

    done = 0
    with _keys() as wait_key, Live(auto_refresh=False, screen=True) as live:
        while True:
            view.take(look())
            done += 1
            due = time.monotonic() + interval
            while True:
                live.update(_picture(view, live.console.height), refresh=True)
                if done == count:
                    return
                left = due - time.monotonic()
                key = wait_key(left) if left > 0 else ""
                if not key:
                    break
                if not view.press(key):
                    return


def _picture(view: TopView, height: int) -> Any:
    """What is on the screen; a terminal that is too low shows the first rows."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    found = Table(box=None, expand=True, pad_edge=False)
    for at, name in enumerate(view.columns):
        sign = (" v" if view.falling else " ^") if at == view.column else ""
        wide = at == 0
        found.add_column(
            name.upper() + sign,
            justify="left" if wide else "right",
            overflow="ellipsis",
            no_wrap=True,
            ratio=1 if wide else None,
        )
    for row in view.rows()[: max(1, height - 4)]:
        # Text, not markup: what a guest is called paints nothing.
        found.add_row(*(Text(printable(rates.shown(cell))) for cell in row))
    return Group(Text(printable(view.summary)), Text(f"{view.view}: {HELP}", style="dim"), found)


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """The terminal gives each key at once; afterwards it is as before."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def wait(seconds: float) -> str:
        ready, _, _ = select.select([descriptor], [], [], seconds)
        if not ready:
            return ""
        # The end of the input ends the view.
        return os.read(descriptor, 1).decode("latin-1") or "q"

    try:
        tty.setcbreak(descriptor)
        yield wait
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
