"""
C{subproxy run}: the proxy in the foreground.

It is C{twistd -n --pidfile= subproxy}, but for what has to be imported before anything of ours is,
and for looking through all plugins of Twisted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from subproxy.process.late_import import load_late
from subproxy.process.lean_imports import lean_imports

COMMAND = "subproxy run"


def serve(arguments: Sequence[str]) -> int:
    """
    Run the proxy until a signal ends it.

    @param arguments: the options of C{twistd subproxy}.
    @return: the exit status: 0, or 1 with a line why.
    """
    load_late()
    with lean_imports():
        from twisted.python.usage import UsageError
        from twisted.scripts.twistd import ServerOptions, runApp  # type: ignore[attr-defined]

        from twisted.plugins.subproxy_plugin import subproxy

        class RunOptions(ServerOptions):
            """Those of twistd, which knows one plugin."""

            typed = COMMAND

            @property
            def subCommands(self) -> Iterator[tuple[str, None, Any, str]]:
                self.loadedPlugins = {subproxy.tapname: subproxy}
                yield subproxy.tapname, None, subproxy.options, subproxy.description

        config: Any = RunOptions()  # type: ignore[no-untyped-call]
        try:
            config.parseOptions(["--nodaemon", "--pidfile=", subproxy.tapname, *arguments])
        except UsageError as error:
            print(f"{COMMAND}: {error}", file=sys.stderr)
            return 1
    runApp(config)
    return 0
