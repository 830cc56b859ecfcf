"""The listeners of a folder of VM sockets, with real sockets and inotify."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Callable
from typing import Any

from twisted.internet import inotify
from twisted.internet import reactor as installed
from twisted.internet.endpoints import clientFromString, connectProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase

from subproxy.endpoints import folder, folderwatch
from subproxy.endpoints.addresses import HybridVsockAddress
from subproxy.endpoints.folder import FolderService

reactor: Any = installed


class FolderServiceTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.base = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.base)
        self.folder = os.path.join(self.base, "vms")
        os.mkdir(self.folder)
        self.told: list[tuple[str, str]] = []
        self.patch(folder, "SLICE", 60.0)  # a busy machine makes no difference
        self.peers: list[Any] = []
        self.lines: list[str] = []
        globalLogPublisher.addObserver(self._observe)
        self.addCleanup(globalLogPublisher.removeObserver, self._observe)

    def _observe(self, event: Any) -> None:
        if event["log_level"].name in ("warn", "error", "critical"):
            self.lines.append(formatEvent(event))

    def vmm(self, name: str) -> None:
        """What a VMM leaves in the folder: its own socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as skt:
            skt.bind(os.path.join(self.folder, name))

    def unlink(self, name: str) -> None:
        os.unlink(os.path.join(self.folder, name))

    def started(self, pattern: str = "*.sock", **options: Any) -> FolderService:
        factory = Factory()
        factory.noisy = False

        def build(address: Any) -> Protocol:
            self.peers.append(address)
            return Protocol()

        factory.buildProtocol = build  # type: ignore[method-assign]
        service = FolderService(
            reactor,
            os.path.join(self.folder, pattern),
            12345,
            factory,
            onListening=lambda address: self.tell("listening", address),
            onStopped=lambda address: self.tell("stopped", address),
            **options,
        )
        service.startService()

        def stop() -> Any:
            return service.stopService() if service.running else None

        self.addCleanup(stop)
        return service

    def tell(self, what: str, address: HybridVsockAddress) -> None:
        self.told.append((what, os.path.basename(address.path)))

    def names(self) -> list[str]:
        try:
            return sorted(os.listdir(self.folder))
        except FileNotFoundError:
            return []

    async def until(self, condition: Callable[[], object], what: str) -> None:
        deadline = reactor.seconds() + 20
        while not condition():
            if reactor.seconds() > deadline:
                self.fail(f"not in time: {what}; {self.names()}, {self.told}, {self.lines}")
            await deferLater(reactor, 0.005)

    async def dial(self, name: str) -> None:
        path = os.path.join(self.folder, name)
        before = len(self.peers)
        client = await connectProtocol(clientFromString(reactor, f"unix:{path}_12345"), Protocol())
        await self.until(lambda: len(self.peers) > before, "accepted")
        self.assertEqual(self.peers[-1], HybridVsockAddress(path))
        client.transport.abortConnection()  # type: ignore[union-attr]

    async def test_whatIsThere(self) -> None:
        """What is there at the start is listened for when startService returns."""
        self.vmm("a.sock")
        self.vmm("b.sock")
        service = self.started()
        self.assertEqual(self.told, [("listening", "a.sock"), ("listening", "b.sock")])
        self.assertEqual(
            [address.path for address in service.addresses],
            [f"{self.folder}/a.sock", f"{self.folder}/b.sock"],
        )
        await self.dial("a.sock")
        await self.dial("b.sock")

    async def test_appears(self) -> None:
        """A VM that starts later is served."""
        self.started()
        self.vmm("late.sock")
        await self.until(lambda: self.told, "listening")
        await self.dial("late.sock")

    async def test_vanishesAndComesBack(self) -> None:
        """The listener goes with its VM's socket, and comes back with it."""
        self.started()
        for _ in range(3):
            self.told.clear()
            self.vmm("a.sock")
            await self.until(lambda: self.told == [("listening", "a.sock")], "listening")
            await self.dial("a.sock")
            self.unlink("a.sock")
            await self.until(lambda: self.told[1:] == [("stopped", "a.sock")], "stopped")
            self.assertEqual(self.names(), [])

    async def test_renamedIntoPlace(self) -> None:
        """A socket that gets its name by a rename is seen as well."""
        self.started()
        self.vmm("hidden.tmp")
        os.rename(f"{self.folder}/hidden.tmp", f"{self.folder}/a.sock")
        await self.until(lambda: self.told == [("listening", "a.sock")], "listening")
        os.rename(f"{self.folder}/a.sock", f"{self.folder}/b.sock")
        await self.until(lambda: ("listening", "b.sock") in self.told, "listening")
        await self.until(lambda: ("stopped", "a.sock") in self.told, "stopped")
        await self.dial("b.sock")

    async def test_reboundAtOnce(self) -> None:
        """A VM that restarts within one look keeps its listener, and its guest is served."""
        self.vmm("a.sock")
        self.started()
        self.unlink("a.sock")
        self.vmm("a.sock")
        await deferLater(reactor, 0.2)
        await self.dial("a.sock")

    async def test_notVmSockets(self) -> None:
        """Listeners, files, links, folders and other names are no VM sockets."""
        self.vmm("a.sock")
        self.vmm("a.sock_7")
        self.vmm(".hidden")
        os.close(os.open(f"{self.folder}/file", os.O_CREAT))
        os.mkdir(f"{self.folder}/folder")
        os.symlink("a.sock", f"{self.folder}/link")
        self.started("*")
        await deferLater(reactor, 0.1)
        self.assertEqual(self.told, [("listening", "a.sock")])

    async def test_folderAppears(self) -> None:
        """The folder, and its parents, may come later, go, and come again."""
        self.folder = os.path.join(self.base, "run", "deep", "vms")
        self.started()
        for _ in range(2):
            self.told.clear()
            os.makedirs(self.folder)
            self.vmm("a.sock")
            await self.until(lambda: self.told == [("listening", "a.sock")], "listening")
            await self.dial("a.sock")
            shutil.rmtree(os.path.join(self.base, "run"))
            await self.until(lambda: self.told[1:] == [("stopped", "a.sock")], "stopped")

    async def test_folderReplaced(self) -> None:
        """Another folder of the same name is a new one."""
        self.vmm("a.sock")
        self.started()
        os.rename(self.folder, self.folder + ".old")
        os.mkdir(self.folder)
        self.vmm("b.sock")
        await self.until(lambda: ("stopped", "a.sock") in self.told, "stopped")
        await self.until(lambda: ("listening", "b.sock") in self.told, "listening")
        self.vmm("c.sock")
        await self.until(lambda: ("listening", "c.sock") in self.told, "listening")

    async def test_listenerRemoved(self) -> None:
        """A listener's socket that somebody removes is made again, and the log tells."""
        self.vmm("a.sock")
        self.started()
        self.unlink("a.sock_12345")
        await self.until(lambda: len(self.told) == 3, "listening again")
        self.assertEqual(self.told[1:], [("stopped", "a.sock"), ("listening", "a.sock")])
        self.assertEqual(self.lines, [f"{self.folder}/a.sock: its listener's socket was removed"])
        await self.dial("a.sock")

    async def test_takenPath(self) -> None:
        """A path that another holds is told once, and taken when it is free."""
        squatter = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(squatter.close)
        squatter.bind(os.path.join(self.folder, "a.sock_12345"))
        squatter.listen()
        self.vmm("a.sock")
        self.vmm("b.sock")
        self.started()
        self.assertEqual(self.told, [("listening", "b.sock")])
        for name in ("c.sock", "d.sock"):  # looks that find it taken still
            self.vmm(name)
            await self.until(lambda n=name: ("listening", n) in self.told, name)  # type: ignore[misc]
        self.assertEqual(
            self.lines,
            [f"Couldn't listen on {self.folder}/a.sock_12345: another process listens there."],
        )
        squatter.close()
        self.unlink("a.sock_12345")
        await self.until(lambda: ("listening", "a.sock") in self.told, "listening")

    async def test_manyAtOnce(self) -> None:
        """Hundreds of VMs that start at once are all served, and go again."""
        service = self.started()
        for n in range(300):
            self.vmm(f"vm{n}.sock")
        await self.until(lambda: len(service.addresses) == 300, "all listening")
        for n in range(300):
            self.unlink(f"vm{n}.sock")
        await self.until(lambda: not service.addresses and not self.names(), "all stopped")

    async def test_overflow(self) -> None:
        """When the kernel drops events, the folder is looked at all the same."""
        service = self.started()
        watch: Any = service._watch
        self.vmm("a.sock")
        os.read(watch.fileno(), 65536)  # the event that tells of it is lost
        watch._doRead(b"\xff\xff\xff\xff" + (0x4000).to_bytes(4, "little") + b"\0" * 8)
        watch._onChange()
        await self.until(lambda: self.told == [("listening", "a.sock")], "listening")

    async def test_withoutInotify(self) -> None:
        """Where inotify can't be had it looks by the clock, and says so once."""

        class Refused(folderwatch.FolderWatch):
            def watch(self, *args: Any, **kwargs: Any) -> None:
                raise inotify.INotifyError("no space left on device")

        self.patch(folderwatch, "FolderWatch", Refused)
        self.patch(folder, "RESYNC_WITHOUT_INOTIFY", 0.02)
        self.started()
        self.vmm("a.sock")
        await self.until(lambda: self.told == [("listening", "a.sock")], "listening")
        self.unlink("a.sock")
        await self.until(lambda: self.told[1:] == [("stopped", "a.sock")], "stopped")
        self.assertEqual(len([line for line in self.lines if "can't be watched" in line]), 1)

    async def test_folderForbidden(self) -> None:
        """A folder that can't be read is told once, and looked at again."""
        forbidden = [True]
        look = folder.vm_sockets

        def vm_sockets(*arguments: str) -> set[str]:
            if forbidden:
                raise PermissionError(13, "Permission denied", self.folder)
            return look(*arguments)

        self.patch(folder, "vm_sockets", vm_sockets)
        self.patch(folder, "RESYNC", 0.02)
        self.started()
        self.vmm("a.sock")
        await deferLater(reactor, 0.1)
        self.assertEqual(len(self.lines), 1)
        self.assertIn(f"{self.folder} could not be looked at: [Errno 13]", self.lines[0])
        forbidden.clear()
        await self.until(lambda: self.told == [("listening", "a.sock")], "listening")

    async def test_stop(self) -> None:
        """When it has stopped nothing of it is left, and it can start again."""
        self.vmm("a.sock")
        service = self.started()
        await service.stopService()
        self.assertEqual(self.names(), ["a.sock"])
        self.assertEqual(self.told, [("listening", "a.sock"), ("stopped", "a.sock")])
        self.vmm("b.sock")
        service.startService()
        self.assertEqual([a.path[-6:] for a in service.addresses], ["a.sock", "b.sock"])

    async def test_stopWhileStarting(self) -> None:
        """A stop in the middle of a start waits for it, then undoes it."""
        for n in range(40):
            self.vmm(f"vm{n}.sock")
        self.patch(folder, "SLICE", 0.0)
        service = self.started()
        self.assertEqual(len(self.told), 1)
        await service.stopService()
        self.assertEqual([name for name in self.names() if "_" in name], [])

    async def test_options(self) -> None:
        """What a listener can be told it is told."""
        self.vmm("a.sock")
        self.started(mode=0o604)
        self.assertEqual(os.lstat(f"{self.folder}/a.sock_12345").st_mode & 0o777, 0o604)

    def test_patternInFolder(self) -> None:
        """Only the last part can be a pattern."""
        error = self.assertRaises(ValueError, FolderService, reactor, "/run/*/v.sock", 1, Factory())
        self.assertIn("/run/*/v.sock: only the last part", str(error))

    def test_repr(self) -> None:
        """It shows what it does."""
        service = FolderService(reactor, "/run/vms/", 1, Factory())
        self.assertEqual(repr(service), "<FolderService /run/vms/*: 0 listening>")
