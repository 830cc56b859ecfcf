"""What an operator asks of machines, and tells them."""

from __future__ import annotations

from subproxy.admin.pages import Reply
from subproxy.core.printable import printable
from subproxy.machines.console_reading import read_console
from subproxy.machines.manager import MachineManager
from subproxy.machines.view import latest, machines_view


def machine_reply(manager: MachineManager, now: float, what: str, about: str) -> Reply:
    """See L{subproxy.admin.site.Operations}: C{machines}, and C{machine-...} about one of them."""
    if what == "machines":
        return {"machines": machines_view(manager, now)}, 200
    name, _, more = about.partition("/")
    if what in ("machine-start", "machine-snapshot"):
        manager.make(name)
    if name not in manager.machines:
        return {"error": f"no machine is called '{printable(name)}'"}, 404
    match what:
        case "machine-start":
            done = manager.start(name)
        case "machine-stop":
            done = manager.stop(name)
        case "machine-restart":
            done = manager.restart(name)
        case "machine-snapshot":
            if (why := manager.freeze(name)) is not None:
                return {"error": why}, 409
            done = True
        case "machine-drop-snapshot":
            if (why := manager.drop_snapshot(name)) is not None:
                return {"error": why}, 409
            done = True
        case _:
            return _console(manager, name, more)
    if not done:
        return {"error": f"machine {name} is no longer declared"}, 409
    return {"machine": name}, 200


def _console(manager: MachineManager, name: str, more: str) -> Reply:
    """What an instance has printed; C{more}: which, from which byte, and C{whole}, by slashes."""
    instance, begin, whole, *_ = (*more.split("/"), "", "")
    try:
        index = int(instance) if instance else latest(manager.machines[name])
        found = read_console(manager.folder, name, index, int(begin or 0), whole=whole == "whole")
        return found, 200
    except ValueError:
        return {"error": "an instance and a place are numbers"}, 400
    except OSError as error:
        return {"error": f"machine {name} has no console: {error.strerror}"}, 404
