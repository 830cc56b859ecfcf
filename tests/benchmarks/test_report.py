"""The reports of both benchmarks, made from raw figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import bench_report, bodies_report
from benchmarks.plot import Bar, Panel, columns, draw

MACHINE = {
    "date": "2026-01-01 00:00 UTC",
    "kernel": "6.12",
    "processor": "X <&> Y",
    "cores": 2.0,
    "load_before": 0.0,
    "python": "3.11.2",
    "revision": "abc",
}


def raw(cpu_us: float, **more: Any) -> dict[str, Any]:
    return {
        "requests": 1000,
        "seconds": 1.0,
        "cpu_ns": int(cpu_us * 1e6),
        "user_ticks": 1,
        "system_ticks": 1,
        "p50_us": 100.0,
        "p99_us": 200.0,
        "p999_us": 300.0,
        **more,
    }


def one(name: str, scenario: str, connections: int, figures: dict[str, Any]) -> dict[str, Any]:
    return {
        "contender": name,
        "scenario": scenario,
        "connections": connections,
        "round": 0,
        "raw": figures,
    }


def requests() -> dict[str, Any]:
    proxy = {"version": "1", "proxies": True}
    return {
        "machine": MACHINE,
        "settings": {
            "rounds": 1,
            "seconds": 1.0,
            "connections": [1, 64],
            "idle": 10_000,
            "subscriptions": 1000,
        },
        "contenders": {
            "mine": {"title": "subproxy", **proxy},
            "nginx": {"title": "nginx", **proxy},
        },
        "rates": {"nginx": 5000.0, "mine": 9000.0},
        "samples": [
            one("mine", "keepalive", 64, raw(10)),
            one("nginx", "keepalive", 64, raw(20)),
            one("mine", "connect", 64, raw(50)),
            one("nginx", "common", 64, raw(20)),
            one("mine", "common", 64, raw(10, p99_us=100.0)),
        ],
        "memory": {"mine": {"connections": 10_000, "rss_before": 0, "rss_after": 20_000_000}},
        "scale": [
            one("mine", "keepalive", 64, raw(10)),
            one("many", "keepalive-hosts-1", 64, raw(10.5)),
            one("many", "keepalive-hosts-1000", 64, raw(12)),
            one("floor-1", "keepalive", 64, raw(5)),
            one("floor-1000", "keepalive-hosts-1000", 64, raw(8)),
        ],
        "resting": {"mine": 0.0012, "many": 0.034},
        "problems": [],
    }


class RequestsReportTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.report = bench_report.Report(requests())

    def test_ratioToNginx(self) -> None:
        """Each figure has its ratio to nginx in the same run; what was not measured is a hyphen."""
        self.assertIn("| subproxy | - | 10.0 (0.50) | 50.0 |", self.report.cpu())
        self.assertIn("| nginx | - | 20.0 | - |", self.report.cpu())

    def test_userAndSystem(self) -> None:
        """User and system time stand apart."""
        self.assertIn("| nginx | - + - | 10.0 + 10.0 |", self.report.user_and_system())

    def test_latency(self) -> None:
        """Latencies at half of nginx's maximum."""
        text = self.report.latency()
        self.assertIn("p99 at 5,000/s", text)
        self.assertIn("| subproxy | 100 (1.00) | 100 (0.50) | 300 (1.00) | 9,000 |", text)

    def test_memory(self) -> None:
        """What an idle connection costs."""
        self.assertIn("| subproxy | 0.0 MB | 20.0 MB | 2,000 bytes |", self.report.memory())

    def test_scale(self) -> None:
        """What a thousand subscriptions add, as a ratio to one."""
        text = self.report.scale()
        self.assertIn("| one guest, one route | 10.0 | 0.12% |", text)
        self.assertIn("requests for one of them | 10.5 (1.05) | 3.40% |", text)
        self.assertIn("requests for all 1,000 hosts in turn | 12.0 (1.20) | 3.40% |", text)
        self.assertIn("kernel's floor of that (to one of one guest) | 8.00 (1.60) | - |", text)

    def test_said(self) -> None:
        """Sentences have the ratios of the tables, of what was measured at each number."""
        results = requests()
        self.assertNotIn("io_uring", bench_report.Report(results).said())
        results["contenders"]["subproxy-io-uring"] = results["contenders"]["mine"]
        for connections, cost in ((1, 18), (64, 9)):
            results["samples"].append(one("subproxy-io-uring", "keepalive", connections, raw(cost)))
        self.assertNotIn("io_uring", bench_report.Report(results).said())
        results["samples"].append(one("nginx", "keepalive", 1, raw(24)))
        text = " ".join(bench_report.Report(results).said().split())
        self.assertIn("On io_uring a request costs 0.75 and 0.45 of nginx's CPU time", text)
        self.assertIn("at 1 and 64 connections", text)
        self.assertIn("one of them costs 1.05 of what it costs with one guest", text)
        self.assertIn("where all are asked in turn 1.20, and 1.60 at the kernel's floor", text)

    def test_answers(self) -> None:
        """How long an answer takes, at each number of connections and on new ones."""
        text = self.report.answers()
        self.assertIn("| subproxy | -, - | 100 (1.00), 200 (1.00) | 100, 200 |", text)

    def test_limitedByTheLoad(self) -> None:
        """A rate at which the server's core rested is marked."""
        results = requests()
        results["samples"].append(one("nginx", "connect", 64, raw(950)))
        text = bench_report.Report(results).rate()
        self.assertIn("| nginx | - | 1,000 \\* | 1,000 |", text)

    def test_reactors(self) -> None:
        """The echo on both reactors is compared pair by pair."""
        self.assertEqual(self.report.reactors(), "")
        results = requests()
        for name, cost in (("echo-io-uring", 9), ("echo-epoll", 20)):
            results["contenders"][name] = {"title": name, "version": "", "proxies": False}
            results["samples"].append(one(name, "keepalive", 64, raw(cost)))
        text = bench_report.Report(results).reactors()
        self.assertIn("io_uring to epoll | - | 0.45 | - |", text)

    def test_plot(self) -> None:
        """The plot is XML, whatever names are in it."""
        ElementTree.fromstring(self.report.plot())

    def test_summary(self) -> None:
        """Of the proxies alone, and the page of all tables has those figures too."""
        results = requests()
        results["contenders"]["echo"] = {"title": "echo", "version": "", "proxies": False}
        results["samples"].append(one("echo", "keepalive", 64, raw(5)))
        report = bench_report.Report(results)
        text = report.summary()
        self.assertIn("| subproxy | - | 10.0 (0.50) | 50.0 |", text)
        self.assertIn("| subproxy | - | 100 (1.00) | 100 (0.50) | 0.0 MB | 2,000 |", text)
        self.assertIn(report.said(), text)
        self.assertNotIn("echo", text)
        self.assertIn("echo", report.markdown())

    def test_both_pages(self) -> None:
        """The summary goes into one, the tables into the other, with the plot beside them."""
        folder = Path(self.mktemp())
        page, tables = folder / "docs" / "page.md", folder / "tables" / "tables.md"
        bench_report.write(self.report, page, tables)
        self.assertIn(self.report.summary(), page.read_text())
        self.assertIn(self.report.markdown(), tables.read_text())
        self.assertEqual((tables.parent / bench_report.PLOT).read_text(), self.report.plot())

    def test_markdown(self) -> None:
        """All parts are there."""
        text = self.report.markdown()
        for part in ("requests a second", "user + system", "latency", "memory", "abc"):
            self.assertIn(part, text)


class BodiesReportTests(SynchronousTestCase):
    def setUp(self) -> None:
        size = 1 << 20
        moved = {"bytes": 10**9, "transfers": 1000, "size": size}
        self.report = bodies_report.Report(
            {
                "machine": MACHINE,
                "settings": {
                    "rounds": 1,
                    "sizes": [size],
                    "clients": [1],
                    "seconds": 1.0,
                    "rate": 1000,
                },
                "contenders": {
                    "subproxy-io-uring": {"title": "subproxy", "version": "1"},
                    "haproxy": {"title": "HAProxy", "version": "2"},
                },
                "samples": [
                    one("subproxy-io-uring", f"download-{size}", 1, raw(400, **moved)),
                    one("haproxy", f"download-{size}", 1, raw(500, **moved)),
                    one(
                        "subproxy-io-uring",
                        "quiet-upload",
                        8,
                        raw(1, p99_us=100.0, beside_gb_per_second=0),
                    ),
                    one(
                        "subproxy-io-uring",
                        "busy-upload",
                        8,
                        raw(1, p99_us=250.0, beside_gb_per_second=2.0),
                    ),
                ],
                "problems": [],
            }
        )

    def test_ratioToHAProxy(self) -> None:
        """CPU seconds per GB and throughput with the ratio to HAProxy's."""
        text = self.report.markdown()
        self.assertIn("| subproxy | 0.400 (0.80) |", text)
        self.assertIn("| subproxy | 1.00 (1.00) |", text)

    def test_summary(self) -> None:
        """Both directions and both measures in one table, at the most clients."""
        text = self.report.summary()
        self.assertIn("| 1 clients | subproxy | HAProxy | subproxy, GB/s | HAProxy, GB/s |", text)
        self.assertIn("| 1 MiB download | 0.400 (0.80) | 0.500 | 1.00 (1.00) | 1.00 |", text)
        self.assertIn("| 1 MiB upload | - | - | - | - |", text)

    def test_said(self) -> None:
        """The summary's sentence is made of the ratios; what was not measured is not in it."""
        self.assertEqual(
            self.report.said(),
            "Of HAProxy's CPU time, with 1 clients, bodies of 1 MiB cost on io_uring: "
            "as downloads 0.80.",
        )

    def test_fairness_is_shown(self) -> None:
        text = self.report.summary()
        self.assertIn(self.report.fairness(), text)

    def test_both_pages(self) -> None:
        """The summary goes into one, the tables into the other, with the plot beside them."""
        folder = Path(self.mktemp())
        page, tables = folder / "docs" / "page.md", folder / "tables" / "tables.md"
        bodies_report.write(self.report, page, tables)
        self.assertIn(self.report.summary(), page.read_text())
        self.assertIn(self.report.markdown(), tables.read_text())
        self.assertTrue((tables.parent / bodies_report.PLOT).exists())

    def test_fairness(self) -> None:
        """The busy p99 is compared with the same contender's quiet one."""
        self.assertIn("| 100 | 250 (2.50) | 2.00 |", self.report.fairness())

    def test_plot(self) -> None:
        """The plot is XML."""
        ElementTree.fromstring(self.report.plot())


class PlotTests(SynchronousTestCase):
    def test_rowsOfPanels(self) -> None:
        """Panels wrap into rows that are as even as can be."""
        self.assertEqual([columns(n) for n in (1, 3, 4, 5, 8, 9)], [1, 3, 4, 3, 4, 3])

    def test_barsStack(self) -> None:
        """The parts of a bar follow each other, in proportion."""
        panel = Panel("p & q", (Bar("a<b", (3.0, 1.0)), Bar("none", ())))
        tree = ElementTree.fromstring(draw("t", [panel], ("user", "system")))
        rects = [e.attrib for e in tree.iter() if e.tag.endswith("rect")]
        bars = [r for r in rects if r["height"] == "14"]
        self.assertEqual(len(bars), 2)
        first, second = (float(bar["width"]) for bar in bars)
        self.assertAlmostEqual(first / second, 3.0, delta=0.05)
        self.assertAlmostEqual(float(bars[0]["x"]) + first, float(bars[1]["x"]), delta=0.2)
