from __future__ import annotations

import os
import pwd
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.declaration import Machine
from subproxy.machines.privileges import privileges
from subproxy.machines.vmm.confinement import (
    Confinement,
    HostFacts,
    Means,
    facts_of_this_host,
    group_words,
    limits_of,
    means_of,
    missing_of,
    scope_words,
)
from subproxy.machines.vmm.control_group import CONTROLLERS, ResourceLimits
from subproxy.machines.vmm.driver import Launch, VmmError
from subproxy.machines.vmm.memory_size import MEBIBYTE

ALL = frozenset(CONTROLLERS)
FACTS = HostFacts(
    root=True,
    group=Path("/sys/fs/cgroup/x"),
    writable=True,
    delegated=True,
    systemd=True,
    scopes=True,
    setpriv=True,
)
NOTHING = HostFacts(False, None, False, False, False, False, False)
BLOG = Machine("blog", "qemu", ("blog.example",), memory=256 * MEBIBYTE, cpus=2)
SHOP = replace(BLOG, name="shop", user="vm")


class MeansTests(SynchronousTestCase):
    def test_means(self) -> None:
        alone = replace(FACTS, systemd=False, delegated=False)
        theirs = replace(FACTS, delegated=False)
        for facts, means in (
            (FACTS, Means.GROUP),
            (alone, Means.GROUP),
            (replace(alone, writable=False), Means.NONE),
            (theirs, Means.SCOPE),
            (replace(theirs, scopes=False), Means.NONE),
            (replace(theirs, root=False), Means.NONE),
            (NOTHING, Means.NONE),
        ):
            self.assertIs(means_of(facts), means, facts)

    def test_what_is_missing(self) -> None:
        for facts, controllers, found in (
            (FACTS, ALL, ["no user: VMMs run as root, without its capabilities: blog"]),
            (replace(FACTS, root=False), ALL, []),
            (
                replace(FACTS, root=False),
                frozenset({"cpu"}),
                ["no limits of memory, pids: the cgroup /sys/fs/cgroup/x has no such controllers"],
            ),
            (
                replace(FACTS, root=False, delegated=False),
                frozenset(),
                [
                    "no cgroups, so no limits of memory and processors: "
                    "Delegate=yes in the proxy's unit gives it one"
                ],
            ),
            (
                NOTHING,
                frozenset(),
                [
                    "no setpriv: VMMs may gain privileges, and outlive a proxy that is killed",
                    "no cgroups, so no limits of memory and processors: "
                    "there is no cgroup v2 that the proxy may write to",
                ],
            ),
        ):
            told = missing_of(facts, means_of(facts), controllers, [BLOG, SHOP])
            self.assertEqual(list(told), found)

    @given(st.builds(HostFacts, group=st.none() | st.just(Path("/x"))))
    def test_any_host(self, facts: HostFacts) -> None:
        """ResourceLimits that can't be had are always told."""
        means = means_of(facts)
        told = missing_of(facts, means, frozenset(), [SHOP])
        self.assertEqual(bool(told), means is not Means.SCOPE or not facts.setpriv)


class WordsTests(SynchronousTestCase):
    def test_limits(self) -> None:
        self.assertEqual(limits_of(BLOG), ResourceLimits(768 * MEBIBYTE, 3, 256))
        self.assertEqual(limits_of(replace(BLOG, vmm="firecracker")).memory, 384 * MEBIBYTE)
        frozen = replace(BLOG, vmm="firecracker", snapshot=True)  # perhaps to a tmpfs
        self.assertEqual(limits_of(frozen).memory, 640 * MEBIBYTE)

    def test_privileges(self) -> None:
        always = ["setpriv", "--pdeathsig=KILL", "--no-new-privs"]
        self.assertEqual(privileges("", None, root=False), always)
        self.assertEqual(
            privileges("", None, root=True), [*always, "--inh-caps=-all", "--bounding-set=-all"]
        )
        self.assertEqual(
            privileges("vm", 7, root=True), [*always, "--reuid=vm", "--regid=7", "--init-groups"]
        )

    def test_a_scope(self) -> None:
        words = scope_words("subproxy-1-blog-0-qemu.scope", limits_of(BLOG))
        self.assertEqual(words[:2], ["systemd-run", "--scope"])
        self.assertIn("--unit=subproxy-1-blog-0-qemu.scope", words)
        self.assertIn("--property=MemoryMax=805306368", words)
        self.assertIn("--property=CPUQuota=300%", words)
        self.assertEqual(words[-1], "--")

    def test_a_group(self) -> None:
        self.assertEqual(group_words(Path("/g/cgroup.procs"))[-1], "/g/cgroup.procs")


class ConfinementTests(SynchronousTestCase):
    def command(self, machine: Machine, **changes: object) -> list[str]:
        """What is run of C{["vmm"]}."""
        facts = replace(FACTS, delegated=False, **changes)  # type: ignore[arg-type]
        launch = Launch(machine, 0, Path("/m/0"), Path("/m/0/vsock"))
        return Confinement(Path("/m"), facts).command(launch, "qemu", ["vmm"])

    def test_a_scope_before_the_privileges_are_gone(self) -> None:
        words = self.command(BLOG)
        self.assertEqual(words[0], "systemd-run")
        self.assertEqual(words[words.index("--") + 1], "setpriv")
        self.assertEqual(words[-1], "vmm")

    def test_nothing_can_be_had(self) -> None:
        self.assertEqual(self.command(BLOG, scopes=False, setpriv=False), ["vmm"])

    def test_users(self) -> None:
        somebody = pwd.getpwuid(os.getuid())
        mine = replace(BLOG, user=somebody.pw_name)
        self.assertIn(f"--regid={somebody.pw_gid}", self.command(mine))
        for machine, changes, reason in (
            (mine, {"root": False}, "must be root"),
            (mine, {"setpriv": False}, "no setpriv"),
            (replace(BLOG, user="no such user"), {}, "there is no user"),
        ):
            error = self.assertRaises(VmmError, self.command, machine, **changes)
            self.assertIn(reason, error.reason)

    def test_a_group_that_can_not_be_made(self) -> None:
        facts = replace(FACTS, group=Path("/proc/self/fdinfo"), root=False)
        confinement = Confinement(Path("/m"), facts)
        told = confinement.begin([BLOG])
        self.assertEqual(len(told), 1)
        self.assertIn("no cgroups below /proc/self/fdinfo", told[0])
        launch = Launch(BLOG, 0, Path("/m/0"), Path("/m/0/vsock"))
        confinement.admit(launch)
        self.assertEqual(confinement.command(launch, "qemu", ["vmm"])[0], "setpriv")
        self.assertEqual(confinement.dismiss(launch), "")

    def test_this_host(self) -> None:
        facts = facts_of_this_host()
        self.assertEqual(facts.root, os.geteuid() == 0)
        self.assertIsInstance(means_of(facts), Means)
