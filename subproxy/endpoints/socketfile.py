"""The file of a listening unix socket: put in place at once, whole, and never another's.

The order, and why it is free of races:

1. A folder lock (see C{FolderLock}) keeps proxies that start together apart.
2. What lies at the path already is judged without following symlinks. Only a
   socket that refuses a connection is stale; anything else is an error.
3. The new socket is bound in a private folder (mode 0700) beside its path (it is
   this name that C{ss -xl} shows), gets its owner, then its mode, and listens.
   Nobody else can reach it meanwhile, and no process-wide umask has to change,
   which would hit other threads.
4. The stale one is moved into the private folder, and looked at once more there:
   if it is not stale, hence not the one that was tested, it is put back.
5. C{link(2)} gives the new one its name. It never replaces anything: who was
   quicker keeps the name. From this instant the socket can be reached, complete.

At a clean stop the file is unlinked while the socket still listens, and only if
it is the same inode: a proxy that starts at that moment finds a live socket or
none, never a stale one that it would take over just before it is unlinked.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import stat
import tempfile
from dataclasses import dataclass

from .addresses import MAX_SOCKET_PATH
from .errors import CannotListenAt

__all__ = ["FolderLock", "SocketFile", "publish"]

LOCK_NAME = ".subproxy.lock"


class FolderLock:
    """A lock on the socket names of one folder, held for the moment of a start.

    It is a file of mode 0600, so that nobody else can hold it against us, and
    it is gone when the lock is: whoever got a lock on a file that has no name
    any more tries again.
    """

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, LOCK_NAME)
        self._fd = -1

    def acquire(self) -> bool:
        """Whether we have it now; False when another process does. Never waits.

        Raises C{OSError} if the folder is missing or not ours to write to.
        """
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except PermissionError:
            if os.path.lexists(self._path):
                return False  # held by a proxy of another user
            raise
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(fd), os.lstat(self._path)):
                self._fd, fd = fd, -1
        except (BlockingIOError, FileNotFoundError):
            pass
        finally:
            if fd >= 0:
                os.close(fd)
        return self._fd >= 0

    def release(self) -> None:
        """Let others in."""
        try:
            os.unlink(self._path)
        finally:
            os.close(self._fd)
            self._fd = -1


@dataclass(frozen=True)
class SocketFile:
    """A listening socket and the name that it has in the file system.

    While the socket is open the kernel keeps its inode, so no other file can
    have the same number.
    """

    path: str
    socket: socket.socket
    device: int
    inode: int

    def is_ours(self) -> bool:
        """Tell whether the name still leads to this socket."""
        try:
            found = os.lstat(self.path)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (self.device, self.inode)

    def withdraw(self) -> None:
        """Unlink the name if it is still ours. To be called before the socket is closed."""
        if self.is_ours():
            try:
                os.unlink(self.path)
            except FileNotFoundError:
                pass


def publish(path: str, *, backlog: int, mode: int, uid: int = -1, gid: int = -1) -> SocketFile:
    """Make a unix socket that listens at C{path}; the caller holds the C{FolderLock}.

    Raises C{CannotListenAt}.
    """
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise CannotListenAt(path, f"the path is longer than {MAX_SOCKET_PATH} bytes")
    folder, name = os.path.split(path)
    skt = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    private = ""
    try:
        stale = _judge(path)
        private = tempfile.mkdtemp(prefix=f".{name}.", dir=folder)
        hidden = os.path.join(private, "s")
        _bind(skt, private, hidden)
        try:
            os.chown(hidden, uid, gid)
        except PermissionError:
            to = " and ".join(f"{k} {n}" for k, n in (("user", uid), ("group", gid)) if n >= 0)
            raise CannotListenAt(path, f"it may not be given to {to}: that needs root") from None
        os.chmod(hidden, mode)
        skt.listen(backlog)
        if stale is not None:
            _remove_stale(path, stale, os.path.join(private, "stale"))
        made = os.lstat(hidden)
        os.link(hidden, path, follow_symlinks=False)
        return SocketFile(path, skt, made.st_dev, made.st_ino)
    except OSError as e:
        skt.close()
        if isinstance(e, FileExistsError):
            raise CannotListenAt(path, "another process was quicker to take it") from e
        raise CannotListenAt(path, (e.strerror or str(e)).lower()) from e
    except BaseException:
        skt.close()
        raise
    finally:
        if private:
            shutil.rmtree(private, ignore_errors=True)


def _bind(skt: socket.socket, folder: str, path: str) -> None:
    """Bind to a path in C{folder} that may be longer than C{sun_path}.

    The socket keeps this name for C{ss} and the like, so it is the path itself
    if that fits.
    """
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
        skt.bind(path)
        return
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        skt.bind(f"/proc/self/fd/{fd}/{os.path.basename(path)}")
    finally:
        os.close(fd)


def _judge(path: str) -> os.stat_result | None:
    """What lies at C{path}: None for nothing, else a stale socket. All else is an error."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(found.st_mode):
        raise CannotListenAt(path, "a symbolic link is in its place, which is not followed")
    if not stat.S_ISSOCK(found.st_mode):
        raise CannotListenAt(path, "something that is no socket is in its place")
    try:
        if _is_alive(path):
            raise CannotListenAt(path, "another process listens there")
    except FileNotFoundError:
        return None
    except OSError as e:
        why = (e.strerror or str(e)).lower()
        raise CannotListenAt(path, f"a socket is in its place that can't be tested ({why})") from e
    return found


def _is_alive(path: str) -> bool:
    """Whether somebody listens on the socket at C{path}. C{OSError} if it can't be told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        except BlockingIOError:
            pass  # its backlog is full
        return True


def _remove_stale(path: str, stale: os.stat_result, aside: str) -> None:
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return
    except PermissionError as e:
        raise CannotListenAt(
            path, f"a stale socket of user {stale.st_uid} is in its place, which we may not remove"
        ) from e
    # Not by its inode: the number of an unlinked stale socket is given to the next file made.
    if not stat.S_ISSOCK(os.lstat(aside).st_mode) or _is_alive(aside):
        os.link(aside, path, follow_symlinks=False)
        raise CannotListenAt(path, "another process was quicker to take it")
