"""
A container image: which of those in an archive is meant, and its layers as a root file system.

It is what C{docker save}, C{podman save} and C{skopeo copy ... docker-archive:} write, or an OCI
image layout (image-layout.md of the OCI image specification), as a tar or as a folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast

from guest.image.compression import PIECE, CompressionError, unpack_into
from guest.image.container_archive import ContainerArchive, ContainerError
from guest.image.container_config import ContainerConfig, container_config
from guest.image.json_fields import JsonError, array, mapping, parse_json, text, texts
from guest.image.layers import LayerError, apply, read_layer
from guest.image.rootfs import Rootfs, RootfsError

SYSTEM = ("linux", "amd64")
"""What the kernel of an image runs."""

DEEPEST = 4
"""Indexes within indexes that are followed."""

_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_KIND = "vnd.docker.reference.type"
"""Says of a manifest that it is no image but something about one, such as how it was built."""


@dataclass(frozen=True)
class _Candidate:
    """One image of an archive: its names, and the files of its configuration and layers."""

    names: tuple[str, ...]
    config: str
    layers: tuple[str, ...]


@dataclass(frozen=True)
class ContainerImage:
    """
    An image.

    @ivar config: how its program is run.
    @ivar root: its files.
    """

    config: ContainerConfig
    root: Rootfs


def read_container(
    path: Path, tag: str | None = None, say: Callable[[str], None] = lambda line: None
) -> ContainerImage:
    """
    Read an image out of an archive.

    @param tag: its name, or what follows the colon in it; None: there is only one.
    @param say: is told what an image has that a machine will not have.
    @raise ContainerError: it can't be read, or there are others than the one that is meant.
    """
    try:
        with ContainerArchive(path) as archive:
            found = _chosen(list(_candidates(archive)), tag)
            config = container_config(parse_json(archive.read(found.config), found.config))
            _check_system(config)
            return ContainerImage(config, _root(archive, found.layers, config.layers, say))
    except (JsonError, RootfsError) as error:
        raise ContainerError(f"{path}: {error}") from error


def _candidates(archive: ContainerArchive) -> Iterator[_Candidate]:
    if archive.holds("manifest.json"):
        document = parse_json(archive.read("manifest.json"), "manifest.json")
        for each in array(document, "manifest.json"):
            entry = mapping(each, "an entry of manifest.json")
            yield _Candidate(
                texts(entry.get("RepoTags"), "RepoTags"),
                text(entry.get("Config"), "Config"),
                texts(entry.get("Layers"), "Layers"),
            )
    elif archive.holds("index.json"):
        yield from _of_index(archive, "index.json", (), 0)
    else:
        raise ContainerError(
            "neither manifest.json nor index.json is there: it is no container image; docker save, "
            "or skopeo copy ... oci-archive:FILE, writes one"
        )


def _of_index(
    archive: ContainerArchive, name: str, names: tuple[str, ...], depth: int
) -> Iterator[_Candidate]:
    if depth > DEEPEST:
        raise ContainerError("indexes within indexes within indexes")
    index = mapping(parse_json(archive.read(name), name), name)
    for each in array(index.get("manifests"), "manifests"):
        entry = mapping(each, "an entry of manifests")
        notes = mapping(entry.get("annotations"), "annotations")
        if _KIND in notes or not _may_be_ours(mapping(entry.get("platform"), "platform")):
            continue
        own = tuple(text(notes[key], key) for key in _NAMES if key in notes)
        blob = _blob(entry)
        if not archive.holds(blob) and depth:
            continue  # of an index it may hold some platforms only
        document = mapping(parse_json(archive.read(blob), blob), blob)
        if "manifests" in document:
            yield from _of_index(archive, blob, own or names, depth + 1)
        elif "config" in document and not document.get("artifactType"):
            layers = array(document.get("layers"), "layers")
            yield _Candidate(
                own or names,
                _blob(mapping(document["config"], "config")),
                tuple(_blob(mapping(layer, "a layer")) for layer in layers),
            )


def _may_be_ours(platform: Mapping[str, Any]) -> bool:
    found = text(platform.get("os"), "os"), text(platform.get("architecture"), "architecture")
    return all(there in ("", wanted) for there, wanted in zip(found, SYSTEM, strict=True))


def _blob(descriptor: Mapping[str, Any]) -> str:
    """The file of what a descriptor describes."""
    algorithm, colon, digest = text(descriptor.get("digest"), "digest").partition(":")
    if not (colon and algorithm.isalnum() and digest.isalnum()):
        raise ContainerError(f"no digest: {descriptor.get('digest')!r}")
    return f"blobs/{algorithm}/{digest}"


def _chosen(found: list[_Candidate], tag: str | None) -> _Candidate:
    """
    The one that is meant.

    Where some have names, those without are what a newer image of the same name has left behind.
    """
    named = [each for each in found if each.names] or found
    if tag is not None:
        named = [each for each in named if any(_means(tag, name) for name in each.names)]
    if len(named) == 1:
        return named[0]
    names = sorted({name for each in found for name in each.names}) or ["none has a name"]
    if not found:
        raise ContainerError(f"no image for {'/'.join(SYSTEM)} is in there")
    if not named:
        raise ContainerError(f"no image {tag} is in there: {', '.join(names)}")
    raise ContainerError(f"{len(named)} images are in there, --tag says which: {', '.join(names)}")


def _means(tag: str, name: str) -> bool:
    return tag == name or name.endswith((f":{tag}", f"/{tag}"))


def _check_system(config: ContainerConfig) -> None:
    for there, wanted in zip(config.system, SYSTEM, strict=True):
        if there not in ("", wanted):
            raise ContainerError(
                f"the container image is for {'/'.join(config.system)}, not for {'/'.join(SYSTEM)}"
            )


def _root(
    archive: ContainerArchive,
    layers: tuple[str, ...],
    digests: tuple[str, ...],
    say: Callable[[str], None],
) -> Rootfs:
    if len(layers) != len(digests):
        raise ContainerError(f"{len(layers)} layers, and digests of {len(digests)}")
    root = Rootfs()
    for name, digest in zip(layers, digests, strict=True):
        with (
            TemporaryFile(prefix="subproxy-layer-") as packed,
            TemporaryFile(prefix="subproxy-layer-") as unpacked,
        ):
            archive.copy(name, cast(BinaryIO, packed))
            try:
                unpack_into(cast(BinaryIO, packed), cast(BinaryIO, unpacked))
                _check_digest(cast(BinaryIO, unpacked), digest)
                layer = read_layer(cast(BinaryIO, unpacked))
                apply(layer, root)
            except (CompressionError, LayerError) as error:
                raise ContainerError(f"the layer {name}: {error}") from error
        for path in layer.capable:
            say(f"/{path} loses its file capabilities: an initramfs can't hold them")
    return root


def _check_digest(file: BinaryIO, wanted: str) -> None:
    algorithm, _, digest = wanted.partition(":")
    if algorithm not in ("sha256", "sha512"):
        raise LayerError(f"a digest of an unknown kind: {wanted}")
    found = hashlib.new(algorithm)
    file.seek(0)
    while piece := file.read(PIECE):
        found.update(piece)
    file.seek(0)
    if found.hexdigest() != digest:
        raise LayerError("not what its digest says: broken, or not whole")
