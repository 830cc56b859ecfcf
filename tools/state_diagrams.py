"""The states page of the docs, drawn of the tables: C{python -m tools.state_diagrams} writes it."""

from __future__ import annotations

from pathlib import Path

from guest.sidecar import states as sidecar
from subproxy.app import parent_hand_over
from subproxy.cluster import states as cluster
from subproxy.core import exchange, rescan, tunnel_half
from subproxy.core.balancing import member
from subproxy.core.states import TransitionTable
from subproxy.frontend import client_tunnel, connection_state
from subproxy.frontend.http2 import ending, stream, stream_tunnel
from subproxy.frontend.peer import (
    dialer,
    peer_data_connection,
    peer_download,
    peer_upload,
)
from subproxy.frontend.tls import states as tls
from subproxy.machines import snapshot_plan
from subproxy.machines import states as machines
from subproxy.machines.vmm import machine_run
from subproxy.relay import receiving
from subproxy.subscription import message_pump, states
from subproxy.subscription.bodies import (
    data_connection_state,
    transfer,
    tunnel_transfer_state,
)
from subproxy.workers import states as workers

PAGE = Path(__file__).resolve().parent.parent / "docs" / "explanation" / "states.md"

HEAD = """\
# States

What lives through states has a table of them, and nothing else says in which it is. These diagrams
are drawn of the tables by `python -m tools.state_diagrams`; a test holds the page to them. The
states of a connection on the wire are in [the protocol](../protocol.md#states).
"""


def of_members() -> str:
    """The life of a subscription as the balancer sees it, with what moves it."""
    lines = ["stateDiagram-v2", f"    [*] --> {next(iter(member.TRANSITIONS)).name}"]
    for state, events in member.TRANSITIONS.items():
        lines += [
            f"    {state.name} --> {after.name}: {event.name.lower()}"
            for event, after in events.items()
            if after is not state
        ]
    return "\n".join(lines) + "\n"


DIAGRAMS = {
    "A worker": ("workers/states.py", workers.TRANSITIONS.diagram),
    "The hand-over of a parent": (
        "app/parent_hand_over.py",
        parent_hand_over.HAND_OVER_TRANSITIONS.diagram,
    ),
    "An instance of a machine": ("machines/states.py", machines.TRANSITIONS.diagram),
    "The snapshot of a machine": (
        "machines/snapshot_plan.py",
        snapshot_plan.TRANSITIONS.diagram,
    ),
    "The processes of a virtual machine": (
        "machines/vmm/machine_run.py",
        machine_run.TRANSITIONS.diagram,
    ),
    "The connection to another host": (
        "frontend/peer/dialer.py",
        dialer.DIAL_TRANSITIONS.diagram,
    ),
    "A data connection to another process": (
        "frontend/peer/peer_data_connection.py",
        peer_data_connection.DATA_TRANSITIONS.diagram,
    ),
    "An answer's body that goes to another process": (
        "frontend/peer/peer_download.py",
        peer_download.DOWNLOAD_TRANSITIONS.diagram,
    ),
    "A request's body that comes from another process": (
        "frontend/peer/peer_upload.py",
        peer_upload.UPLOAD_TRANSITIONS.diagram,
    ),
    "The view of a cluster's store": ("cluster/states.py", cluster.VIEW_TRANSITIONS.diagram),
    "The lease of a host": ("cluster/states.py", cluster.LEASE_TRANSITIONS.diagram),
    "What is asked of a store": ("cluster/states.py", cluster.ASKING_TRANSITIONS.diagram),
    "A folder that is looked at again": ("core/rescan.py", rescan.TRANSITIONS.diagram),
    "An exchange": ("core/exchange.py", exchange.TRANSITIONS.diagram),
    "A client's connection": (
        "frontend/connection_state.py",
        connection_state.TRANSITIONS.diagram,
    ),
    "The receiving side of a client's connection, or of a data connection": (
        "relay/receiving.py",
        receiving.TRANSITIONS.diagram,
    ),
    "The halves of a client's tunnel": (
        "frontend/client_tunnel.py",
        client_tunnel.TRANSITIONS.diagram,
    ),
    "A client's connection over TLS": ("frontend/tls/states.py", tls.TLS_TRANSITIONS.diagram),
    "When such a connection reads": (
        "frontend/tls/states.py",
        tls.READING_TRANSITIONS.diagram,
    ),
    "A stream of HTTP/2": ("frontend/http2/stream.py", stream.TRANSITIONS.diagram),
    "A tunnel on such a stream": (
        "frontend/http2/stream_tunnel.py",
        stream_tunnel.TRANSITIONS.diagram,
    ),
    "The end of a connection of HTTP/2": (
        "frontend/http2/ending.py",
        ending.ENDINGS.diagram,
    ),
    "A guest's connection": ("subscription/states.py", states.TRANSITIONS.diagram),
    "What came from a guest": ("subscription/message_pump.py", message_pump.TRANSITIONS.diagram),
    "A member of a pool": ("core/balancing/member.py", of_members),
    "A data connection": (
        "subscription/bodies/data_connection_state.py",
        data_connection_state.TRANSITIONS.diagram,
    ),
    "A body over a data connection": (
        "subscription/bodies/transfer.py",
        transfer.TRANSITIONS.diagram,
    ),
    "A tunnel over a data connection": (
        "subscription/bodies/tunnel_transfer_state.py",
        tunnel_transfer_state.TRANSITIONS.diagram,
    ),
    "A half of a tunnel, to a guest or to another process": (
        "core/tunnel_half.py",
        tunnel_half.HALF_TRANSITIONS.diagram,
    ),
}


OF_GUESTS = {
    "A program behind a sidecar": TransitionTable(sidecar.PROGRAM_TRANSITIONS),
    "A connection to such a program": TransitionTable(sidecar.CLIENT_CONNECTION_TRANSITIONS),
}
"""Tables of C{guest/sidecar/states.py}."""


def page() -> str:
    """The page as it should be."""
    parts = [HEAD]
    for title, (module, diagram) in DIAGRAMS.items():
        parts.append(f"## {title}\n\n`subproxy/{module}`\n\n```mermaid\n{diagram()}```\n")
    for title, table in OF_GUESTS.items():
        part = f"## {title}\n\n`guest/sidecar/states.py`\n\n```mermaid\n{table.diagram()}```\n"
        parts.append(part)
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
