"""C{subproxy link}: makes signed links, revokes them, and changes the key that signs."""

from __future__ import annotations

import argparse
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Final
from urllib.parse import quote, urlsplit

from subproxy.cli.client import AdminError
from subproxy.config.link_key_file import (
    LINK_ID,
    KeyFile,
    KeyFileError,
    KeyFileMissing,
    read_key_file,
    write_key_file,
)
from subproxy.core.http.normalise import host_fault, normalise_host, normalise_path
from subproxy.core.sites.link_token import target_with_token
from subproxy.core.sites.signed_links import MAX_LIFETIME, MAX_PATH, Link
from subproxy.files.replaced_file import folder_lock

DEFAULT_KEYS: Final = "/etc/subproxy/links.keys"

_EXPIRES: Final = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def add_link(commands: Any, is_file: Any) -> None:
    """Its command line."""
    link = commands.add_parser("link", help="make a link to a private site, or revoke one")
    link.add_argument("url", nargs="?", help="where it leads, such as https://app.example/")
    link.add_argument("--expires", default="1h", help="in 90s, 30m, 1h, 7d (%(default)s)")
    link.add_argument("--path", help="it opens this and what is below (default: that of the URL)")
    is_file(link.add_argument("--keys", default=DEFAULT_KEYS, help="the file (%(default)s)"))
    what = link.add_mutually_exclusive_group()
    what.add_argument("--revoke", metavar="ID", help="the link of that id opens nothing any more")
    what.add_argument("--rotate", action="store_true", help="sign with a new key from now on")


@dataclass(frozen=True)
class Done:
    """
    What has come of it.

    @ivar data: for programs.
    @ivar text: for people.
    """

    data: dict[str, Any]
    text: str


def link(options: argparse.Namespace, now: datetime) -> Done:
    """
    Do as the command line says.

    @raise AdminError: it can't be; with a line why.
    """
    try:
        if options.revoke is not None or options.rotate:
            if options.url is not None:
                raise AdminError("a link is made, or a key or a link is changed: not both")
            return _rotate(options.keys, now) if options.rotate else _revoke(options, now)
        if options.url is None:
            raise AdminError("to where? Such as: subproxy link https://app.example/")
        return _make(options, now)
    except KeyFileError as error:
        raise AdminError(str(error)) from None
    except UnicodeEncodeError:
        raise AdminError("a URL is UTF-8, or is escaped") from None


def _make(options: argparse.Namespace, now: datetime) -> Done:
    base, target, host, path = _parts(options.url)
    scope = path if options.path is None else _scope(options.path, path)
    expires = int(now.timestamp()) + lifetime(options.expires)
    keys, made = _keys(options.keys, now)
    found = Link(secrets.token_hex(6), host, scope, expires)
    try:
        token = keys.link_keys.sign(found)
    except ImportError:
        raise AdminError(
            "the package itsdangerous is missing: pip install 'subscription-proxy-vsock[access]'"
        ) from None
    url = base + target_with_token(target.encode(), token.encode()).decode()
    until = datetime.fromtimestamp(expires, timezone.utc).isoformat(" ").partition("+")[0]
    data = {"url": url, "id": found.name, "host": host, "path": scope, "expires": expires}
    opens = f"{host}{scope}" + ("" if scope == "/" else " and below")
    lines = [url, f"id {found.name}, opens {opens} until {until} UTC"]
    if made:
        lines.append(f"{options.keys} was made; name it as links of the [[site]]")
    return Done(data, "\n".join(lines))


def _rotate(path: str, now: datetime) -> Done:
    with folder_lock(path, KeyFileError):
        after = read_key_file(path).rotated(now)
        write_key_file(path, after)
    data = {"keys": len(after.keys), "file": path}
    return Done(data, f"{path}: a new key signs, {len(after.keys) - 1} older ones count")


def _revoke(options: argparse.Namespace, now: datetime) -> Done:
    name = options.revoke.lower()
    if not LINK_ID.fullmatch(name):
        raise AdminError(f"--revoke={options.revoke}: an id is twelve digits, 0 to 9 and a to f")
    with folder_lock(options.keys, KeyFileError):
        write_key_file(options.keys, read_key_file(options.keys).revoking(name, now))
    return Done({"revoked": name, "file": options.keys}, f"{name} is revoked")


def _keys(path: str, now: datetime) -> tuple[KeyFile, bool]:
    """What is in the file, which is made if there is none; and whether it was."""
    try:
        return read_key_file(path), False
    except KeyFileMissing:
        pass
    with folder_lock(path, KeyFileError):
        try:
            return read_key_file(path), False
        except KeyFileMissing:
            made = KeyFile().rotated(now)
            write_key_file(path, made)
            return made, True


def lifetime(text: str) -> int:
    """
    Seconds.

    @raise AdminError: it is none, or too long.
    """
    found = _EXPIRES.fullmatch(text)
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not 0 < seconds <= MAX_LIFETIME:
        raise AdminError(f"--expires={text}: such as 90s, 30m, 1h or 7d, and at most 366d")
    return seconds


def _parts(url: str) -> tuple[str, str, str, str]:
    """Scheme and authority, path and query; host and path as requests are matched."""
    try:
        split = urlsplit(url)
    except ValueError:  # half an address of IPv6
        raise AdminError(f"{url}: write it as https://HOST/PATH") from None
    authority = split.netloc.encode()
    if split.scheme not in ("http", "https") or host_fault(authority) is not None:
        raise AdminError(f"{url}: write it as https://HOST/PATH")
    asked = quote(split.path or "/", safe="/%!$&'()*+,;=:@-._~")
    query = quote(split.query, safe="%!$&'()*+,;=:@-._~/?")
    base = f"{split.scheme}://{split.netloc}"
    target = asked + (f"?{query}" if query else "")
    return base, target, normalise_host(authority).decode(), _path(asked)


def _scope(text: str, path: str) -> str:
    scope = _path(quote(text, safe="/%!$&'()*+,;=:@-._~"))
    below = scope.rstrip("/")
    if path != below and not path.startswith(f"{below}/"):
        raise AdminError(f"--path={text}: {path}, to which the link leads, is not below it")
    return scope


def _path(text: str) -> str:
    path = normalise_path(text.encode()).decode()
    if not path.startswith("/") or ";" in path or len(path) > MAX_PATH:
        raise AdminError(f"{text}: a path of at most {MAX_PATH} bytes, without ';', is needed")
    return path
