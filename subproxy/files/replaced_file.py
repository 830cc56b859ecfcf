"""Files that a command changes while others read them: replaced as a whole, by one at a time."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock


@contextmanager
def folder_lock(path: str, error: Callable[[str], Exception]) -> Iterator[None]:
    """
    Read the file and replace it, while nobody else does that who asks for this.

    It is the folder that is locked, since another file takes the place of this one.

    @param error: what is raised, made of a text for a person, where there is no such folder, or it
        can't be read.
    """
    try:
        folder = os.open(os.path.dirname(os.path.realpath(path)), os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as why:
        raise error(f"{path}: its folder can't be read: {why.strerror}") from None
    try:
        flock(folder, LOCK_EX)
        yield
    finally:
        os.close(folder)


def replace_file(path: str, content: bytes, error: Callable[[str], Exception]) -> None:
    """
    Put C{content} in the place of what is there; who owns it and may read it stays so. A new one is
    for its owner alone. Behind a link it is what this leads to.

    @param error: what is raised, made of a text for a person, where it can't be written.
    """
    target = os.path.realpath(path)
    try:
        try:
            before = os.stat(target)
        except FileNotFoundError:
            before = None
        replace_whole(target, content, before)
    except OSError as why:
        raise error(f"{path}: it can't be written: {why.strerror}") from None


def replace_whole(path: str, content: bytes, like: os.stat_result | None = None) -> None:
    """
    Put C{content} there in one step, so that nobody reads a half.

    @param like: whose it is to be, and who may read it; None: it is for us alone.
    @raise OSError: it can't be written; what was there stays.
    """
    descriptor, made = tempfile.mkstemp(prefix=".new.", dir=os.path.dirname(path))
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if like is not None:
                if like.st_uid != os.geteuid() or like.st_gid != os.getegid():
                    os.fchown(descriptor, like.st_uid, like.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(like.st_mode))
            os.fsync(descriptor)
        os.replace(made, path)
    except BaseException:
        os.unlink(made)
        raise
