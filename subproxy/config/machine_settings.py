"""What can be set of machines as a whole: rows of the table of L{subproxy.config.settings}."""

from __future__ import annotations

from typing import Final

from subproxy.config.setting import Count, Text
from subproxy.config.setting_fields import maybe, one
from subproxy.wire.values import mixed_value_class

MACHINES: Final = "Machines"


@mixed_value_class
class MachineSettings:
    """See above."""

    machines_folder: str | None = maybe(
        Text(str),
        "Folder of the sockets and consoles of machines; made, if need be.",
        MACHINES,
        "workers",
        word="FOLDER",
        otherwise="see [machines](#machines)",
    )
    machine_files: str | None = maybe(
        Text(str),
        "Folder of machines that are declared in files of their own, NAME.toml, as subproxy "
        "machines add makes them; made, if need be. With it nobody may claim anything that no "
        "policy, and no machine, says.",
        MACHINES,
        "workers",
        word="FOLDER",
    )
    machine_starts: int = one(
        Count(0, 64, ""),
        "0",
        "Machines that are started at a time; 0: as many as there are cores.",
        MACHINES,
        "workers",
    )
    most_in_all: int = one(
        Count(0, 65_536, ""),
        "0",
        "Instances of all machines that run at a time; 0: any number. Where another one is needed, "
        "one that nobody uses is stopped.",
        MACHINES,
        "workers",
    )
