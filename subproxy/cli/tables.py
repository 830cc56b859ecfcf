"""Data of the admin API as text for people: pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from subproxy.core.printable import printable

Data = dict[str, Any]


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns as wide as they must be; numbers to the right. A cell is one line, and printable."""
    cells = [list(heads), *([printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(heads))]
    numeric = [
        bool(rows) and all(isinstance(row[at], int | float) for row in rows)
        for at in range(len(heads))
    ]
    lines = []
    for row in cells:
        parts = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def milliseconds(seconds: float) -> float:
    """Seconds as milliseconds, as exact as a person wants."""
    return round(seconds * 1000, 2)


def routes(data: Data) -> str:
    """The table of C{subproxy routes}."""
    if not data["routes"]:
        return "no routes: no guest has registered"
    rows = [
        (
            route["host"],
            "passthrough" if route.get("passthrough") else route["path"],
            _served_by(route),
            route["waiting"],
        )
        for route in data["routes"]
    ]
    return table(("HOST", "PATH", "SUBSCRIBERS", "WAITING"), rows)


def _served_by(route: Data) -> object:
    if not route["vacant"]:
        return len(route["subscribers"])
    return f"starts {route['machine']}" if route.get("machine") else "vacant"


def machines(data: Data) -> str:
    """The table of C{subproxy machines}: a line for each instance that runs, or for the machine."""
    rows: list[tuple[object, ...]] = []
    for machine in data["machines"]:
        waiting, failed = machine["waiting"], machine["starts"]["failed"]
        instances = [each for each in machine["instances"] if each["state"] != "cold"]
        if not instances:
            rows.append((machine["name"], machine["state"], "", "", "", waiting, "", failed))
        for each in instances:
            took = "" if each["start_seconds"] is None else f"{each['start_seconds']:.2f}"
            rows.append(
                (
                    f"{machine['name']} ({each['index']})",
                    each["state"],
                    f"{each['since']:.0f}",
                    each["starts"],
                    took,
                    waiting,
                    each["busy"],
                    failed,
                    f"{each['memory'] >> 20}M",
                )
            )
    heads = ("MACHINE", "STATE", "SINCE", "STARTS", "TOOK", "WAITING", "BUSY", "FAILED", "MEMORY")
    lines = [table(heads, [(*row, *[""] * (len(heads) - len(row))) for row in rows])]
    for machine in data["machines"]:
        lines += _starts(machine)
        if machine["failures"]:
            lines.append(
                f"{machine['name']}: {machine['reason']}; it may be started again in "
                f"{machine['next_attempt']:.0f} s"
            )
    return "\n".join(lines)


def _starts(machine: Data) -> Iterator[str]:
    """Where the time of the last start went, of each instance that is up."""
    for each in machine["instances"]:
        known = [
            f"{phase.replace('_', ' ')} {seconds:.3f}"
            for phase, seconds in each.get("start_split", {}).items()
            if seconds is not None
        ]
        if known and each["state"] == "up":
            yield f"{machine['name']} ({each['index']}), seconds of its start: {', '.join(known)}"


def subscribers(data: Data) -> str:
    """The table of C{subproxy subscribers}."""
    if not data["subscribers"]:
        return "no subscribers"
    rows = [
        (
            each["id"],
            each["state"],
            milliseconds(each["latency"]),
            each["in_flight"],
            each.get("tunnels", 0),
            each["concurrency"] or "-",
            each["weight"],
            len(each["routes"]),
        )
        for each in data["subscribers"]
    ]
    heads = ("SUBSCRIBER", "STATE", "PING MS", "IN FLIGHT", "TUNNELS", "MOST", "WEIGHT", "ROUTES")
    return table(heads, rows)


def hosts(data: Data) -> str:
    """The table of C{subproxy hosts}, with a line on the cluster below."""
    rows = [
        (
            each["host"],
            each["address"] or "-",
            each["asks"],
            each["asked"],
            each["routes"],
            "-" if each["latency"] is None else milliseconds(each["latency"]),
            each["in_flight"],
        )
        for each in data["hosts"]
    ]
    heads = ("HOST", "ADDRESS", "ASKS", "ASKED", "ROUTES", "PING MS", "IN FLIGHT")
    lines = [table(heads, rows) if rows else "no other hosts"]
    cluster = data["cluster"]
    if cluster is not None:
        stale = f", stale for {cluster['stale_for']:.0f} s" if cluster["stale"] else ""
        lines.append(
            f"this host: {data['host']} at {cluster['address']}; store: {cluster['state']}{stale}; "
            f"lease: {cluster['lease']}; published: {cluster['published']}"
            + (f", of which {cluster['unpublished']} not yet" if cluster["unpublished"] else "")
        )
    return "\n".join(lines)


def certificates(data: Data) -> str:
    """The table of C{subproxy certificates}: what expires first comes first."""
    if not data["certificates"]:
        return "no certificates"
    found = sorted(data["certificates"], key=lambda each: each["days_left"] or 0.0)
    rows = [
        (
            ", ".join(each["names"][:3]) + (", ..." if len(each["names"]) > 3 else "") or "-",
            "-" if each["days_left"] is None else round(each["days_left"], 1),
            each["state"] + (", default" if each["default"] else ""),
            each["path"],
            each["problem"] or "-",
        )
        for each in found
    ]
    return table(("NAMES", "DAYS LEFT", "STATE", "FILE", "PROBLEM"), rows)


def explanation(data: Data) -> str:
    """The text of C{subproxy explain}."""
    if "requests" in data:
        return "\n\n".join(map(way_of_request, data["requests"]))
    lines = [f"{data['host']} {data['path']}"]
    for each in data["site_rules"]:
        note = ", asked at each request" if each["each_request"] else ""
        lines.append(f"  {each['rule']}: by the site {each['site']}{note}")
    if data["route"] is None:
        lines.append(data["reason"])
        lines += [f"  same host: {route}" for route in data["same_host"]]
        return "\n".join(lines)
    route = data["route"]
    lines.append(f"goes to {route['host']} {route['path']}: {data['reason']}")
    for number, each in enumerate(data["candidates"][1:], 2):
        lines.append(f"  {number}. {each['route']}: loses, since {each['rule']}")
    if data.get("would_start"):
        lines.append(f"it would start the machine {data['would_start']}, and wait for it")
        return "\n".join(lines)
    if not data["subscribers"]:
        lines.append("it has no subscriber now")
        return "\n".join(lines)
    for each in data["subscribers"]:
        if each.get("out_for") is not None:
            back = f"it comes back in {max(0.0, each['out_for']):.0f} s"
            lines.append(f"  {each['id']} gets nothing, since it has failed: {back}")
        elif each.get("failures"):
            lines.append(f"  {each['id']} has failed {each['failures']} times in a row")
    rows = [
        (each["id"], each["state"], each["score"], each["in_flight"])
        for each in sorted(data["subscribers"], key=lambda each: float(each["score"]))
    ]
    lines.append(table(("CANDIDATE", "STATE", "SCORE (LESS IS BETTER)", "IN FLIGHT"), rows))
    return "\n".join(lines)


def way_of_request(data: Data) -> str:
    """The way of a request that has ended; what a client said of itself is one line, too."""
    data = {key: printable(it) if isinstance(it, str) else it for key, it in data.items()}
    host = "" if data["host"] is None else f" of {data['host']}"
    worker = f", worker {data['process']}" if "process" in data else ""
    lines = [
        f"{data['id']} at {data['time']}{worker}",
        f"  {data['client']}: {data['method']} {data['target']}{host}",
        "  no route" if data["route"] == "-" else f"  route {data['route']}",
    ]
    lines += [f"  {each} had it, and lost it" for each in data["tried"]]
    if data["subscriber"] != "-":
        lines.append(f"  subscriber {data['subscriber']}, attempt {data['attempts']}")
    error = "" if data["error"] is None else f": {data['error']}"
    lines.append(f"  status {data['status']}, {data['bytes']} bytes{error}")
    if data["trace"]:
        lines.append(f"  trace {data['trace']}")
    names = ("queued", "wake", "guest", "first_byte", "last_byte")
    times = [(name.replace("_", " "), data[name]) for name in names]
    known = [f"{name} {value:.3f} s" for name, value in times if value is not None]
    lines.append(f"  {', '.join(known)}")
    return "\n".join(lines)


def drained(data: Data, verb: str) -> str:
    """The text of C{subproxy drain} and C{undrain}."""
    return "\n".join(f"{verb} {printable(name)}" for name in data["subscribers"])


def reloaded(data: Data) -> str:
    """The text of C{subproxy reload}."""
    lines = [f"in force: {name}" for name in data["applied"]] or ["nothing has changed"]
    return "\n".join(lines + [f"needs a hand-over (SIGUSR2): {name}" for name in data["hand_over"]])
