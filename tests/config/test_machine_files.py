"""Machines that have files of their own."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from subproxy.config import machine_files
from subproxy.config.machine_files import (
    LONGEST,
    MachineFileError,
    MachineRules,
    file_of,
    machine_text,
    parse_machine,
    read_machine_files,
)
from subproxy.config.sources import Sources
from subproxy.core.access import claims
from subproxy.core.access.policy import parse_policy
from subproxy.core.http.normalise import normalise_host
from subproxy.machines.declaration import Machine

BLOG = {"name": "blog", "vmm": "qemu", "kernel": "/k", "hosts": ["blog.example"]}


def table(**more: object) -> dict[str, object]:
    return {**BLOG, **more}


class MachineFilesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def write(self, name: str, text: str | bytes) -> None:
        data = text.encode() if isinstance(text, str) else text
        (self.folder / f"{name}.toml").write_bytes(data)

    def sources(self, text: str = "") -> Sources:
        path = self.folder.with_suffix(".main")
        path.write_text(text)
        given = {"machine-files": str(self.folder), "machines-folder": "/run/m"}
        return Sources(given, str(path))

    def test_text(self) -> None:
        """What is written is read as it was meant."""
        more = {
            "environment": {"A b": 'quo"te\\', "C": "\x7f"},
            "idle": False,
            "scale-after": 0.25,
            "cpus": 2,
        }
        text = machine_text(table(**more))
        machine = parse_machine(text, str(self.folder / "blog.toml"))
        self.assertEqual(machine.environment, more["environment"])
        self.assertEqual((machine.idle, machine.scale_after, machine.cpus), (None, 0.25, 2))

    def test_no_machine(self) -> None:
        """It is one, by the name of its file, and nothing else."""
        path = str(self.folder / "blog.toml")
        good = machine_text(BLOG)
        for text in (
            "",
            f"{good}{machine_text(table(name='b', hosts='b'))}",
            f"[http]\nlisten = 80\n{good}",
        ):
            self.assertRaises(MachineFileError, parse_machine, text, path)
        self.assertRaises(MachineFileError, parse_machine, f"{good}cpus = 0\n", path)
        error = self.assertRaises(MachineFileError, parse_machine, good, f"{path}x")
        self.assertIn("belongs in blog.toml", str(error))

    def test_what_is_left_out(self) -> None:
        """A broken file leaves the others as they are, and a line says what is wrong."""
        self.write("blog", machine_text(BLOG))
        self.write("a", machine_text(table(name="a", hosts="a.example")))
        self.write("bad", "[[machine]]\nname = 3\n")
        self.write("bytes", b"\xff")
        self.write("long", b"#" * (LONGEST + 1))
        self.write("twin", machine_text(table(name="twin")))
        self.write("wide", machine_text(table(name="wide", hosts="cid.example")))
        (self.folder / "no.toml").mkdir()
        (self.folder / "blog.toml.new").write_text("half")
        policy = parse_policy('[[guest]]\nidentity = "cid:3"\nhosts = "cid.example"\n')
        rules = MachineRules((), policy, "/run/m", 12345)
        machines, lines = read_machine_files(str(self.folder), rules)
        self.assertEqual([each.name for each in machines], ["a", "blog"])
        for name, line in zip(
            ("bad", "bytes", "long", "no", "twin", "wide"), _first(lines), strict=True
        ):
            self.assertTrue(line.startswith(str(self.folder / f"{name}.toml")), line)
        self.assertEqual(
            read_machine_files(str(self.folder / "nowhere"), rules),
            ((), ()),
        )

    def test_what_nobody_can_look_into(self) -> None:
        """That is not nothing: what runs of it would be ended."""
        rules = MachineRules((), None, "/run/m", 12345)
        self.write("blog", machine_text(BLOG))

        def fails(path: str) -> Any:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)

        with mock.patch.object(machine_files, "read_file", fails):
            self.assertRaises(OSError, read_machine_files, str(self.folder), rules)
        with mock.patch.object(os, "listdir", fails):
            error = self.assertRaises(OSError, read_machine_files, str(self.folder), rules)
        self.assertEqual(error.filename, str(self.folder))

    def test_templates(self) -> None:
        """A name is one machine's, whichever came first; what is refused is in nobody's way."""
        made = table(name="dev-{1}", hosts="*.dev.example")
        for texts, reason in (
            ((made, table(name="dev-a", hosts="a.example")), "'dev-a'"),
            ((table(name="dev-a", hosts="a.example"), made), "'dev-a'"),
            ((made, table(name="{1}-x", hosts="*.x.example")), "makes, too"),
        ):
            rules = MachineRules((), None, "/run/m", 12345)
            first, second = (
                parse_machine(machine_text(each), file_of("/m", str(each["name"])))
                for each in texts
            )
            rules.add(first)
            error = self.assertRaises(MachineFileError, rules.add, second)
            self.assertIn(reason, str(error))
            rules.add(parse_machine(machine_text(table(name="b", hosts="b")), "/m/b.toml"))

    def test_many(self) -> None:
        """Each is looked at a few times, and not once for each other one."""
        for number in range(60):
            self.write(f"m{number}", machine_text(table(name=f"m{number}", hosts=f"m{number}.x")))
        asked = []

        def counted(host: bytes) -> bytes:
            asked.append(host)
            return normalise_host(host)

        self.patch(claims, "normalise_host", counted)
        rules = MachineRules((), None, "/run/m", 12345)
        machines, lines = read_machine_files(str(self.folder), rules)
        self.assertEqual((len(machines), lines), (60, ()))
        self.assertLess(len(asked), 10 * 60)

    def test_effective(self) -> None:
        """They are machines as those of the configuration file are, which comes first."""
        main = machine_text(table(name="main", hosts="main.example"))
        self.write("blog", machine_text(BLOG))
        self.write("main", machine_text(table(name="main", hosts="x.example")))
        effective = self.sources(main).read()
        self.assertEqual([each.name for each in effective.machines], ["main", "blog"])
        [line] = effective.left_out
        self.assertIn("there is a machine 'main' already", line)
        policy = effective.read_policy()
        assert policy is not None
        self.assertTrue(policy.knows("path:/run/m/blog/0/vsock"))
        pinned = effective.with_policy(policy, effective.settings)
        self.assertEqual(pinned.machines, effective.machines)
        self.assertEqual(pinned.again().machines, effective.machines)

    def test_none_yet(self) -> None:
        """With a folder nobody may claim what nobody has declared: machines may come."""
        effective = self.sources().read()
        self.assertTrue(effective.has_policy)
        policy = effective.read_policy()
        assert policy is not None
        self.assertFalse(policy.knows("cid:3"))

    def test_a_long_path(self) -> None:
        rules = MachineRules((), None, f"/{'a' * 90}", 12345)
        machine = Machine("blog", "qemu", ("blog.example",))
        self.assertIn("107 bytes", str(self.assertRaises(MachineFileError, rules.add, machine)))


def _first(lines: tuple[str, ...]) -> list[str]:
    """One line of each file."""
    found: dict[str, str] = {}
    for line in lines:
        found.setdefault(line.partition(".toml")[0], line)
    return list(found.values())
