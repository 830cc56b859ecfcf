"""What takes privileges from a program: C{setpriv} of util-linux, and whom it may run as."""

from __future__ import annotations

import pwd


def account(user: str) -> pwd.struct_passwd:
    """
    What the system knows of a user.

    @raise FileNotFoundError: there is none of that name.
    """
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise FileNotFoundError(2, "no such user", user) from None


def privileges(user: str, group: int | None, *, root: bool) -> list[str]:
    """
    The words before a command that take privileges from it.

    @param user: whom it runs as; empty: as we do.
    @param group: that user's.
    @param root: whether we are root. Without a user it is root then, with none of its capabilities.
    """
    words = ["setpriv", "--pdeathsig=KILL", "--no-new-privs"]
    if user:
        return [*words, f"--reuid={user}", f"--regid={group}", "--init-groups"]
    return [*words, "--inh-caps=-all", "--bounding-set=-all"] if root else words
