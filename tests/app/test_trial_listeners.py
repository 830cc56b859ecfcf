"""Whether a next program could listen: nothing is made, and what is there is left alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.app import trial_listeners as module
from subproxy.app.trial_listeners import look_at_listeners, other_places
from subproxy.config.options import Options
from subproxy.config.settings import Settings


class TrialListenersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.taken.close)
        self.port = self.taken.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.free = free.getsockname()[1]

    def settings(self, *words: str) -> Settings:
        options = Options()
        if not any(each.startswith("--vsock=") for each in words):
            words += (f"--vsock={self.folder}/vm.sock",)
        options.parseOptions(["--access-log=none", *words])
        settings: Settings = options.settings
        return settings

    def look(self, *words: str, there: Collection[str] = ()) -> str:
        """Why it could not listen; nothing where it could."""
        try:
            look_at_listeners(self.settings(*words), False, there)
        except SystemExit as error:
            return str(error.code)
        return ""

    def test_what_can_be_had(self) -> None:
        """It is looked at, and not made."""
        for each in (f"tcp:{self.free}:interface=127.0.0.1", str(self.free), "tcp:0"):
            self.assertEqual(self.look(f"--http={each}"), "", each)
        folder = f"{self.folder}/new"
        words = (f"--http=unix:{folder}1", f"--admin={folder}2", f"--vsock={folder}3")
        self.assertEqual(self.look(*words), "")
        self.assertEqual(os.listdir(self.folder), [])

    def test_what_cannot(self) -> None:
        """Each says so as a start does."""
        taken, nowhere = f"tcp:{self.port}:interface=127.0.0.1", f"{self.folder}/no/x"
        free = f"--http=tcp:{self.free}"
        for what, where, *words in (
            ("HTTP", taken, f"--http={taken}"),
            ("HTTP", taken, f"--http={self.port}"),
            ("HTTP", f"haproxy:{taken}", f"--http=haproxy:{taken}"),
            ("HTTP", f"unix:{nowhere}", f"--http=unix:{nowhere}"),
            ("guests", taken, free, f"--vsock={taken}"),
            ("guests", nowhere, free, f"--vsock={nowhere}"),
            ("admin", taken, free, f"--admin={taken}"),
            ("admin", nowhere, free, f"--admin={nowhere}"),
        ):
            said: list[str] = []
            self.patch(module, "fail", said.append)
            look_at_listeners(self.settings(*words), False, ())
            why = "Address already in use" if where.endswith(taken) else "there is no folder "
            self.assertEqual(len(said), 1, words)
            self.assertIn(f"cannot listen for {what} on {where}: {why}", said[0])

    def test_what_is_there(self) -> None:
        """It is not looked at: it goes on."""
        words = (f"--http={self.port}", f"--admin=tcp:{self.port}", f"--vsock={self.folder}/no/x")
        settings = self.settings(*words)
        self.assertEqual(other_places(settings), [f"{self.folder}/no/x", f"tcp:{self.port}"])
        client = f"tcp:{self.port}:interface=127.0.0.1"
        there = [client, *other_places(settings)]
        self.assertEqual(self.look(*words, there=there), "")
