"""Tars of layers and of container images, made in memory."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any

Member = tuple[str, dict[str, Any]] | tuple[str, bytes]


def layer(*members: Member | tarfile.TarInfo, format: int = tarfile.PAX_FORMAT) -> bytes:
    """
    A tar of members in the order given: C{("a", b"content")}, C{("d/", {})} a folder, and
    C{("l", {"type": tarfile.SYMTYPE, "linkname": "x"})} any other.
    """
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format) as tar:
        for each in members:
            if isinstance(each, tarfile.TarInfo):
                tar.addfile(each)
                continue
            name, what = each
            member = tarfile.TarInfo(name.rstrip("/") if name != "/" else name)
            if isinstance(what, bytes):
                member.size = len(what)
                tar.addfile(member, io.BytesIO(what))
                continue
            if name.endswith("/") or name == ".":
                member.type, member.mode = tarfile.DIRTYPE, 0o755
            for key, value in what.items():
                setattr(member, key, value)
            tar.addfile(member)
    return file.getvalue()


def link(name: str, target: str) -> Member:
    """A symbolic link."""
    return name, {"type": tarfile.SYMTYPE, "linkname": target}


def hard_link(name: str, target: str) -> Member:
    """A hard link."""
    return name, {"type": tarfile.LNKTYPE, "linkname": target}


def digest(data: bytes) -> str:
    """Its SHA-256, as images name it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def config(layers: Sequence[bytes], **more: Any) -> bytes:
    """The configuration of an image with these unpacked layers; C{more} is its C{config}."""
    document: dict[str, Any] = {"architecture": "amd64", "os": "linux", "config": more}
    for name in ("architecture", "os"):
        if name in more:
            document[name] = more.pop(name)
    document["rootfs"] = {"type": "layers", "diff_ids": [digest(each) for each in layers]}
    return json.dumps(document).encode()


def archive(files: Mapping[str, bytes], *more: Member) -> bytes:
    """A tar of files."""
    return layer(*files.items(), *more)


def docker_archive(
    layers: Sequence[bytes], tags: Sequence[str] = ("hello:1",), **more: Any
) -> bytes:
    """What C{docker save} writes of one image."""
    document = config(layers, **more)
    name = f"{digest(document)[7:]}.json"
    files = {name: document} | {f"{i}/layer.tar": data for i, data in enumerate(layers)}
    entry = {
        "Config": name,
        "RepoTags": list(tags),
        "Layers": [f"{i}/layer.tar" for i in range(len(layers))],
    }
    return archive(files | {"manifest.json": json.dumps([entry]).encode()})


class OciLayout:
    """The files of an OCI image layout."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
        self.manifests: list[dict[str, Any]] = []

    def blob(self, data: bytes, kind: str = "application/octet-stream") -> dict[str, Any]:
        """Put a blob in; its descriptor."""
        self.files[f"blobs/sha256/{digest(data)[7:]}"] = data
        return {"mediaType": kind, "digest": digest(data), "size": len(data)}

    def image(self, unpacked: Sequence[bytes], packed: Sequence[bytes] = (), **more: Any) -> Any:
        """Put an image in; the descriptor of its manifest."""
        manifest = {
            "schemaVersion": 2,
            "config": self.blob(config(unpacked, **more)),
            "layers": [self.blob(each) for each in packed or unpacked],
        }
        return self.blob(json.dumps(manifest).encode())

    def index(self, manifests: list[dict[str, Any]]) -> Any:
        """Put an index in; its descriptor."""
        return self.blob(json.dumps({"manifests": manifests}).encode())

    def named(self, descriptor: dict[str, Any], name: str | None) -> None:
        """Let the layout name a manifest or an index."""
        key = "org.opencontainers.image.ref.name"
        notes = {} if name is None else {"annotations": {key: name}}
        self.manifests.append(descriptor | notes)

    def tar(self) -> bytes:
        """The layout as a tar."""
        return archive(self.all())

    def all(self) -> dict[str, bytes]:
        """Every file of it."""
        return self.files | {"index.json": json.dumps({"manifests": self.manifests}).encode()}
