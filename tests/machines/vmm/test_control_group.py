from __future__ import annotations

import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.vmm.control_group import ControlGroups, ResourceLimits, own_group

UNIFIED = (
    "25 1 0:22 / /proc rw - proc proc rw\n30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
)
HYBRID = (
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
)
LIMITS = ResourceLimits(memory=1 << 29, cpus=2, processes=256)


class OwnGroupTests(SynchronousTestCase):
    def test_where(self) -> None:
        service = "0::/system.slice/subproxy.service\n"
        for memberships, mounts, found in (
            (service, UNIFIED, "/sys/fs/cgroup/system.slice/subproxy.service"),
            ("9:name=systemd:/\n0::/\n", HYBRID, "/sys/fs/cgroup/unified"),
        ):
            self.assertEqual(own_group(memberships, mounts), Path(found))

    def test_nowhere(self) -> None:
        for memberships, mounts in (
            ("4:memory:/x\n", HYBRID),
            ("0::/\n", "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"),
            # A part of the hierarchy alone, which need not be ours.
            ("0::/\n", "30 23 0:26 /x /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
            ("", ""),
            ("0::/\n", "30\n - cgroup2"),
        ):
            self.assertIsNone(own_group(memberships, mounts))


class ControlGroupsTests(SynchronousTestCase):
    """Files that look like a hierarchy of groups; the kernel's own are in the tests of drivers."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="sp", dir="/tmp")
        self.addCleanup(folder.cleanup)
        self.own = Path(folder.name)
        self.set("cgroup.controllers", "cpuset cpu memory pids\n")
        self.groups = ControlGroups(self.own, "subproxy-1")
        self.top = self.own / "subproxy-1"

    def set(self, name: str, text: str) -> None:
        """A file of a group."""
        (self.own / name).write_text(text)

    def read(self, name: str) -> str:
        """What was written into a file."""
        return (self.own / name).read_text()

    def test_a_group_with_limits(self) -> None:
        enabled = self.groups.prepare(may_move=False)
        self.assertEqual(enabled, {"memory", "cpu", "pids"})
        self.assertFalse(self.top.exists())
        self.groups.make("blog-0", LIMITS)
        for name in ("cgroup.subtree_control", "subproxy-1/cgroup.subtree_control"):
            self.assertEqual(self.read(name), "+memory +cpu +pids")
        group = "subproxy-1/blog-0"
        self.assertEqual(self.read(f"{group}/memory.max"), "536870912")
        self.assertEqual(self.read(f"{group}/memory.oom.group"), "1")
        self.assertEqual(self.read(f"{group}/cpu.max"), "200000 100000")
        self.assertEqual(self.read(f"{group}/pids.max"), "256")
        self.assertEqual(self.read(f"{group}/cgroup.kill"), "1")
        self.assertEqual(self.groups.joining("blog-0"), self.top / "blog-0/cgroup.procs")

    def test_what_there_is_no_controller_for(self) -> None:
        self.set("cgroup.controllers", "memory\n")
        self.assertEqual(self.groups.prepare(may_move=False), {"memory"})
        self.groups.make("blog-0", LIMITS)
        self.assertFalse((self.top / "blog-0/cpu.max").exists())

    def test_no_controllers(self) -> None:
        self.set("cgroup.controllers", "\n")
        self.assertEqual(self.groups.prepare(may_move=False), frozenset())
        self.groups.make("blog-0", LIMITS)
        self.assertFalse((self.top / "blog-0/memory.max").exists())

    def test_killed_for_want_of_memory(self) -> None:
        self.groups.prepare(may_move=False)
        self.groups.make("blog-0", LIMITS)
        for text, killed in (("oom 1\noom_kill 3\n", True), ("oom 0\noom_kill 0\n", False)):
            self.set("subproxy-1/blog-0/memory.events", text)
            self.assertEqual(self.groups.remove("blog-0"), killed)

    def test_what_is_gone_already(self) -> None:
        self.groups.prepare(may_move=False)
        self.assertFalse(self.groups.remove("nobody-0"))
