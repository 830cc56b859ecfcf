"""A worker that is replaced comes up with what was good, whatever has become of the files since."""

from __future__ import annotations

import os
import re
import signal
import ssl

from tests.integration.harness import TWISTD, wait_until
from tests.integration.tls_case import HOST, RING, TlsCase

_SERVES = re.compile(r"worker (\d+) serves: process (\d+)")
WORKERS = 2


class ReplacedWorkerTests(TlsCase):
    def start(self, *options: str) -> None:
        self.serve(f"--workers={WORKERS}", *options, application=None)
        wait_until(lambda: len(self.pids) == WORKERS, "all workers to serve")

    @property
    def pids(self) -> dict[int, int]:
        """The newest process of each slot."""
        found = _SERVES.findall(self.proxy.whole_lines)
        return {int(slot): int(pid) for slot, pid in found}

    def replace_all(self) -> None:
        """Kill each worker, and wait for the next one of its slot."""
        for slot, before in self.pids.items():
            os.kill(before, signal.SIGKILL)
            wait_until(lambda slot=slot, before=before: self.pids[slot] != before, "another worker")

    def shown(self, host: str = HOST) -> set[bytes]:
        """The certificates that are shown to so many that all workers are asked; b"": none."""
        found = set()
        for _ in range(12):
            try:
                with self.connect(host) as client:
                    found.add(client.getpeercert(binary_form=True) or b"")
            except ssl.SSLError:
                found.add(b"")
        return found

    def put_file(self, path: str, *names: str) -> bytes:
        """A certificate in a file, in one step; what a client sees of it."""
        pem = self.authority.issue(*names)
        fresh = f"{path}.fresh"
        with open(fresh, "wb") as file:
            file.write(pem)
        os.replace(fresh, path)
        text = pem.decode()
        return ssl.PEM_cert_to_DER_cert(
            text[text.index("-----BEGIN CERT") :].partition("-----END CERTIFICATE-----")[0]
            + "-----END CERTIFICATE-----\n"
        )

    def test_a_broken_certificate(self) -> None:
        """The last good one is shown: of a file that was named, and of one in a folder."""
        named = str(self.world.folder / "named.pem")
        in_folder = str(self.certificates / "news.pem")
        self.put_file(named, "news.example")
        self.put_file(in_folder, "other.example")
        self.start(f"--certificates={named}")
        # What was renewed since the start counts, not what was there at the start.
        first = self.put_file(named, "news.example", "more.example")
        self.proxy.wait_for("begin with 1 renewed certificates")
        second = self.put_file(in_folder, "other.example", "yet-more.example")
        self.proxy.wait_for("begin with 1 renewed certificates", 2)
        wait_until(lambda: self.shown("more.example") == {first}, "the renewed certificate")
        wait_until(lambda: self.shown("yet-more.example") == {second}, "the other one")
        for path in (named, in_folder):
            with open(path, "w") as file:
                file.write("nothing")
        self.proxy.wait_for("news.pem: kept (there is no certificate in it)", WORKERS)
        self.replace_all()
        self.assertEqual(self.shown("more.example"), {first})
        self.assertEqual(self.shown("yet-more.example"), {second})
        self.proxy.wait_for("news.pem: kept (there is no certificate in it)", 2 * WORKERS)
        os.unlink(named)
        self.proxy.wait_for("named.pem: removed (its file is gone)", WORKERS)
        self.replace_all()
        self.assertEqual(self.shown("more.example"), {first})
        third = self.put_file(named, "more.example")
        wait_until(lambda: self.shown("more.example") == {third}, "the mended one")

    def test_nothing_is_imported(self) -> None:
        """It finds all modules of ours in what it is forked from: that was most of its start."""
        self.put("blog.pem", HOST)
        self.proxy = self.world.start_proxy(
            *(f"--workers={WORKERS}", f"--https=tcp:{self.https}:interface=127.0.0.1"),
            f"--certificates={self.certificates}",
            prefix=("env", "PYTHONPROFILEIMPORTTIME=1"),
            twistd=(f"--reactor={RING}",),
        )
        wait_until(lambda: len(self.pids) == WORKERS, "all workers to serve")
        before = len(self.proxy.output)
        self.replace_all()
        after = self.proxy.output[before:]
        self.assertEqual(re.findall(r"import time:.*[| ](subproxy\S*)", after), [])

    def test_a_broken_certificate_at_the_start(self) -> None:
        """That is an error of the start, in one line."""
        named = self.world.folder / "named.pem"
        named.write_text("nothing")
        proxy = self.world.start(
            "proxy",
            [
                *(*TWISTD, "-n", "--pidfile=", "subproxy", "--workers=2"),
                *(f"--https={self.https}", f"--certificates={named}", "--http=tcp:0"),
                f"--vsock={self.world.vsock}",
            ],
        )
        self.assertEqual(proxy.wait(), 1)
        proxy.wait_for(f"--certificates={named}: there is no certificate in it")

    def test_no_room_for_the_log(self) -> None:
        """A worker whose access log can't be opened serves without, and takes it up on SIGUSR1."""
        folder = self.world.folder / "logs"
        folder.mkdir()
        self.start(f"--access-log={folder}/access.log")
        (folder / "access.log").unlink()
        folder.rmdir()
        self.replace_all()
        self.proxy.wait_for("access.log: No such file or directory", WORKERS)
        self.assertEqual(len(self.shown()), 1)
        folder.mkdir()
        self.proxy.signal(signal.SIGUSR1)
        wait_until((folder / "access.log").exists, "the log")
        for _ in range(12):
            with self.connect() as client:
                self.get(client)
        wait_until(
            lambda: (folder / "access.log").read_bytes().count(b"\n") == 12, "all of the lines"
        )
