"""A proxy built of its settings."""

from __future__ import annotations

import signal
from pathlib import Path

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher

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
        """A policy is read again, where there is one; who opens logs anew ends nothing."""
        (self.folder / "policy.toml").write_text("")
        for changes, expected in (
            ({}, {signal.SIGUSR2, signal.SIGUSR1}),
            ({"access_log": str(self.folder / "log")}, {signal.SIGUSR2, signal.SIGUSR1}),
            ({"policy": str(self.folder / "policy.toml")}, set(SIGNALS)),
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
            self.assertEqual(handled, expected)

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
