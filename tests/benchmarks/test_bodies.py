"""Runs of the bodies' benchmark in pieces."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.bodies import joined, keep, transfers_for


def piece(sizes: list[int], name: str, revision: str = "r", seconds: float = 0.0) -> dict[str, Any]:
    return {
        "machine": {"revision": revision, "kernel": "k", "processor": "p", "date": name},
        "settings": {"rounds": 5, "sizes": sizes, "clients": [1, 16], "seconds": seconds},
        "contenders": {name: {"title": name}},
        "samples": [{"contender": name, "scenario": f"download-{size}"} for size in sizes],
        "problems": [],
    }


class PieceTests(SynchronousTestCase):
    def test_joined(self) -> None:
        """Everything of both, the sizes in order; the first tells the machine."""
        whole = joined(piece([1024], "one"), piece([64], "two", seconds=2.0))
        self.assertEqual(whole["settings"]["sizes"], [64, 1024])
        self.assertEqual(whole["settings"]["clients"], [1, 16])
        self.assertEqual(whole["settings"]["seconds"], 2.0)
        self.assertEqual(list(whole["contenders"]), ["one", "two"])
        self.assertEqual([each["contender"] for each in whole["samples"]], ["one", "two"])
        self.assertEqual(whole["machine"]["date"], "one")

    def test_of_one_kind(self) -> None:
        """Figures of two revisions are never mixed."""
        self.assertRaises(ValueError, joined, piece([1], "one"), piece([1], "two", "other"))

    def test_keep(self) -> None:
        """A piece with problems is not kept; the others go into one file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "new" / "bodies.json"
            self.assertEqual(keep({**piece([1], "bad"), "problems": ["bad"]}, path), 1)
            self.assertFalse(path.exists())
            self.assertEqual(keep(piece([1], "one"), path), 0)
            self.assertEqual(keep(piece([2], "two"), path), 0)
            kept = json.loads(path.read_text())
            self.assertEqual(len(kept["samples"]), 2)

    def test_transfers(self) -> None:
        """Enough bytes, and one body a client at least."""
        self.assertEqual(transfers_for(1 << 30, 16), 16)
        self.assertEqual(transfers_for(1 << 20, 16), 1024)
        self.assertEqual(transfers_for(100, 16), 8192)
