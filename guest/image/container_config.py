"""
What a container image says of its program (OCI image specification, config.md).

C{docker save} and C{skopeo} write the same document.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from guest.image.json_fields import mapping, text, texts

_TCP = re.compile(r"([0-9]{1,5})(?:/tcp)?")


@dataclass(frozen=True)
class ContainerConfig:
    """
    How its program is run.

    @ivar system: operating system and architecture; either may be empty.
    @ivar environment: C{NAME=VALUE} each.
    @ivar entry_point: the first words of the command.
    @ivar arguments: the others, which who starts it may replace.
    @ivar folder: where it runs; empty: the root.
    @ivar user: C{USER} or C{USER:GROUP}, names or numbers; empty: root.
    @ivar ports: TCP ports on which it is said to listen.
    @ivar volumes: folders that are made where they are missing.
    @ivar layers: the digest of each unpacked layer.
    """

    system: tuple[str, str]
    environment: tuple[str, ...]
    entry_point: tuple[str, ...]
    arguments: tuple[str, ...]
    folder: str
    user: str
    ports: tuple[int, ...]
    volumes: tuple[str, ...]
    layers: tuple[str, ...]


def container_config(document: Any) -> ContainerConfig:
    """
    Read one.

    @raise JsonError: it is not as the specification says.
    """
    top = mapping(document, "the container's configuration")
    config = mapping(top.get("config"), "config")
    ports = [_TCP.fullmatch(port) for port in mapping(config.get("ExposedPorts"), "ExposedPorts")]
    return ContainerConfig(
        system=(text(top.get("os"), "os"), text(top.get("architecture"), "architecture")),
        environment=texts(config.get("Env"), "Env"),
        entry_point=texts(config.get("Entrypoint"), "Entrypoint"),
        arguments=texts(config.get("Cmd"), "Cmd"),
        folder=text(config.get("WorkingDir"), "WorkingDir"),
        user=text(config.get("User"), "User"),
        ports=tuple(sorted({int(found[1]) for found in ports if found})),
        volumes=tuple(sorted(mapping(config.get("Volumes"), "Volumes"))),
        layers=texts(mapping(top.get("rootfs"), "rootfs").get("diff_ids"), "diff_ids"),
    )
