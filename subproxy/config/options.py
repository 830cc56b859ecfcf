"""The command line of C{twistd subproxy}: what was asked for, checked as far as words can be."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from twisted.copyright import version as twisted_version
from twisted.python import usage

from subproxy.config.configuration_error import ConfigurationError
from subproxy.config.help_text import (
    DISTRIBUTION,
    EXAMPLE,
    TWISTD,
    Group,
    options_text,
    release,
    tell,
)
from subproxy.config.setting import Flag, Setting
from subproxy.config.settings import PROCESS, TABLE, Settings
from subproxy.config.sources import Effective, Sources
from subproxy.process.startup import fail

TWISTD_PIDFILE = "twistd.pid"
"""What twistd writes into the current folder if nobody says otherwise."""

NO_SETTINGS: dict[str, tuple[tuple[str, str], ...]] = {
    PROCESS: (("config", "FILE"), ("version", ""), ("help", ""))
}
"""What is no setting, by the group in which C{--help} has it."""

GROUPS: Sequence[Group] = [
    (
        group,
        (*((each.option, each.word) for each in rows), *NO_SETTINGS.get(group, ())),
    )
    for group, rows in groupby(TABLE, key=lambda each: each.group)
]
"""The options as C{--help} has them."""


class Options(usage.Options):
    """
    The options: one for each row of L{TABLE}, under its name there.

    Bad ones end the program with one clear line on standard error and status 1.

    @ivar settings: what they come to, once they are parsed.
    @ivar sources: where these come from, to be read again.
    @ivar effective: what the sources came to.
    """

    synopsis = "[--http=PORT|ENDPOINT]... [--vsock=PATH|GLOB|PORT|ENDPOINT]... [options]"
    longdesc = (
        "Applications in virtual machines dial the vsock listeners and register the hosts and "
        "paths that they serve; HTTP requests go to them."
    )

    optParameters = [
        [each.option, None, each.default, each.help]
        for each in TABLE
        if not each.repeats and not isinstance(each.kind, Flag)
    ] + [
        [
            "config",
            None,
            None,
            "A TOML file with all of these by section and key, and the policy; what the command "
            "line says wins. SIGHUP reads it again.",
        ]
    ]
    optFlags = [[each.option, None, each.help] for each in TABLE if isinstance(each.kind, Flag)]
    settings: Settings
    sources: Sources
    effective: Effective

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        for each in TABLE:
            if each.repeats:
                self[each.option] = []

    def parseOptions(self, options: Any = None) -> None:
        """Parse, check, and complain in one line."""
        for each in TABLE:
            if not each.repeats:
                self[each.option] = None  # else what is said could not be told from a default
        try:
            super().parseOptions(options)  # type: ignore[no-untyped-call]
        except usage.UsageError as error:
            fail(f"{error} ({self._typed or 'twistd subproxy'} --help tells the options)")

    def parseArgs(self, *words: str) -> None:
        """Nothing but options is taken: who names a file means the configuration."""
        if words:
            word = words[0]
            raise usage.UsageError(f"{word}: not an option; a configuration is --config={word}")

    @property
    def _typed(self) -> str:
        """What stood before our options, if that was not C{twistd}."""
        typed: str = getattr(getattr(self, "parent", None), "typed", "")
        return typed

    def getSynopsis(self) -> str:
        """The first line of the help."""
        if self._typed:
            return f"Usage: {self._typed} {self.synopsis}"
        usual: str = super().getSynopsis()
        return usual

    def getUsage(self, width: int | None = None) -> str:
        """The options in groups, with an example."""
        width = width or int(os.environ.get("COLUMNS", "80"))
        about = textwrap.fill(self.longdesc, width)
        options = options_text(GROUPS, self.docs, self.defaults, width)
        example = EXAMPLE.replace(TWISTD, self._typed or TWISTD)
        return f"{about}\n\n{example}\n{options}"

    def opt_version(self) -> None:
        """Tell the versions of subproxy and Twisted."""
        tell(f"subproxy {release()} ({DISTRIBUTION}), Twisted {twisted_version}")
        raise SystemExit(0)

    def opt_help(self) -> None:
        """Print this."""
        tell(str(self))
        raise SystemExit(0)

    def postOptions(self) -> None:
        """Read what was written, and check what needs more than one option."""
        self._no_pidfile_by_surprise()
        self.sources = Sources(self._given(), self["config"])
        try:
            self.effective = self.sources.read()
        except ConfigurationError as error:
            fail("\nsubproxy: ".join(error.lines()))
        except OSError as error:
            path = self["config"]
            what = f"--config={path}" if error.filename == path else error.filename
            fail(f"{what}: {error.strerror}")
        except ValueError as error:
            raise usage.UsageError(str(error)) from None
        self.settings = self.effective.settings
        self.update(self.effective.values)

    def _given(self) -> dict[str, Any]:
        """What the command line says, by option."""
        given: dict[str, Any] = {}
        for each in TABLE:
            value = self[each.option]
            if isinstance(each.kind, Flag):
                value = bool(value) or None
            elif not each.repeats and value is not None:
                value = _parsed(each, value)
            if value not in (None, []):
                given[each.option] = value
        return given

    def _no_pidfile_by_surprise(self) -> None:
        """
        In the foreground twistd writes a pid file only if one is asked for.

        Else it would lie in whatever folder is the current one, and keep a second proxy from
        being started there.
        """
        twistd: Any = getattr(self, "parent", None)
        if twistd is None or not (twistd.get("nodaemon") or twistd.get("debug")):
            return
        if twistd.get("pidfile") == TWISTD_PIDFILE and not asks_for_pidfile(sys.argv):
            twistd["pidfile"] = ""


def _parsed(setting: Setting, text: str) -> object:
    try:
        return setting.parse(text)
    except ValueError as error:
        raise usage.UsageError(str(error)) from None


def _repeatable(setting: Setting) -> Callable[[Options, str], None]:
    """What C{usage.Options} calls for each time that C{setting} is said."""

    def opt(self: Options, value: str) -> None:
        self[setting.option].append(_parsed(setting, value))

    opt.__doc__ = setting.help
    return opt


for _each in TABLE:
    if _each.repeats:
        setattr(Options, f"opt_{_each.name}", _repeatable(_each))


def asks_for_pidfile(command_line: Sequence[str]) -> bool:
    """Whether C{--pidfile} is among the options of twistd itself; it may be cut to C{--pi}."""
    end = command_line.index("subproxy") if "subproxy" in command_line else len(command_line)
    return any(
        word.startswith("--pi") and "--pidfile".startswith(word.partition("=")[0])
        for word in command_line[:end]
    )
