"""What a machine with a program is told, and which programs would not run there."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from guest.image.container import ContainerImage
from guest.image.container_config import container_config
from guest.image.program import (
    Program,
    ProgramError,
    find_program,
    program_of_container,
    program_of_folder,
)
from guest.image.rootfs import Inode, Rootfs

SCRIPT = b"#!/bin/sh\n"
TO = "http://127.0.0.1:80"


def root_with(**files: bytes) -> Rootfs:
    root = Rootfs()
    root.put_file("bin/sh", b"static, as far as can be seen", 0o755)
    root.put_file("bin/serve", SCRIPT, 0o755)
    for name, data in files.items():
        root.put_file(f"bin/{name}", data, 0o755)
    return root


def container(**config: object) -> ContainerImage:
    config = {"Entrypoint": ["serve"], "ExposedPorts": {"80/tcp": {}}} | config
    return ContainerImage(container_config({"config": config}), root_with())


class ContainerTests(SynchronousTestCase):
    def test_settings(self) -> None:
        image = container(
            Cmd=["--quick", "now"],
            Env=["A=1 2", "PATH=/usr/bin:/bin"],
            WorkingDir="/srv/shop",
            User="1000:7",
            Volumes={"/data": {}},
        )
        found = program_of_container(image, None, None)
        self.assertEqual(
            found.settings(),
            {
                "to": [TO],
                "folder": ["/srv/shop"],
                "user": ["1000:7"],
                "env": ["A=1 2", "PATH=/usr/bin:/bin", "HOME=/"],
                "run": ["serve", "--quick", "now"],
            },
        )
        for path in ("data", "srv/shop", "proc", "sys", "dev"):
            made = image.root.lookup(path)
            self.assertTrue(made is not None and made.is_folder, path)

    def test_other_arguments(self) -> None:
        found = program_of_container(container(Cmd=["old"]), ["new", "one"], None)
        self.assertEqual(found.command, ("serve", "new", "one"))
        self.assertEqual(program_of_container(container(Cmd=["old"]), [], None).command, ("serve",))

    def test_the_home_folder_of_the_image_stays(self) -> None:
        found = program_of_container(container(Env=["HOME=/srv"]), None, None)
        self.assertEqual(found.environment, ("HOME=/srv",))

    def test_where_it_listens(self) -> None:
        self.assertEqual(program_of_container(container(), None, "unix:/run/x").to, "unix:/run/x")
        for ports, said in (
            ({}, "exposes no port"),
            ({"80/tcp": {}, "443": {}}, r"exposes the ports \(80, 443\)"),
            ({"53/udp": {}}, "exposes no port"),
        ):
            with self.assertRaisesRegex(ProgramError, said):
                program_of_container(container(ExposedPorts=ports), None, None)

    def test_refused(self) -> None:
        for image, said in (
            (container(Entrypoint=None), "no command"),
            (container(Entrypoint=["none"]), "none: no such program"),
            (container(User="none"), "runs as none"),
        ):
            with self.assertRaisesRegex(ProgramError, said):
                program_of_container(image, None, None)

    def test_null_is_as_if_it_were_not_there(self) -> None:
        image = container(Env=None, Cmd=None, WorkingDir=None, User=None, Volumes=None, Labels=None)
        found = program_of_container(image, None, None)
        self.assertEqual((found.folder, found.environment), ("/", ("HOME=/",)))


class FolderTests(SynchronousTestCase):
    def test_settings(self) -> None:
        found = program_of_folder(root_with(), ["/bin/serve", "x"], TO)
        self.assertEqual(
            found.settings(),
            {"to": [TO], "folder": ["/"], "env": [], "run": ["/bin/serve", "x"]},
        )

    def test_refused(self) -> None:
        for command, to, said in (
            ([], TO, "what is to run"),
            (["serve"], None, "--to says where"),
            (["/none"], TO, "/none: no such program"),
        ):
            with self.assertRaisesRegex(ProgramError, said):
                program_of_folder(root_with(), command, to)

    def test_hosts(self) -> None:
        for before, kept in (
            (None, b"localhost"),
            (b"\n", b"localhost"),
            (b"10.0.0.1 db\n", b"db"),
        ):
            root = root_with()
            if before is not None:
                root.put_file("etc/hosts", before)
            program_of_folder(root, ["serve"], TO)
            hosts = root.lookup("/etc/hosts")
            assert hosts is not None
            self.assertIn(kept, hosts.data)


class FindTests(SynchronousTestCase):
    def test_table(self) -> None:
        root = root_with()
        root.put("usr/bin", Inode(0o120777, b"../bin"))
        root.put_file("etc/file", b"")
        for name, path, found in (
            ("serve", "/sbin:/usr/bin:/bin", "/usr/bin/serve"),
            ("serve", "/sbin", None),
            ("/bin/serve", "", "/bin/serve"),
            ("./serve", "", "/bin/./serve"),
            ("/etc/file", "", None),
            ("/bin", "", None),
        ):
            self.assertEqual(find_program(root, name, path, "/bin"), found, name)


class RunnableTests(SynchronousTestCase):
    def program(self, root: Rootfs, *command: str) -> Program:
        return program_of_folder(root, command, TO)

    def test_a_script_without_its_interpreter(self) -> None:
        with self.assertRaisesRegex(ProgramError, "/usr/bin/node isn't in there"):
            self.program(root_with(app=b"#! /usr/bin/node --flag\n"), "app")

    def test_a_program_without_its_loader(self) -> None:
        program = Path(shutil.which("true") or sys.executable).read_bytes()
        with self.assertRaisesRegex(ProgramError, "its loader /.*ld-linux.* isn't in there"):
            self.program(root_with(true=program), "true")
        root = root_with(true=program)
        root.put_file("lib64/ld-linux-x86-64.so.2", b"", 0o755)
        self.assertEqual(self.program(root, "true").command, ("true",))

    def test_a_program_for_another_processor(self) -> None:
        program = bytearray(Path(sys.executable).read_bytes()[:4096])
        program[18:20] = b"\xb7\x00"  # EM_AARCH64
        with self.assertRaisesRegex(ProgramError, "for another processor: EM_AARCH64"):
            self.program(root_with(arm=bytes(program)), "arm")

    def test_a_broken_program(self) -> None:
        with self.assertRaisesRegex(ProgramError, "/bin/x: a broken ELF file"):
            self.program(root_with(x=b"\x7fELF"), "x")
