"""What is written down of requests: the rows of the access log and of traces."""

from __future__ import annotations

from subproxy.config.setting import Choice, Number, Text
from subproxy.config.setting_fields import maybe, one
from subproxy.telemetry.log_format import FORMATS
from subproxy.wire.values import mixed_value_class

CLIENTS = "Clients"
"""Their heading in C{--help}."""


@mixed_value_class
class LogSettings:
    """See L{subproxy.config.settings.Settings}."""

    traces: float | None = maybe(
        Number(0.0, 1.0, ""),
        "Follow traces (W3C Trace Context): a traceparent is passed on, or made where there is "
        "none, and is in the access log. This share of those made, 0 to 1, is marked as sampled.",
        CLIENTS,
        "http",
        word="SHARE",
        reload=True,
    )
    access_log: str = one(
        Text(str),
        "-",
        "The access log: a file, - for standard output, or none.",
        CLIENTS,
        "log",
        word="FILE",
    )
    access_log_format: str = one(
        Choice(tuple(FORMATS)),
        "combined",
        f"{' or '.join(FORMATS)}.",
        CLIENTS,
        "log",
        word="FORMAT",
    )
