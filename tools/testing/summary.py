"""What is printed of a run of tests, while it runs and at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tools.testing.groups import Shard
from tools.testing.records import FAILED, PASSED, SKIPPED, Record, Run

SLOWEST = 10


@dataclass(frozen=True)
class Result:
    """What has become of a shard. C{cut}: it was ended at its limit."""

    shard: Shard
    run: Run
    status: int
    seconds: float
    cut: bool = False
    tail: str = ""
    """The end of what it printed: where each thread was, if it was cut."""

    @property
    def problem(self) -> str | None:
        """What is wrong with it, beside tests that failed; None if nothing is."""
        if self.cut:
            where = f" in {self.run.running}" if self.run.running else ""
            return f"not done after {self.seconds:.0f} s, and ended{where}"
        if self.run.running is not None:
            return f"ended by itself, status {self.status}, in {self.run.running}"
        if not self.run.records:
            return f"ran no test, status {self.status}"
        if self.status and not self.run.count(FAILED):
            return f"status {self.status}, and no test failed"
        return None

    @property
    def good(self) -> bool:
        """Whether all of it ran and nothing failed."""
        return self.problem is None and not self.run.count(FAILED)


def failure(shard: Shard, record: Record) -> str:
    """What is printed of a failed test at once."""
    return f"\nFAILED {record.test} ({shard.name})\n{record.text.rstrip()}\n"


def summary(results: Sequence[Result]) -> str:
    """What is printed at the end: the slowest tests, each shard, all failures, and the sums."""
    records = [record for result in results for record in result.run.records]
    slowest = sorted(records, key=lambda record: -record.seconds)[:SLOWEST]
    lines = ["", f"The {len(slowest)} slowest tests:"]
    lines += [f"{record.seconds:8.1f} s  {record.test}" for record in slowest]
    skipped = [record for record in records if record.outcome == SKIPPED]
    if skipped:
        lines += ["", "Skipped:"]
        lines += [f"  {record.test}: {record.text.splitlines()[0]}" for record in skipped]
    for result in results:
        lines += [
            failure(result.shard, record).rstrip()
            for record in result.run.records
            if record.outcome == FAILED
        ]
    lines += [""]
    for result in results:
        run = result.run
        counts = f"{run.count(PASSED)} passed, {run.count(FAILED)} failed"
        counts += f", {run.count(SKIPPED)} skipped"
        mark = "ok    " if result.good else "FAILED"
        lines.append(f"{mark} {result.seconds:6.0f} s  {result.shard.name}: {counts}")
        if result.problem is not None:
            lines.append(f"       {result.problem}")
            lines += [f"       | {line}" for line in result.tail.splitlines()]
    failed = sum(record.outcome == FAILED for record in records)
    failed += sum(result.problem is not None for result in results)
    passed = sum(record.outcome == PASSED for record in records)
    lines.append(f"{passed} passed, {failed} failed, {len(skipped)} skipped")
    return "\n".join(lines)
