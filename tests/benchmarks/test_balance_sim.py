"""Tests of benchmarks/balance_sim.py: what the policies are judged by."""

from __future__ import annotations

import importlib.util
import json
import sys
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.rigs.paths import ROOT

PATH = ROOT / "benchmarks" / "balance_sim.py"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("balance_sim", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["balance_sim"] = module
    spec.loader.exec_module(module)
    return module


class BalanceSimTests(SynchronousTestCase):
    """The simulation, short."""

    def setUp(self) -> None:
        before = sys.path[:]
        self.sim = load()
        sys.path[:] = before
        self.addCleanup(sys.modules.pop, "balance_sim")

    def test_power_of_two_beats_round_robin_where_guests_are_unequal(self) -> None:
        for seed in (1, 2):
            p2c = self.sim.simulate("unequal", "p2c-ewma", 8000, seed)
            robin = self.sim.simulate("unequal", "round-robin", 8000, seed)
            self.assertLess(p2c["p99"], robin["p99"])
            self.assertLess(p2c["p50"], robin["p50"])

    def test_the_far_slower_guest_gets_visibly_less(self) -> None:
        shares = self.sim.simulate("one-far-slower", "p2c-ewma", 4000, 1)["shares"]
        self.assertLess(shares[3], min(shares[:3]) / 4)

    def test_equal_guests_get_equal_shares(self) -> None:
        shares = self.sim.simulate("equal", "p2c-ewma", 6000, 1)["shares"]
        self.assertLess(max(shares) - min(shares), 0.05)

    def test_a_seed_gives_the_same_figures_again(self) -> None:
        first, again, other = (
            self.sim.simulate("stalling", "p2c-ewma", 1000, seed) for seed in (1, 1, 2)
        )
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)

    def test_every_request_is_answered_in_every_scenario(self) -> None:
        for scenario in self.sim.SCENARIOS:
            for policy in self.sim.BALANCERS:
                result = self.sim.simulate(scenario, policy, 300, 1)
                self.assertAlmostEqual(sum(result["shares"]), 1.0, places=2)
                self.assertTrue(0 < result["p50"] <= result["p99"])

    def test_output(self) -> None:
        out = StringIO()
        with redirect_stdout(out):
            self.sim.main(["--json", "--requests", "200", "--scenario", "equal"])
        result = json.loads(out.getvalue())
        self.assertEqual(list(result["ms"]), ["equal"])
        self.assertEqual(list(result["ms"]["equal"]), list(self.sim.BALANCERS))
        out = StringIO()
        with redirect_stdout(out):
            self.sim.main(["--requests", "200", "--scenario", "equal"])
        self.assertIn("p99 ms", out.getvalue())
        self.assertEqual(len(out.getvalue().splitlines()), 4)
