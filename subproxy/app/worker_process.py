"""What makes a process of its own of a fork of the template: its reactor, folder and user."""

from __future__ import annotations

import os
import pwd
import sys
from typing import Any, cast

from twisted.internet.main import installReactor
from twisted.logger import Logger
from twisted.python.util import switchUID

from subproxy.process.reactor_choice import choose, make_monotonic


def fresh_reactor() -> Any:
    """A reactor of this process: of the kind that was asked for, or the best that can be had."""
    before = sys.modules.pop("twisted.internet.reactor", None)
    if before is None:
        chosen = choose()
    else:
        installReactor(cast("Any", type(before))())
        chosen = f"{type(before).__name__}, as it was asked for"
    from twisted.internet import reactor

    make_monotonic(reactor)
    Logger("subproxy").info("reactor: {chosen}", chosen=chosen)
    return reactor


def set_up_process(config: Any) -> None:
    """Folder, root and umask, as twistd sets them (C{UnixApplicationRunner.setupEnvironment})."""
    root, folder = config.get("chroot"), config.get("rundir", ".")
    if root is not None:
        os.chroot(root)
        folder = "/" if folder == "." else folder
    os.chdir(folder)
    if config.get("umask") is not None:
        os.umask(config["umask"])


def shed_privileges(config: Any) -> None:
    """Be the user that twistd was told to be (C{UnixApplicationRunner.shedPrivileges})."""
    uid, gid = config.get("uid"), config.get("gid")
    if uid is not None and gid is None:
        gid = pwd.getpwuid(uid).pw_gid
    if uid is not None or gid is not None:
        switchUID(uid, gid, config.get("euid", False))
