"""A proxy built of its settings."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.internet.error import ReactorNotRunning
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher

from subproxy.app.build import _nothing_to_read
from subproxy.app.listener import ListenerService
from subproxy.config.listen import VsockListen
from subproxy.config.settings import Settings
from subproxy.endpoints.folder import FolderService
from subproxy.frontend.limits import HttpLimits
from subproxy.process.signals import SignalService
from tests.rigs.build_case import BuildTestCase

SIGNALS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)


class BuildTests(BuildTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        self.settings = Settings(
            http=("tcp:1", "haproxy:tcp:2"),
            vsock=(
                VsockListen("path", str(self.folder / "a.sock")),
                VsockListen("glob", str(self.folder / "*.sock")),
            ),
            access_log="none",
            http_limits=HttpLimits(connections=7),
        )

    def said(self) -> list[str]:
        return [formatEvent(event) for event in self.events]

    def test_what_it_listens_on(self) -> None:
        service = self.build()
        self.assertEqual(
            [each.where for each in service.http_listeners], ["tcp:1", "haproxy:tcp:2"]
        )
        path, folder = service.vsock_listeners
        assert isinstance(path, ListenerService)
        self.assertEqual((path.where, path.optional), (str(self.folder / "a.sock"), False))
        self.assertIsInstance(folder, FolderService)
        self.assertEqual(service.admin_listeners, [])
        self.assertEqual(service.http.context.limits.connections, 7)

    def test_the_python_path_alone(self) -> None:
        self.build(no_fastpath=True)
        self.assertIn(
            "every request takes the Python path: --no-fastpath; HTTP/2 is not spoken", self.said()
        )

    def test_signals(self) -> None:
        """None ends the process, whether there is anything to be read or opened again or not."""
        (self.folder / "policy.toml").write_text("")
        for changes in (
            {},
            {"access_log": str(self.folder / "log")},
            {"policy": str(self.folder / "policy.toml")},
        ):
            service = self.build(**changes)
            if service.log is not None:
                self.addCleanup(service.log.close)
            signals = next(iter(service))
            assert isinstance(signals, SignalService)
            before = {each: signal.getsignal(each) for each in SIGNALS}
            signals.startService()
            handled = {each for each in SIGNALS if signal.getsignal(each) != before[each]}
            signals.stopService()
            self.assertEqual(handled, set(SIGNALS))

    def test_nothing_to_be_read_again(self) -> None:
        """SIGHUP is told, and no more; when the terminal is gone it is what SIGTERM is."""
        for there, ends in (([False], False), ([True, True], False), ([True, False], True)):
            reactor: Any = mock.Mock(stop=mock.Mock(side_effect=ReactorNotRunning))
            said = len(self.events)
            with mock.patch("sys.stdin", mock.Mock(isatty=mock.Mock(side_effect=there))):
                _nothing_to_read(reactor)()
            self.assertEqual(reactor.stop.called, ends)
            self.assertEqual(len(self.events) - said, 0 if ends else 1)

    def test_admin(self) -> None:
        """A path, or an endpoint that wants the token of its file."""
        service = self.build(admin=str(self.folder / "admin.sock"))
        self.assertEqual([each.what for each in service.admin_listeners], ["admin"])
        token = self.folder / "token"
        service = self.build(admin="tcp:9:interface=127.0.0.1", admin_token=str(token))
        self.assertEqual(
            [each.where for each in service.admin_listeners], ["tcp:9:interface=127.0.0.1"]
        )
        self.assertEqual(token.stat().st_mode & 0o777, 0o600)

    def test_what_cannot_be_had(self) -> None:
        """One line says which setting it was."""
        nowhere = str(self.folder / "nowhere" / "x")
        for changes, said in (
            ({"http": ("nonsense:1",)}, "--http=nonsense:1: "),
            ({"vsock": (VsockListen("endpoint", "nonsense:1"),)}, "--vsock=nonsense:1: "),
            ({"admin": "nonsense:1"}, "--admin=nonsense:1: "),
            ({"admin": "tcp:9", "admin_token": nowhere}, "--admin-token: "),
            ({"policy": nowhere}, f"--policy={nowhere}: No such file or directory"),
            ({"access_log": nowhere}, f"--access-log={nowhere}: "),
        ):
            self.assertTrue(self.complaint(**changes).startswith(f"subproxy: {said}"), said)
