"""
The file with the keys of signed links: what signs them, and which of them are revoked.

Lines of words, so that a person can take one out::

    key 2026-11-30T15:50:34Z c2VjcmV0Li4u
    revoked 2026-12-01T08:00:00Z 5f3a91c20b7d

The last key signs; a link lives for as long as the line of its key stands there. Only its owner may
read the file. It is written anew as a whole, and so is read whole at any time.
"""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Final

from subproxy.core.sites.signed_links import MAX_LIFETIME, LinkKeys
from subproxy.files.regular_file import open_regular
from subproxy.files.replaced_file import replace_file

MAX_FILE: Final = 4 << 20
"""Bytes of the file: more than fifty thousand revoked links."""

HEAD: Final = """\
# The keys of signed links (subproxy link). Who reads them can make links.
# The last key signs. Without the line of its key a link opens nothing.
"""
_DATE: Final = "%Y-%m-%dT%H:%M:%SZ"
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{32,128}")
LINK_ID: Final = re.compile(r"[0-9a-f]{12}")
"""What an id of a link looks like."""


class KeyFileError(Exception):
    """The file can't be read or written, or is none; the text names it and says why."""


class KeyFileMissing(KeyFileError):
    """There is none."""


@dataclass(frozen=True)
class KeyLine:
    """One key: when it was made, and the secret."""

    made: datetime
    secret: str = field(repr=False)


@dataclass(frozen=True)
class KeyFile:
    """
    What the file says.

    @ivar keys: the oldest first.
    @ivar revoked: by the id of a link, when.
    """

    keys: tuple[KeyLine, ...] = ()
    revoked: tuple[tuple[str, datetime], ...] = ()

    @property
    def link_keys(self) -> LinkKeys:
        """The same, as requests are asked by it."""
        return LinkKeys(
            tuple(each.secret for each in self.keys), frozenset(name for name, _ in self.revoked)
        )

    def rotated(self, now: datetime) -> KeyFile:
        """With a new key, and without those whose links have all expired."""
        newest = KeyLine(now, secrets.token_urlsafe(32))
        # A key may have signed until the next one was made.
        kept = [
            key
            for key, following in zip(self.keys, [*self.keys, newest][1:], strict=True)
            if now - following.made < timedelta(seconds=MAX_LIFETIME)
        ]
        return replace(self, keys=(*kept, newest))

    def revoking(self, name: str, now: datetime) -> KeyFile:
        """With the link of that id revoked; what has expired since it was revoked is forgotten."""
        since = now - timedelta(seconds=MAX_LIFETIME)
        kept = {other: when for other, when in self.revoked if when >= since}
        kept.setdefault(name, now)
        return replace(self, revoked=tuple(kept.items()))

    def lines(self) -> str:
        """What stands in the file."""
        keys = [f"key {each.made.strftime(_DATE)} {each.secret}\n" for each in self.keys]
        revoked = [f"revoked {when.strftime(_DATE)} {name}\n" for name, when in self.revoked]
        return HEAD + "".join(keys + revoked)


def read_key_file(path: str) -> KeyFile:
    """
    What is in the file.

    @raise KeyFileMissing: there is none.
    @raise KeyFileError: it can't be read, others may read it, or it is none.
    """
    try:
        with open_regular(path) as file:
            found = os.fstat(file.fileno())
            data = file.read(MAX_FILE + 1)
    except FileNotFoundError:
        raise KeyFileMissing(f"{path}: there is none; subproxy link makes it") from None
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from None
    if found.st_mode & 0o077:
        raise KeyFileError(f"{path}: others than its owner may read or write it; chmod 600 it")
    if len(data) > MAX_FILE:
        raise KeyFileError(f"{path} is longer than {MAX_FILE} bytes")
    keys: list[KeyLine] = []
    revoked: list[tuple[str, datetime]] = []
    for number, line in enumerate(data.decode("latin-1").splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            verb, date, value = words
            when = datetime.strptime(date, _DATE).replace(tzinfo=timezone.utc)
        except ValueError:
            verb = ""
        if verb == "key" and _SECRET.fullmatch(value):
            keys.append(KeyLine(when, value))
        elif verb == "revoked" and LINK_ID.fullmatch(value):
            revoked.append((value, when))
        else:
            # What stands there may be a secret.
            raise KeyFileError(f"{path}:{number}: this is neither a key nor a revoked link")
    if not keys:
        raise KeyFileError(f"{path}: there is no key in it")
    return KeyFile(tuple(keys), tuple(revoked))


def write_key_file(path: str, content: KeyFile) -> None:
    """
    Put C{content} in the place of what is there; it stays its owner's.

    @raise KeyFileError: it can't be written.
    """
    replace_file(path, content.lines().encode("ascii"), KeyFileError)
