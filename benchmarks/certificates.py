#!/usr/bin/env python3
"""Read so many certificates as a start does, then choose among them by name; print what it costs.

    python benchmarks/certificates.py [--counts 100,10000] [--folder FOLDER]

Each certificate is for a host and for all below it, with a P-256 key, in a file of its own. A
figure is CPU time of this process: seconds for the reading, microseconds for one choice.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from twisted.internet.task import Clock

from subproxy.frontend.tls.certificate_reader import CertificateReader
from subproxy.frontend.tls.certificate_service import CertificateService
from tests.rigs.tls_rig import Authority

CHOICES = 100_000


def fill(folder: Path, count: int) -> None:
    """Put certificates into C{folder}, of those of an earlier run what is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = Authority()
    for number in range(count):
        path = folder / f"h{number}.pem"
        if not path.exists():
            path.write_bytes(authority.issue(f"h{number}.example", f"*.h{number}.example"))


def measure(folder: Path, count: int, choices: int = CHOICES) -> dict[str, float]:
    """What reading the certificates costs, in seconds, and choosing one, in microseconds."""
    service = CertificateService(Clock(), CertificateReader([str(folder)], time.time))
    begin = time.process_time()
    service.read_now()
    found = {"read": time.process_time() - begin}
    # 7919 is a prime, so that names come in no order of memory.
    hosts = [b"h%d.example" % (number * 7919 % count) for number in range(choices)]
    for kind, names in (
        ("exact", hosts),
        ("wildcard", [b"www." + each for each in hosts]),
        ("unknown", [b"x" + each for each in hosts]),
    ):
        begin = time.process_time()
        for name in names:
            service.find(name)
        found[kind] = (time.process_time() - begin) / choices * 1e6
    assert service.find(hosts[-1]) is not None
    return found


def main() -> None:
    """Print a line for each count."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--counts", default="100,10000", help="how many (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where they are kept for the next run")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for count in map(int, asked.counts.split(",")):
            folder = (asked.folder or Path(scratch)) / str(count)
            fill(folder, count)
            found = measure(folder, count)
            chosen = ", ".join(f"{kind} {found[kind]:.2f} µs" for kind in list(found)[1:])
            print(f"{count} certificates: read in {found['read']:.2f} s; chosen: {chosen}")


if __name__ == "__main__":
    main()
