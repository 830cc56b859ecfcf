"""What changes from one look at a proxy to the next: the rows of C{subproxy top}. Pure."""

from __future__ import annotations

from typing import Any

Data = dict[str, Any]

ROUTE_COLUMNS = ("route", "subscribers", "waiting", "rate", "errors", "first byte ms")
SUBSCRIBER_COLUMNS = ("subscriber", "state", "worker", "ping ms", "in flight", "most", "weight")


def rate(now: Data, before: Data | None, name: str, seconds: float) -> float | None:
    """
    How much C{name} has grown a second.

    @return: None if that is not known: there is one look only, or the proxy has started anew.
    """
    if before is None or seconds <= 0 or now[name] < before[name]:
        return None
    return round(float(now[name] - before[name]) / seconds, 1)


def route_rows(data: Data, last: Data | None = None) -> list[tuple[Any, ...]]:
    """The columns of each route; of what has not been measured None."""
    seconds = 0.0 if last is None else data["at"] - last["at"]
    before = {_name(each): each for each in ([] if last is None else last["routes"])}
    rows = []
    for each in data["routes"]:
        old = before.get(_name(each))
        answers = 0 if old is None else each["answers"] - old["answers"]
        mean = None
        if old is not None and answers > 0:
            mean = round((each["first_byte"] - old["first_byte"]) * 1000 / answers, 1)
        served = 0 if each["vacant"] else len(each["subscribers"])
        rates = (rate(each, old, name, seconds) for name in ("requests", "errors"))
        rows.append((_name(each), served, each["waiting"], *rates, mean))
    return rows


def subscriber_rows(data: Data) -> list[tuple[Any, ...]]:
    """The columns of each subscriber."""
    return [
        (
            each["id"],
            each["state"],
            each.get("process", 0),
            round(each["latency"] * 1000, 2),
            each["in_flight"],
            each["concurrency"] or None,
            each["weight"],
        )
        for each in data["subscribers"]
    ]


def summary(data: Data, last: Data | None = None) -> str:
    """One line on the whole."""
    totals = data["totals"]
    before = None if last is None else last["totals"]
    seconds = 0.0 if last is None else data["at"] - last["at"]
    asked = rate(totals, before, "requests", seconds)
    failed = rate(totals, before, "errors", seconds)
    counts = ", ".join(
        f"{name.replace('_', ' ')} {totals[name]}"
        for name in ("in_flight", "waiting", "tunnels", "connections", "subscriptions")
    )
    return f"requests/s {shown(asked)}, errors/s {shown(failed)}, {counts}"


def arranged(rows: list[tuple[Any, ...]], column: int, falling: bool) -> list[tuple[Any, ...]]:
    """C{rows} by a column; what is not known comes last."""
    known = [row for row in rows if row[column] is not None]
    unknown = [row for row in rows if row[column] is None]
    return sorted(known, key=lambda row: row[column], reverse=falling) + unknown


def shown(value: Any) -> str:
    """A cell."""
    return "-" if value is None else str(value)


def _name(route: Data) -> str:
    return f"{route['host']} {route['path']}"
