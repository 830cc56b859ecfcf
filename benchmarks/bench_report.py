"""The tables and the plot of C{make bench}, made from its raw figures."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .contenders import REFERENCE
from .figures import Measure, idle_bytes, middle, paired_ratio, select
from .measure import Sample
from .plot import Bar, Panel, draw
from .tables import number, paragraph, table, update_page, with_ratio

FULL = 0.9
LIMITED = "\\*"
PLOT = "performance-requests.svg"
ASIDE = ("subproxy-io-uring-python", "uwsgi-keepalive")
"""Proxies that are in all tables, but not in the summary."""
SAID_OF = {
    "subproxy-io-uring": "On io_uring",
    "subproxy-compiled-epoll": "On epoll, where there is no io_uring,",
}
"""Of whom the summary speaks in words."""
FEW = 8
"""At so many connections at most, a table has how long an answer takes."""


def _cpu(sample: Sample) -> float:
    return sample.cpu_us


def _bullet(text: str) -> str:
    return textwrap.fill(
        f"- {text}", 100, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def _p50(sample: Sample) -> float:
    return float(sample.raw["p50_us"])


def _p99(sample: Sample) -> float:
    return float(sample.raw["p99_us"])


def listed(items: Iterable[str]) -> str:
    """C{1, 8 and 64}."""
    *most, last = items
    return f"{', '.join(most)} and {last}" if most else last


def _congestion(facts: dict[str, Any]) -> str:
    return f"TCP by {facts['congestion']}, " if "congestion" in facts else ""


def _rate(sample: Sample) -> float:
    return sample.rate


class Report:
    """Everything that is shown of one run; reads nothing but its results."""

    def __init__(self, results: dict[str, Any]) -> None:
        self._results = results
        self._samples = [Sample(**sample) for sample in results["samples"]]
        self._scale = [Sample(**sample) for sample in results["scale"]]
        self._titles = {name: c["title"] for name, c in results["contenders"].items()}
        self._counts: list[int] = results["settings"]["connections"]

    def cell(
        self, name: str, scenario: str, count: int, measure: Measure, *, ratio: bool = True
    ) -> str:
        """A median with its ratio to the reference."""
        samples = select(self._samples, name, scenario, count)
        reference = select(self._samples, REFERENCE, scenario, count)
        shown = paired_ratio(samples, reference, measure) if ratio else None
        return with_ratio(middle(samples, measure), None if name == REFERENCE else shown)

    def _rows(self, scenario: str, counts: Sequence[int], measure: Measure) -> list[list[str]]:
        return [
            [title, *(self.cell(name, scenario, count, measure) for count in counts)]
            for name, title in self._titles.items()
        ]

    def cpu(self, *, proxies: bool = False) -> str:
        """CPU time a request, with the ratio to the reference; of C{proxies} alone if asked."""
        head = ["CPU µs a request, connections:", *map(str, self._counts), "new connection"]
        rows = self._rows("keepalive", self._counts, _cpu)
        for row, name in zip(rows, self._titles, strict=True):
            row.append(self.cell(name, "connect", 64, _cpu))
        shown = [
            row for row, name in zip(rows, self._titles, strict=True) if self._in_summary(name)
        ]
        return table(head, shown if proxies else rows)

    def _is_proxy(self, name: str) -> bool:
        return bool(self._results["contenders"][name]["proxies"])

    def _in_summary(self, name: str) -> bool:
        return self._is_proxy(name) and name not in ASIDE

    def user_and_system(self) -> str:
        """User and system CPU time apart."""
        head = ["user + system µs, connections:", *map(str, self._counts), "new connection"]
        rows = []
        for name, title in self._titles.items():
            row = [title]
            for scenario, count in [*(("keepalive", c) for c in self._counts), ("connect", 64)]:
                samples = select(self._samples, name, scenario, count)
                user = middle(samples, lambda sample: sample.user_us)
                system = middle(samples, lambda sample: sample.system_us)
                row.append(f"{number(user)} + {number(system)}")
            rows.append(row)
        return table(head, rows)

    def rate(self) -> str:
        """Requests a second, marked where the load was the limit and not the contender."""
        head = ["requests a second, connections:", *map(str, self._counts), "new connection"]
        rows = []
        for name, title in self._titles.items():
            row = [title]
            for scenario, count in [*(("keepalive", c) for c in self._counts), ("connect", 64)]:
                busy = middle(select(self._samples, name, scenario, count), lambda s: s.busy)
                # With a few connections the core rests while the answer is under way.
                limited = busy is not None and busy < FULL and count >= 64
                cell = self.cell(name, scenario, count, _rate)
                row.append(f"{cell} {LIMITED}" if limited else cell)
            rows.append(row)
        return table(head, rows)

    def answers(self) -> str:
        """How long an answer takes where each connection asks again as soon as it has one."""
        head = ["p50, p99 in µs, connections:", *map(str, self._counts), "new connection"]
        cells = [*(("keepalive", count) for count in self._counts), ("connect", 64)]
        rows = [
            [
                title,
                *(
                    f"{self.cell(name, scenario, count, _p50)}, "
                    f"{self.cell(name, scenario, count, _p99)}"
                    for scenario, count in cells
                ),
            ]
            for name, title in self._titles.items()
        ]
        return table(head, rows)

    def latency(self) -> str:
        """Latency quantiles at constant rates."""
        rates = self._results["rates"]
        common = rates.get(REFERENCE)
        head = [
            "latency, µs",
            *(f"{q} at {number(common)}/s" for q in ("p50", "p99", "p99.9")),
            "half its own maximum",
            *("p50", "p99", "p99.9"),
        ]
        rows = []
        for name, title in self._titles.items():
            if not select(self._samples, name, "common") and name not in rates:
                continue
            row = [title, *self._quantiles(name, "common"), number(rates.get(name))]
            row += self._quantiles(name, "common" if name == REFERENCE else "own")
            rows.append(row)
        return table(head, rows)

    def _quantiles(self, name: str, scenario: str) -> list[str]:
        samples = select(self._samples, name, scenario)
        reference = select(self._samples, REFERENCE, scenario)
        cells = []
        for key in ("p50_us", "p99_us", "p999_us"):

            def measure(sample: Sample, key: str = key) -> float:
                return float(sample.raw[key])

            ratio = None if name == REFERENCE else paired_ratio(samples, reference, measure)
            cells.append(with_ratio(middle(samples, measure), ratio))
        return cells

    def memory(self) -> str:
        """Resident memory and what an idle connection adds."""
        rows = []
        for name, title in self._titles.items():
            memory = self._results["memory"].get(name)
            if memory is None:
                continue
            idle = idle_bytes(memory["rss_before"], memory["rss_after"], memory["connections"])
            rows.append(
                [
                    title,
                    f"{memory['rss_before'] / 1e6:.1f} MB",
                    f"{memory['rss_after'] / 1e6:.1f} MB",
                    f"{idle:,.0f} bytes",
                ]
            )
        count = self._results["settings"]["idle"]
        head = ["memory", "RSS, warm", f"RSS, {count:,} idle connections", "an idle connection"]
        return table(head, rows)

    def scale(self) -> str:
        """What many subscriptions add, to the proxy and to the kernel's floor."""
        if not self._scale:
            return ""
        resting = self._results["resting"]
        count = self._results["settings"]["subscriptions"]
        titles = {
            (False, 1): f"{count:,} guests, {count * 10:,} routes, requests for one of them",
            (False, count): f"the same, requests for all {count:,} hosts in turn",
            (True, count): "the kernel's floor of that (to one of one guest)",
        }
        rows = []
        for few, many, floor in self._scale_pairs():
            reference = select(self._scale, few, "keepalive")
            if not floor:
                cost = number(middle(reference, _cpu))
                rows.append(["one guest, one route", cost, f"{resting[few]:.2%}"])
            for hosts in (count,) if floor else (1, count):
                samples = select(self._scale, many, f"keepalive-hosts-{hosts}")
                cost = with_ratio(middle(samples, _cpu), paired_ratio(samples, reference, _cpu))
                rest = "-" if floor else f"{resting[many]:.2%}"
                rows.append([titles[floor, hosts], cost, rest])
        head = ["64 connections", "CPU µs a request", "of a core when nobody asks"]
        return table(head, rows)

    def _scale_pairs(self) -> list[tuple[str, str, bool]]:
        """Who had one guest, who had many, and whether these are the kernel's floor."""
        names = list(dict.fromkeys(sample.contender for sample in self._scale))
        return [
            (few, many, few.startswith("floor"))
            for few, many in zip(names[::2], names[1::2], strict=True)
        ]

    def said(self) -> str:
        """What the figures say, in sentences that are made of them."""
        items = []
        for name, where in SAID_OF.items():
            ratios = [
                paired_ratio(
                    select(self._samples, name, "keepalive", count),
                    select(self._samples, REFERENCE, "keepalive", count),
                    _cpu,
                )
                for count in self._counts
            ]
            if ratios and all(ratios):
                items.append(
                    f"{where} a request costs {listed(f'{ratio:.2f}' for ratio in ratios)} of "
                    f"{REFERENCE}'s CPU time at {listed(map(str, self._counts))} connections"
                )
        count = self._results["settings"]["subscriptions"]
        for few, many, floor in self._scale_pairs():
            reference = select(self._scale, few, "keepalive")
            one, every = (
                paired_ratio(select(self._scale, many, f"keepalive-hosts-{hosts}"), reference, _cpu)
                for hosts in (1, count)
            )
            if floor and every:
                items[-1] += f", and {every:.2f} at the kernel's floor: a socket a guest"
            elif one and every:
                items.append(
                    f"With {count:,} guests that have {count * 10:,} routes, a request for one of "
                    f"them costs {one:.2f} of what it costs with one guest; where all are asked "
                    f"in turn {every:.2f}"
                )
        return "\n".join(_bullet(f"{item}.") for item in items)

    def reactors(self) -> str:
        """The plain Twisted echo on io_uring, as a ratio to the same on epoll."""
        ring, epoll = "echo-io-uring", "echo-epoll"
        if ring not in self._titles or epoll not in self._titles:
            return ""
        row = ["CPU time a request, io_uring to epoll"]
        for scenario, count in [*(("keepalive", c) for c in self._counts), ("connect", 64)]:
            ratio = paired_ratio(
                select(self._samples, ring, scenario, count),
                select(self._samples, epoll, scenario, count),
                _cpu,
            )
            row.append("-" if ratio is None else f"{ratio:.2f}")
        head = ["plain Twisted echo, connections:", *map(str, self._counts), "new connection"]
        return table(head, [row])

    def latency_and_memory(self) -> str:
        """Of the proxies, two quantiles at the common rate, and memory, in one table."""
        common = number(self._results["rates"].get(REFERENCE))
        few = [count for count in self._counts if count <= FEW]
        rows = []
        for name, title in self._titles.items():
            memory = self._results["memory"].get(name)
            if not self._in_summary(name) or memory is None:
                continue
            p50, p99, _ = self._quantiles(name, "common")
            idle = idle_bytes(memory["rss_before"], memory["rss_after"], memory["connections"])
            soon = [self.cell(name, "keepalive", count, _p50) for count in few]
            kept = f"{memory['rss_before'] / 1e6:.1f} MB"
            rows.append([title, *soon, p50, p99, kept, f"{idle:,.0f}"])
        head = ["latency, µs; memory", *(f"p50, {count} conn." for count in few)]
        head += [f"p50 at {common}/s", f"p99 at {common}/s"]
        return table([*head, "RSS, warm", "bytes an idle connection"], rows)

    def summary(self) -> str:
        """One screen of it, for a reader."""
        facts, settings = self._results["machine"], self._results["settings"]
        parts = [
            paragraph(
                f"Measured {facts['date']}, revision {facts['revision'] or 'unknown'}, on "
                f"{facts['processor']}, Linux {facts['kernel']}. Medians of {settings['rounds']} "
                f"interleaved rounds; in parentheses the ratio to {REFERENCE}."
            ),
            self.said(),
            self.cpu(proxies=True),
            self.latency_and_memory() if self._results["memory"] else "",
            self.scale(),
        ]
        return "\n\n".join(part for part in parts if part)

    def markdown(self) -> str:
        """All tables."""
        facts, settings = self._results["machine"], self._results["settings"]
        versions = ", ".join(
            f"{c['title']} {c['version']}"
            for c in self._results["contenders"].values()
            if c["version"] and c["proxies"]
        )
        parts = [
            paragraph(
                f"Measured {facts['date']}, revision {facts['revision'] or 'unknown'}: "
                f"{facts['processor']}, {facts['cores']:.0f} cores, Linux {facts['kernel']}, "
                f"CPython {facts['python']}, {_congestion(facts)}"
                f"load before {facts['load_before']:.1f}; {versions}. "
                f"{settings['rounds']} interleaved rounds of "
                f"{settings['seconds']:g} s, medians; in parentheses the ratio to {REFERENCE}, "
                "pair by pair."
            ),
            self.cpu(),
            self.user_and_system(),
            self.reactors(),
            self.rate(),
            paragraph(
                f"{LIMITED} the load or the backend was the limit: the contender ran for less "
                f"than {FULL:.0%} of the time."
            ),
            self.answers(),
            self.latency(),
            self.memory() if self._results["memory"] else "",
            self.scale(),
            f"![CPU time a request]({PLOT})",
        ]
        return "\n\n".join(part for part in parts if part)

    def plot(self) -> str:
        """User and system time a request, a panel a number of connections."""
        panels = []
        cells = [(f"{c} connection" + "s" * (c > 1), "keepalive", c) for c in self._counts]
        for title, scenario, count in [*cells, ("new connection", "connect", 64)]:
            bars = []
            for name, label in self._titles.items():
                samples = select(self._samples, name, scenario, count)
                user = middle(samples, lambda sample: sample.user_us)
                system = middle(samples, lambda sample: sample.system_us)
                parts = () if user is None or system is None else (user, system)
                bars.append(Bar(label.replace(" (no upstream)", "*"), parts))
            panels.append(Panel(title, tuple(bars)))
        title = "CPU µs a request, each panel on its own scale (* no upstream)"
        return draw(title, panels, ("user", "system"))


def write(report: Report, page: Path, tables: Path) -> None:
    """Puts the summary into C{page}, all tables into C{tables}, and the plot beside these."""
    for path in (page, tables):
        path.parent.mkdir(parents=True, exist_ok=True)
    update_page(page, "bench", report.summary())
    update_page(tables, "bench", report.markdown())
    (tables.parent / PLOT).write_text(report.plot())
