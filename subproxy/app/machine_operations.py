"""What an operator asks of machines, and tells them."""

from __future__ import annotations

from subproxy.admin.pages import Reply
from subproxy.core.printable import printable
from subproxy.machines.manager import MachineManager
from subproxy.machines.view import console_view, latest, machines_view


def machine_reply(manager: MachineManager, now: float, what: str, about: str) -> Reply:
    """See L{subproxy.admin.site.Operations}: C{machines}, and C{machine-...} about one of them."""
    if what == "machines":
        return {"machines": machines_view(manager, now)}, 200
    name, _, more = about.partition("/")
    if name not in manager.machines:
        return {"error": f"no machine is called '{printable(name)}'"}, 404
    match what:
        case "machine-start":
            done = manager.start(name)
        case "machine-stop":
            done = manager.stop(name)
        case "machine-restart":
            done = manager.restart(name)
        case _:
            return _console(manager, name, more)
    if not done:
        return {"error": f"machine {name} is no longer declared"}, 409
    return {"machine": name}, 200


def _console(manager: MachineManager, name: str, more: str) -> Reply:
    """What an instance has printed; C{more} is which, or nothing, a slash, and from where."""
    instance, _, begin = more.partition("/")
    try:
        index = int(instance) if instance else latest(manager.machines[name])
        return console_view(manager.folder, name, index, int(begin or 0)), 200
    except ValueError:
        return {"error": "an instance and a place are numbers"}, 400
    except OSError as error:
        return {"error": f"machine {name} has no console: {error.strerror}"}, 404
