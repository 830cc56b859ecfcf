"""The file of a listening unix socket: whole when it appears, and never another's."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from subproxy.endpoints import socketfile
from subproxy.endpoints.errors import CannotListenAt
from subproxy.endpoints.socketfile import LOCK_NAME, FolderLock, SocketFile, publish


class SocketFolderTestCase(SynchronousTestCase):
    """A fresh folder with a short name, for the path of a unix socket is short."""

    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = os.path.join(self.folder, "vm.sock_12345")

    def publish(self, path: str = "", mode: int = 0o660, **options: int) -> SocketFile:
        made = publish(path or self.path, backlog=1024, mode=mode, **options)
        self.addCleanup(made.socket.close)
        return made

    def bound(self, path: str = "", backlog: int | None = None) -> socket.socket:
        """Somebody else's socket, which listens if it is told a backlog."""
        skt = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(skt.close)
        skt.bind(path or self.path)
        if backlog is not None:
            skt.listen(backlog)
        return skt

    def stale(self) -> os.stat_result:
        """What a killed process leaves."""
        self.bound(backlog=1).close()
        return os.lstat(self.path)

    def connected(self) -> socket.socket:
        skt = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(skt.close)
        skt.settimeout(5)
        skt.connect(self.path)
        return skt

    def assertRefused(self, why: str) -> None:
        """It can't be published, for this reason, and nothing of the attempt is left."""
        before = sorted(os.listdir(self.folder))
        error = str(self.assertRaises(CannotListenAt, self.publish))
        self.assertEqual(error, f"Couldn't listen on {self.path}: {why}.")
        self.assertEqual(sorted(os.listdir(self.folder)), before)


class PublishTests(SocketFolderTestCase):
    def test_reachable(self) -> None:
        """It can be connected to at once, and nothing else is left in the folder."""
        made = self.publish()
        client = self.connected()
        accepted, _ = made.socket.accept()
        accepted.send(b"hello")
        accepted.close()
        self.assertEqual(client.recv(9), b"hello")
        self.assertEqual(os.listdir(self.folder), ["vm.sock_12345"])

    def test_wholeBeforeReachable(self) -> None:
        """When it gets its name it has its mode and listens; before, nobody else gets to it."""
        seen = []
        link = os.link

        def spy(source: str, path: str, **options: bool) -> None:
            seen.append(stat.S_IMODE(os.lstat(source).st_mode))
            seen.append(stat.S_IMODE(os.lstat(os.path.dirname(source)).st_mode))
            seen.append(os.path.lexists(path))
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                probe.connect(source)
            link(source, path, **options)

        self.patch(socketfile.os, "link", spy)
        self.publish(mode=0o620)
        self.assertEqual(seen, [0o620, 0o700, False])
        self.assertEqual(stat.S_IMODE(os.lstat(self.path).st_mode), 0o620)

    def test_modeIsNotTheUmasks(self) -> None:
        """The mode is the one asked for, whatever the umask, which stays as it was."""
        old = os.umask(0o077)
        self.addCleanup(os.umask, old)
        self.publish(mode=0o666)
        self.assertEqual(stat.S_IMODE(os.lstat(self.path).st_mode), 0o666)
        self.assertEqual(os.umask(0o077), 0o077)

    def test_owner(self) -> None:
        """It is given away before it is named; who may not do that is told so."""
        if os.getuid():
            self.assertRaises(CannotListenAt, self.publish, uid=0)
            self.assertEqual(os.listdir(self.folder), [])
        else:
            self.publish(uid=12, gid=34)
            made = os.lstat(self.path)
            self.assertEqual((made.st_uid, made.st_gid), (12, 34))

    def test_ownerNotPermitted(self) -> None:
        """A refusal of the kernel becomes one line."""

        def chown(path: str, uid: int, gid: int) -> None:
            raise PermissionError(1, "Operation not permitted")

        self.patch(socketfile.os, "chown", chown)
        error = str(self.assertRaises(CannotListenAt, self.publish, uid=5, gid=6))
        self.assertIn("it may not be given to user 5 and group 6: that needs root", error)

    def test_staleIsRecovered(self) -> None:
        """What a killed process left is replaced."""
        stale = self.stale()
        made = self.publish()
        self.assertNotEqual(made.inode, stale.st_ino)
        self.connected()

    def test_liveIsNotStolen(self) -> None:
        """A socket on which somebody listens stays theirs, and they are not disturbed."""
        other = self.bound(backlog=5)
        self.assertRefused("another process listens there")
        self.connected()
        other.settimeout(5)
        other.accept()[0].close()
        other.accept()[0].close()

    def test_fullBacklogIsAlive(self) -> None:
        """Somebody who does not get to accept is alive nevertheless."""
        self.bound(backlog=0)
        self.connected()
        self.assertRefused("another process listens there")

    def test_otherKindOfSocket(self) -> None:
        """A socket that is not of our kind can't be judged, so it stays."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(self.path)
            self.assertRefused(
                "a socket is in its place that can't be tested (protocol wrong type for socket)"
            )

    def test_symlink(self) -> None:
        """A symbolic link is refused, wherever it leads."""
        target = os.path.join(self.folder, "target")
        os.symlink(target, self.path)
        self.assertRefused("a symbolic link is in its place, which is not followed")
        self.bound(target).close()
        self.assertRefused("a symbolic link is in its place, which is not followed")

    def test_file(self) -> None:
        """What is no socket stays."""
        with open(self.path, "w") as f:
            f.write("precious")
        self.assertRefused("something that is no socket is in its place")

    def test_folder(self) -> None:
        """A missing folder is told."""
        self.path = os.path.join(self.folder, "missing", "vm.sock_1")
        error = str(self.assertRaises(CannotListenAt, self.publish))
        self.assertEqual(error, f"Couldn't listen on {self.path}: no such file or directory.")

    def test_longPath(self) -> None:
        """No VMM could connect to a path that does not fit in sun_path."""
        self.path = os.path.join(self.folder, "x" * 108)
        self.assertRefused("the path is longer than 107 bytes")

    def test_longestPath(self) -> None:
        """A path that does fit is fine, though the private one does not."""
        self.path = os.path.join(self.folder, "x" * (106 - len(self.folder)))
        self.publish()
        self.connected()

    def test_shownName(self) -> None:
        """The name that ss shows tells which socket it is."""
        made = self.publish()
        self.assertIn("/.vm.sock_12345.", made.socket.getsockname())

    def test_squatterWhileStarting(self) -> None:
        """Who takes the name between our look and our link keeps it."""
        listen = socket.socket.listen
        others = []

        class Socket(socket.socket):
            def listen(inner, backlog: int = 0) -> None:
                listen(inner, backlog)
                others.append(self.bound())

        self.patch(socketfile.socket, "socket", Socket)
        error = str(self.assertRaises(CannotListenAt, self.publish))
        self.assertIn("another process was quicker to take it", error)
        self.assertEqual(os.listdir(self.folder), ["vm.sock_12345"])
        self.assertEqual(others[0].getsockname(), self.path)

    def test_staleReplacedWhileStarting(self) -> None:
        """If the stale socket has become another's meanwhile, it is put back."""
        self.stale()
        remove = socketfile._remove_stale
        theirs = []

        def quicker(path: str, stale: os.stat_result, aside: str) -> None:
            os.unlink(path)
            self.bound(backlog=5)
            theirs.append(os.lstat(path).st_ino)
            remove(path, stale, aside)

        self.patch(socketfile, "_remove_stale", quicker)
        error = str(self.assertRaises(CannotListenAt, self.publish))
        self.assertIn("another process was quicker to take it", error)
        self.assertEqual(os.lstat(self.path).st_ino, theirs[0])
        self.connected()

    def test_foreignStale(self) -> None:
        """A stale socket that we may not remove (sticky folder) is told with its owner."""
        self.stale()

        def rename(a: str, b: str) -> None:
            raise PermissionError(1, "Operation not permitted")

        self.patch(socketfile.os, "rename", rename)
        self.assertRefused(
            f"a stale socket of user {os.getuid()} is in its place, which we may not remove"
        )


class WithdrawTests(SocketFolderTestCase):
    def test_ours(self) -> None:
        """Our own name is removed."""
        made = self.publish()
        self.assertTrue(made.is_ours())
        made.withdraw()
        self.assertEqual(os.listdir(self.folder), [])
        self.assertFalse(made.is_ours())

    def test_gone(self) -> None:
        """A name that is gone is no error."""
        made = self.publish()
        os.unlink(self.path)
        made.withdraw()

    def test_anothers(self) -> None:
        """What took its place stays."""
        made = self.publish()
        os.unlink(self.path)
        self.bound()
        self.assertFalse(made.is_ours())
        made.withdraw()
        self.assertTrue(os.path.lexists(self.path))


class FolderLockTests(SocketFolderTestCase):
    def test_exclusive(self) -> None:
        """One holder at a time, and nothing is left behind."""
        one, two = FolderLock(self.folder), FolderLock(self.folder)
        self.assertTrue(one.acquire())
        self.assertFalse(two.acquire())
        one.release()
        self.assertTrue(two.acquire())
        two.release()
        self.assertEqual(os.listdir(self.folder), [])

    def test_private(self) -> None:
        """Nobody else can hold the lock against us."""
        lock = FolderLock(self.folder)
        lock.acquire()
        self.addCleanup(lock.release)
        mode = os.lstat(os.path.join(self.folder, LOCK_NAME)).st_mode
        self.assertEqual(stat.S_IMODE(mode), 0o600)

    def test_orphan(self) -> None:
        """A lock file that a killed process left does not lock."""
        with open(os.path.join(self.folder, LOCK_NAME), "w"):
            pass
        lock = FolderLock(self.folder)
        self.assertTrue(lock.acquire())
        lock.release()

    def test_symlink(self) -> None:
        """A symbolic link in its place is not followed."""
        os.symlink("/etc/passwd", os.path.join(self.folder, LOCK_NAME))
        self.assertRaises(OSError, FolderLock(self.folder).acquire)

    def test_nameTakenAway(self) -> None:
        """A lock on a file that has lost its name is none."""
        flock = socketfile.fcntl.flock

        def unlinked(fd: int, how: int) -> None:
            flock(fd, how)
            os.unlink(os.path.join(self.folder, LOCK_NAME))

        self.patch(socketfile.fcntl, "flock", unlinked)
        self.assertFalse(FolderLock(self.folder).acquire())
