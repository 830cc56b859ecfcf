"""The UNIX socket of operators."""

from __future__ import annotations

import os
import stat
import tempfile
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.protocol import Factory
from twisted.trial.unittest import TestCase

from subproxy.endpoints.private import PrivateUnixEndpoint


class PrivateTests(TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = f"{folder.name}/admin.sock"

    @inlineCallbacks
    def test_modes(self) -> Any:
        """Its owner's alone, whatever the umask, unless another mode is asked for."""
        for where, mode in (
            (self.path, 0o600),
            (f"unix:{self.path}", 0o600),
            (f"unix:{self.path}:mode=660", 0o660),
        ):
            before = os.umask(0)
            try:
                port = yield PrivateUnixEndpoint(reactor, where).listen(Factory())
                umask = os.umask(0)
            finally:
                os.umask(before)
            self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), mode)
            self.assertEqual(umask, 0)
            yield port.stopListening()

    def test_what_is_none(self) -> None:
        """It is an error of one line."""
        self.assertRaises(ValueError, PrivateUnixEndpoint, reactor, f"unix:{self.path}:mode=999")
