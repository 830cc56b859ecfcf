"""What an image leaves out, and the names by which it can be kept.

A guest has no terminal, no compiler and no network but vsock; what serves only these
is left out of Python's standard library and of Twisted, as are everybody's tests.
C{--keep NAME} takes a group of C{GROUPS} back in.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from fnmatch import translate

GROUPS: Mapping[str, tuple[str, ...]] = {
    "ssl": ("lib-dynload/_ssl.*", "lib-dynload/_hashlib.*"),
    "sqlite3": ("sqlite3/*", "lib-dynload/_sqlite3.*"),
    "encodings": (
        "encodings/cp0*",
        "encodings/cp1[!2]*",
        "encodings/cp12[!5]*",
        "encodings/cp125[!2]*",
        "encodings/cp[235-9]*",
        "encodings/cp4[!3]*",
        "encodings/iso8859_[2-9]*",
        "encodings/iso8859_1[0-46-9]*",
        "encodings/iso2022*",
        "encodings/mac_*",
        "encodings/koi8*",
        "encodings/kz1048*",
        "encodings/ptcp*",
        "encodings/hp_*",
        "encodings/tis_*",
        "encodings/euc_*",
        "encodings/big5*",
        "encodings/gb*",
        "encodings/hz*",
        "encodings/johab*",
        "encodings/shift_*",
        "encodings/palmos*",
        "lib-dynload/_codecs_*",
        "lib-dynload/_multibytecodec.*",
    ),
    "terminal": (
        "curses/*",
        "idlelib/*",
        "tkinter/*",
        "turtle*",
        "lib-dynload/_curses*",
        "lib-dynload/_tkinter*",
        "lib-dynload/readline.*",
        "_pyrepl/*",
    ),
    "databases": ("dbm/*", "lib-dynload/_dbm.*", "lib-dynload/_gdbm.*"),
    "development": (
        "config-*",
        "distutils/*",
        "_distutils_system_mod*",
        "doctest*",
        "ensurepip/*",
        "lib2to3/*",
        "pickletools*",
        "pydoc*",
        "unittest/*",
        "venv/*",
        "lib-dynload/_lsprof.*",
    ),
    "tests": (
        "test/*",
        "*/test/*",
        "*/tests/*",
        "lib-dynload/_test*",
        "lib-dynload/_ctypes_test*",
        "lib-dynload/_xxtest*",
        "lib-dynload/xx*",
    ),
    "relics": (
        "lib-dynload/audioop.*",
        "lib-dynload/ossaudiodev.*",
        "lib-dynload/_crypt.*",
        "lib-dynload/_uuid.*",
        "xmlrpc/*",
        "msilib/*",
        "mailbox*",
        "nntplib*",
        "telnetlib*",
        "smtpd*",
        "imaplib*",
        "poplib*",
        "ftplib*",
        "aifc*",
        "sunau*",
        "wave*",
        "chunk*",
        "cgitb*",
        "webbrowser*",
        "antigravity*",
        "this.*",
    ),
    "multiprocessing": (
        "multiprocessing/*",
        "lib-dynload/_multiprocessing.*",
        "lib-dynload/_posixshmem.*",
    ),
    "twisted": (
        "twisted/conch/*",
        "twisted/mail/*",
        "twisted/names/*",
        "twisted/pair/*",
        "twisted/spread/*",
        "twisted/trial/*",
        "twisted/words/*",
        "twisted/plugins/twisted_trial*",
        "twisted/plugins/twisted_words*",
        "twisted/newsfragments/*",
        "twisted/*/newsfragments/*",
    ),
}
"""Patterns of paths below a folder of Python modules, by the name that keeps them (C{*} also
crosses folders)."""

USUAL = ("ssl", "sqlite3", "multiprocessing")
"""Kept in every image but a minimal one: programs import them without a thought."""

WASTE = (
    "*.py[iox]",
    "*.pxd",
    "*.[ch]",
    "*.cpp",
    "*.exe",
    "*.dll",
    "*/__pycache__/*",
    "__pycache__/*",
    "bin/*",
    "lib-dynload/nis.*",
    "*.dist-info/RECORD",
    "*.dist-info/licenses/*",
    "*.dist-info/INSTALLER",
    "*.dist-info/WHEEL",
    "*.dist-info/REQUESTED",
    "*.dist-info/direct_url.json",
    "*.dist-info/LICENSE*",
)
"""What no running program reads; not even C{--keep} brings it."""


class Pruning:
    """Decides by its path, relative to a folder of modules, whether a file is left out."""

    def __init__(self, keep: Collection[str] = ()) -> None:
        keep = set(keep)
        unknown = sorted(keep - set(GROUPS))
        if unknown:
            raise ValueError(f"nothing to keep under {unknown[0]!r}; there are {', '.join(GROUPS)}")
        patterns = [p for name, group in GROUPS.items() if name not in keep for p in group]
        self._dropped = re.compile("|".join(map(translate, [*patterns, *WASTE])))

    def drops(self, path: str) -> bool:
        """Whether the file at C{path} is left out."""
        return self._dropped.match(path) is not None
