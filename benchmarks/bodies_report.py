"""The tables and the plot of C{make bench-bodies}, made from its raw figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .bench_report import listed
from .figures import Measure, middle, paired_ratio, select
from .measure import Sample
from .plot import Bar, Panel, draw
from .tables import number, paragraph, size_text, table, update_page, with_ratio

REFERENCE = "haproxy"
SAID_OF = "subproxy-io-uring"
"""Of whom the summary speaks in words."""
PLOT = "performance-bodies.svg"


def _memory(setting: str | None) -> str:
    """What bodies were sent from; None: a run from before that was set."""
    return "from large pages" if setting == "advise" else "from pages as they come"


def _cost(sample: Sample) -> float:
    return sample.cpu_seconds_per_gb


def _throughput(sample: Sample) -> float:
    return sample.gb_per_second


def _p99(sample: Sample) -> float:
    return float(sample.raw["p99_us"])


class Report:
    """Everything that is shown of one run; reads nothing but its results."""

    def __init__(self, results: dict[str, Any]) -> None:
        self._results = results
        self._samples = [Sample(**sample) for sample in results["samples"]]
        self._titles = {name: c["title"] for name, c in results["contenders"].items()}
        settings = results["settings"]
        self._cells = [(size, n) for size in settings["sizes"] for n in settings["clients"]]

    def _table(self, direction: str, what: str, measure: Measure) -> str:
        head = [f"{direction}s, {what}"]
        head += [f"{size_text(size)}, {clients}" for size, clients in self._cells]
        rows = [[title] for title in self._titles.values()]
        for size, clients in self._cells:
            cells = self._cells_of(f"{direction}-{size}", clients, measure)
            for row, cell in zip(rows, cells, strict=True):
                row.append(cell)
        return table(head, rows)

    def at_most_clients(self) -> str:
        """CPU seconds per GB and throughput at the most clients: a row a size and direction."""
        settings = self._results["settings"]
        clients = max(settings["clients"])
        head = [f"{clients} clients", *self._titles.values()]
        head += [f"{title}, GB/s" for title in self._titles.values()]
        rows = []
        for direction in ("download", "upload"):
            for size in settings["sizes"]:
                row = [f"{size_text(size)} {direction}"]
                for measure in (_cost, _throughput):
                    row += self._cells_of(f"{direction}-{size}", clients, measure)
                rows.append(row)
        return table(head, rows)

    def _cells_of(self, scenario: str, clients: int, measure: Measure) -> list[str]:
        """A figure of each contender, in their order, with its ratio to the reference's."""
        reference = select(self._samples, REFERENCE, scenario, clients)
        cells = []
        for name in self._titles:
            samples = select(self._samples, name, scenario, clients)
            ratio = None if name == REFERENCE else paired_ratio(samples, reference, measure)
            cells.append(with_ratio(middle(samples, measure), ratio))
        return cells

    def summary(self) -> str:
        """One screen of it, for a reader."""
        facts, settings = self._results["machine"], self._results["settings"]
        parts = [
            paragraph(
                f"Measured {facts['date']}, revision {facts['revision'] or 'unknown'}, on "
                f"{facts['processor']}, Linux {facts['kernel']}. Medians of {settings['rounds']} "
                "interleaved rounds; in parentheses the ratio to HAProxy. CPU s per GB, then GB/s."
            ),
            self.said(),
            self.at_most_clients(),
        ]
        if settings["seconds"]:
            parts += [self._about_small(), self.fairness()]
        return "\n\n".join(parts)

    def said(self) -> str:
        """What the figures say of CPU time at the most clients, in a sentence made of them."""
        settings = self._results["settings"]
        clients = max(settings["clients"])
        sizes: list[int] = settings["sizes"]
        parts = []
        for direction in ("download", "upload"):
            ratios = [
                paired_ratio(
                    select(self._samples, SAID_OF, f"{direction}-{size}", clients),
                    select(self._samples, REFERENCE, f"{direction}-{size}", clients),
                    _cost,
                )
                for size in sizes
            ]
            if all(ratios):
                parts.append(f"as {direction}s {listed(f'{ratio:.2f}' for ratio in ratios)}")
        return paragraph(
            f"Of HAProxy's CPU time, with {clients} clients, bodies of "
            f"{listed(map(size_text, sizes))} cost on io_uring: {'; '.join(parts)}."
        )

    def _about_small(self) -> str:
        rate = self._results["settings"]["rate"]
        return paragraph(
            f"{rate:,} small requests a second on 8 connections; in parentheses the ratio to the "
            "quiet value of the same contender."
        )

    def fairness(self) -> str:
        """The p99 of small requests, quiet and beside transfers."""
        head = ["small requests, p99 µs"]
        for direction in ("download", "upload"):
            head += ["quiet", f"beside 16 {direction}s", "GB/s of these"]
        rows = []
        for name, title in self._titles.items():
            row = [title]
            for direction in ("download", "upload"):
                quiet = select(self._samples, name, f"quiet-{direction}")
                busy = select(self._samples, name, f"busy-{direction}")
                moved = middle(busy, lambda sample: sample.raw["beside_gb_per_second"])
                row += [
                    number(middle(quiet, _p99)),
                    with_ratio(middle(busy, _p99), paired_ratio(busy, quiet, _p99)),
                    number(moved),
                ]
            rows.append(row)
        return table(head, rows)

    def _fewer(self) -> str:
        """Where a run in pieces had fewer rounds than most."""
        most = self._results["settings"]["rounds"]
        counts = {
            f"of {size_text(size)}, {clients}": self._rounds(f"download-{size}", clients)
            for size, clients in self._cells
        }
        counts["of small requests"] = self._rounds("quiet-download", None)
        fewer = [f"{count} {what}" for what, count in counts.items() if 0 < count < most]
        return f" ({', '.join(fewer)})" if fewer else ""

    def _rounds(self, scenario: str, clients: int | None) -> int:
        return len(select(self._samples, REFERENCE, scenario, clients))

    def markdown(self) -> str:
        """All tables."""
        facts, settings = self._results["machine"], self._results["settings"]
        parts = [
            paragraph(
                f"Measured {facts['date']}, revision {facts['revision'] or 'unknown'}: "
                f"{facts['processor']}, Linux {facts['kernel']}, "
                f"TCP by {facts.get('congestion', 'unknown')}, "
                f"bodies {_memory(facts.get('pages'))}, "
                f"load before {facts['load_before']:.1f}. Body size, clients; medians of "
                f"{settings['rounds']} interleaved rounds{self._fewer()}; in parentheses the "
                "ratio to HAProxy, pair by pair. GB is 10^9 bytes."
            )
        ]
        for direction in ("download", "upload"):
            parts.append(self._table(direction, "CPU s per GB", _cost))
            parts.append(self._table(direction, "GB/s", _throughput))
        if settings["seconds"]:
            parts += [self._about_small(), self.fairness()]
        parts.append(f"![CPU time of large bodies]({PLOT})")
        return "\n\n".join(parts)

    def plot(self) -> str:
        """CPU seconds per GB, a panel a direction and size, at the most clients."""
        clients = max(self._results["settings"]["clients"])
        panels = []
        for direction in ("download", "upload"):
            for size in self._results["settings"]["sizes"]:
                bars = []
                for name, label in self._titles.items():
                    samples = select(self._samples, name, f"{direction}-{size}", clients)
                    cost = middle(samples, _cost)
                    bars.append(Bar(label, () if cost is None else (cost,)))
                panels.append(Panel(f"{direction}, {size_text(size)}", tuple(bars)))
        title = f"CPU s per GB, {clients} clients, each panel on its own scale"
        return draw(title, panels, ("CPU s per GB",))


def write(report: Report, page: Path, tables: Path) -> None:
    """Puts the summary into C{page}, all tables into C{tables}, and the plot beside these."""
    for path in (page, tables):
        path.parent.mkdir(parents=True, exist_ok=True)
    update_page(page, "bench-bodies", report.summary())
    update_page(tables, "bench-bodies", report.markdown())
    (tables.parent / PLOT).write_text(report.plot())
