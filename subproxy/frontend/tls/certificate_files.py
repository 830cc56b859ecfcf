"""
Where certificates lie: what of a folder is one, and what must be watched to hear of changes.

Of a folder these are certificates, C{NAME} being whatever it is:

    NAME.pem                        certificate, chain and key in one
    NAME.pem or NAME.crt            certificate and chain,
    NAME.key                        and the key
    NAME/fullchain.pem              as certbot has them in its live/
    NAME/privkey.pem
    NAME/tls.crt                    as Kubernetes mounts a secret
    NAME/tls.key

Hidden names and all others mean nothing.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from subproxy.files.file_stamp import file_stamp
from subproxy.files.files_watch import folders_on_the_way

DEFAULT: Final = "default"
"""The name of what is shown where no other certificate fits."""

_ENDS: Final = (".pem", ".crt")
_PAIRS: Final = (("fullchain.pem", "privkey.pem"), ("tls.crt", "tls.key"))


@dataclass(frozen=True, slots=True, order=True)
class CertificateFiles:
    """
    The files of one certificate.

    @ivar path: of the certificate.
    @ivar key: where its key may be, too; empty for nowhere else.
    @ivar is_default: it is shown where no other fits.
    """

    path: str
    key: str = ""
    is_default: bool = False

    def stamp(self) -> tuple[int, ...]:
        """
        What differs when one of them was changed.

        @raise OSError: the certificate is not there.
        """
        found = file_stamp(self.path)
        if self.key:
            try:
                found += file_stamp(self.key)
            except FileNotFoundError:
                pass
        return found


def find_certificates(
    paths: Sequence[str], unread: dict[str, str] | None = None
) -> Iterator[CertificateFiles]:
    """
    The certificates of C{paths}, each a folder or a file.

    A file that was named by itself is the default; of several the first.

    @param unread: gets the folders of which nobody can tell what is in them, and why: that they
        were not found there does not mean that they are gone.
    """
    default = False
    unread = {} if unread is None else unread
    for path in paths:
        if _is_folder(path, unread):
            for each in _of_folder(path, unread):
                yield each
                default = default or each.is_default
        else:
            yield CertificateFiles(path, _key_beside(path), not default)
            default = True


def _key_beside(path: str) -> str:
    folder, name = os.path.split(path)
    for certificate, key in _PAIRS:
        if name == certificate:
            return os.path.join(folder, key)
    return os.path.splitext(path)[0] + ".key"


def _of_folder(folder: str, unread: dict[str, str]) -> Iterator[CertificateFiles]:
    try:
        with os.scandir(folder) as entries:
            names = {
                each.name: _is_folder(each.path, unread, each.is_dir)
                for each in entries
                if each.name[:1] != "."
            }
    except OSError as error:
        _note(folder, error, unread)
        return
    for name in sorted(names):
        path = os.path.join(folder, name)
        stem, end = os.path.splitext(name)
        if names[name]:
            for certificate, key in _PAIRS:
                if _is_there(os.path.join(path, certificate), path, unread):
                    yield CertificateFiles(
                        os.path.join(path, certificate), os.path.join(path, key), name == DEFAULT
                    )
                    break
        elif end in _ENDS and not (end == ".crt" and f"{stem}.pem" in names):
            key = f"{stem}.key"
            yield CertificateFiles(
                path, os.path.join(folder, key) if key in names else "", stem == DEFAULT
            )


def _is_folder(path: str, unread: dict[str, str], find: Callable[[], bool] | None = None) -> bool:
    """Whether C{path} is a folder; C{find} tells, where somebody knows that already."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode) if find is None else find()
    except OSError as error:
        _note(path, error, unread)
        return False


def _is_there(path: str, folder: str, unread: dict[str, str]) -> bool:
    """Whether C{path} is in C{folder}, be it a link that leads nowhere."""
    try:
        os.lstat(path)
    except OSError as error:
        _note(folder, error, unread)
        return False
    return True


def _note(folder: str, error: OSError, unread: dict[str, str]) -> None:
    """C{folder} could not be looked into; unless that says what is in it: nothing."""
    if error.errno not in _NOTHING:
        unread[folder] = str(error.strerror)


_NOTHING: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""Errors that say that nothing is there; the last one is of links in a circle."""


def watched_folders(paths: Sequence[str], found: Sequence[CertificateFiles]) -> set[str]:
    """
    The folders in which something happens when one of the certificates changes, comes or goes.

    They are those of the files, and of each link on the way to one.
    """
    folders: set[str] = set()
    for path in paths:
        if os.path.isdir(path):
            folders.add(os.path.realpath(path))
            folders.update(folders_on_the_way(path))
            try:
                with os.scandir(path) as entries:
                    folders.update(
                        os.path.realpath(each.path)
                        for each in entries
                        if each.name[:1] != "." and _is_folder(each.path, {}, each.is_dir)
                    )
            except OSError:
                pass
        else:
            folders.update(folders_on_the_way(path))
    for each in found:
        for path in filter(None, (each.path, each.key)):
            if os.path.islink(path):
                folders.update(folders_on_the_way(path))
    return folders
