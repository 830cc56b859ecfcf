"""What cloud-hypervisor and Firecracker are asked, and what their refusals say."""

from __future__ import annotations

import json
import os
import pwd
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.declaration import Machine
from subproxy.machines.snapshot_plan import FREEZE_LIMIT
from subproxy.machines.vmm.cloud_hypervisor import CloudHypervisor
from subproxy.machines.vmm.driver import Launch, VmmError
from subproxy.machines.vmm.firecracker import Firecracker
from subproxy.machines.vmm.http_api import ApiCall

MACHINE = Machine(
    "blog",
    "firecracker",
    ("blog.example",),
    kernel="/k",
    memory=(128 << 20) + 1,
    cpus=2,
    disk="/d",
    arguments=("--weight=2",),
)
LAUNCH = Launch(MACHINE, 0, Path("/m/0"), Path("/m/0/vsock"))
OWN = replace(LAUNCH, machine=replace(MACHINE, disk_mode="own"))
CONFIG = '{"vsock": {"cid": 3, "socket": "/other"}, "cpus": {}}'
LONG = replace(LAUNCH, machine=replace(MACHINE, kernel_arguments=("x" * 2048,)))


class CloudHypervisorDialectTests(SynchronousTestCase):
    def restored(self, config: str) -> tuple[ApiCall, Path]:
        """What goes on from a snapshot of that configuration, and the folder that it is told of."""
        launch = self.frozen(config)
        (call,) = CloudHypervisor().restore(launch)
        return call, launch.folder

    def frozen(self, config: str) -> Launch:
        """What is to go on from a snapshot of that configuration."""
        folder = Path(self.mktemp()).absolute() / "0"
        snapshot = folder.with_name("snapshot")
        for each in (folder, snapshot):
            each.mkdir(parents=True)
        for name, text in (("config.json", config), ("state.json", "s"), ("memory-ranges", "m")):
            (snapshot / name).write_text(text)
        return replace(LAUNCH, folder=folder, vsock=folder / "vsock", snapshot=snapshot)

    def test_a_restore(self) -> None:
        """The configuration says the path of this instance's device; the rest is the snapshot's."""
        call, folder = self.restored(CONFIG)
        place = folder.with_name("0.restored")
        self.assertEqual(call.path, "/api/v1/vm.restore")
        self.assertEqual(call.body, {"source_url": f"file://{place}", "resume": True})
        config = json.loads((place / "config.json").read_text())
        self.assertEqual(config, {"vsock": {"cid": 3, "socket": str(folder / "vsock")}, "cpus": {}})
        self.assertEqual((place / "memory-ranges").read_text(), "m")
        self.assertEqual((place / "config.json").stat().st_mode & 0o777, 0o600)
        untouched = (folder.with_name("snapshot") / "config.json").read_text()
        self.assertIn("/other", untouched)

    def test_a_link_in_the_folder_of_the_machine(self) -> None:
        """
        The folder is its VMM's, which may be what its guest has made of it: a link there has no
        folder of others given to its user, nor filled.
        """
        launch = self.frozen(CONFIG)
        others = launch.folder.with_name("others")
        others.mkdir(0o700)
        for name in ("restored", "0.restored"):
            (launch.folder / name).symlink_to(others)
        nobody = pwd.getpwuid(os.getuid() or 65534)
        launch = replace(launch, machine=replace(MACHINE, user=nobody.pw_name))
        CloudHypervisor().restore(launch)
        self.assertEqual(list(others.iterdir()), [])
        self.assertEqual(others.stat().st_uid, os.getuid())
        place = launch.folder.with_name("0.restored")
        self.assertEqual(place.stat().st_uid, os.getuid())
        self.assertEqual(place.stat().st_mode & 0o777, 0o711)
        self.assertEqual((place / "config.json").stat().st_uid, nobody.pw_uid)
        self.assertEqual((place / "config.json").stat().st_mode & 0o777, 0o600)

    def test_a_configuration_that_is_another_file(self) -> None:
        """Nobody reads by it what only the proxy may read, or has the proxy wait for a pipe."""
        for kind in ("link", "pipe"):
            launch = self.frozen("")
            assert launch.snapshot is not None
            config = launch.snapshot / "config.json"
            config.unlink()
            if kind == "pipe":
                os.mkfifo(config)
            else:
                secret = launch.folder.with_name("secret")
                secret.write_text(CONFIG)
                config.symlink_to(secret)
            self.assertRaises(VmmError, CloudHypervisor().restore, launch)

    def test_no_configuration(self) -> None:
        for config in ("", "[]", "{}", '{"vsock": null}', "[" * 100_000):
            self.assertRaises(VmmError, self.restored, config)

    def test_freezing(self) -> None:
        pause, snapshot = CloudHypervisor().freeze(Path("/m/snapshot.new"))
        self.assertEqual(pause.path, "/api/v1/vm.pause")
        self.assertEqual(snapshot.path, "/api/v1/vm.snapshot")
        self.assertEqual(snapshot.body, {"destination_url": "file:///m/snapshot.new"})
        self.assertEqual(snapshot.limit, FREEZE_LIMIT)

    def test_command(self) -> None:
        self.assertEqual(
            CloudHypervisor().command(Path("/m/0/api.sock"), 3),
            ["cloud-hypervisor", "--api-socket", "path=/m/0/api.sock", "--event-monitor", "fd=3"],
        )

    def test_a_machine(self) -> None:
        create, boot = CloudHypervisor().calls(LAUNCH)
        assert create.body is not None
        self.assertEqual(create.body["memory"], {"size": 129 << 20})
        self.assertEqual(create.body["cpus"], {"boot_vcpus": 2, "max_vcpus": 2})
        self.assertEqual(create.body["disks"], [{"path": "/d", "readonly": True}])
        self.assertEqual(
            create.body["payload"],
            {
                "kernel": "/k",
                "cmdline": "console=ttyS0 panic=-1 quiet cryptomgr.notests subproxy.arg=--weight=2",
            },
        )
        self.assertIsNone(boot.body)

    def test_what_can_not_be_had(self) -> None:
        for launch in (OWN, LONG):
            self.assertRaises(VmmError, CloudHypervisor().calls, launch)

    def test_refusals(self) -> None:
        for body, told in (
            (
                b'["Error from API", "The VM could not boot"]',
                "Error from API: The VM could not boot",
            ),
            (b'"text"', "text"),
            (b"no json", "no json"),
            (b"", ""),
        ):
            self.assertEqual(CloudHypervisor().explain(body), told)

    @given(st.binary())
    def test_anything(self, body: bytes) -> None:
        CloudHypervisor().explain(body)


class FirecrackerDialectTests(SynchronousTestCase):
    def test_command(self) -> None:
        self.assertEqual(
            Firecracker().command(Path("/m/0/api.sock"), 3),
            ["firecracker", "--api-sock", "/m/0/api.sock"],
        )

    def test_a_machine(self) -> None:
        calls = Firecracker().calls(LAUNCH)
        self.assertEqual(
            [each.path for each in calls],
            ["/boot-source", "/machine-config", "/vsock", "/drives/disk0", "/actions"],
        )
        self.assertEqual(calls[1].body, {"vcpu_count": 2, "mem_size_mib": 129})
        self.assertEqual(
            calls[3].body,
            {
                "drive_id": "disk0",
                "path_on_host": "/d",
                "is_root_device": False,
                "is_read_only": True,
            },
        )

    def test_what_can_not_be_had(self) -> None:
        for launch in (OWN, LONG):
            self.assertRaises(VmmError, Firecracker().calls, launch)

    def test_refusals(self) -> None:
        for body, told in (
            (b'{"fault_message": "no kernel"}', "no kernel"),
            (b"[]", "[]"),
            (b"no json", "no json"),
        ):
            self.assertEqual(Firecracker().explain(body), told)

    def test_a_restore(self) -> None:
        """The device's path is told; the clock goes on as if it had not stood."""
        launch = replace(LAUNCH, snapshot=Path("/m/snapshot"))
        (call,) = Firecracker().restore(launch)
        self.assertEqual(
            call.body,
            {
                "snapshot_path": "/m/snapshot/state",
                "mem_backend": {"backend_path": "/m/snapshot/memory", "backend_type": "File"},
                "resume_vm": True,
                "vsock_override": {"uds_path": "/m/0/vsock"},
                "clock_realtime": True,
            },
        )

    def test_freezing(self) -> None:
        pause, create = Firecracker().freeze(Path("/m/snapshot.new"))
        self.assertEqual((pause.method, pause.body), ("PATCH", {"state": "Paused"}))
        self.assertEqual(
            create.body,
            {"snapshot_path": "/m/snapshot.new/state", "mem_file_path": "/m/snapshot.new/memory"},
        )

    def test_it_tells_no_events(self) -> None:
        self.assertEqual(Firecracker().events().feed(b"x"), [])

    @given(st.binary())
    def test_anything(self, body: bytes) -> None:
        Firecracker().explain(body)
