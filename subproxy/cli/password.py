"""C{subproxy password}: the users of a site, each with the bcrypt hash of a password."""

from __future__ import annotations

import argparse
import sys
from getpass import getpass
from typing import Any, Final

from subproxy.cli.client import AdminError
from subproxy.config.users_file import UsersFileError, changed_users, name_fault
from subproxy.files.replaced_file import folder_lock, replace_file

DEFAULT_USERS: Final = "/etc/subproxy/users"

COST: Final = 10
"""The exponent of the rounds of a hash: a check takes about 60 ms, of one core at most."""

MAX_PASSWORD: Final = 72
"""Bytes: bcrypt looks at no more."""


def add_password(commands: Any, is_file: Any) -> None:
    """Its command line."""
    password = commands.add_parser("password", help="set the password of a user of private sites")
    password.add_argument("name", help="the user")
    is_file(password.add_argument("--users", default=DEFAULT_USERS, help="the file (%(default)s)"))
    password.add_argument("--remove", action="store_true", help="let that user in no more")


def password(options: argparse.Namespace) -> str:
    """
    Do as the command line says; what has come of it.

    @raise AdminError: it can't be; with a line why.
    """
    name = options.name.encode("utf-8", "surrogateescape")
    fault = name_fault(name)
    if fault is not None:
        raise AdminError(f"{options.name}: {fault}")
    hashed = None if options.remove else _hash(_asked(options.name))
    try:
        with folder_lock(options.users, UsersFileError):
            content, there = changed_users(options.users, name, hashed)
            replace_file(options.users, content, UsersFileError)
    except UsersFileError as error:
        raise AdminError(str(error)) from None
    if hashed is None:
        return f"{options.name} is let in no more"
    return f"{options.name} has {'another' if there else 'a'} password"


def _asked(name: str) -> bytes:
    """The password: twice from a terminal, else the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.buffer.readline().rstrip(b"\r\n")
    try:
        found = getpass(f"Password of {name}: ")
        if getpass("Once more: ") != found:
            raise AdminError("these are two passwords")
    except EOFError:
        raise AdminError("there was no password") from None
    return found.encode("utf-8", "surrogateescape")


def _hash(word: bytes) -> bytes:
    try:
        import bcrypt
    except ImportError:
        raise AdminError(
            "the package bcrypt is missing: pip install 'subscription-proxy-vsock[access]'"
        ) from None
    if not 0 < len(word) <= MAX_PASSWORD or b"\0" in word:
        raise AdminError(f"a password has 1 to {MAX_PASSWORD} bytes, and no NUL")
    return bcrypt.hashpw(word, bcrypt.gensalt(COST))
