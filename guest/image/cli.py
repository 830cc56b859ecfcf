"""C{subproxy-mkinitramfs}: an application, or a program, as a virtual machine's whole disk."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from guest.image import application, distributions, kernel, layout, machines, python, vmlinux
from guest.image.application import Application, ApplicationError
from guest.image.arguments import NAMES, PROGRAM_NAMES, ArgumentError, routes
from guest.image.bytecode import Compiler
from guest.image.container import read_container
from guest.image.container_archive import ContainerError
from guest.image.cpio import CpioError, Tree, pieces
from guest.image.debian import PackageError, Packages
from guest.image.elf import ElfError, unavailable
from guest.image.folder import read_folder
from guest.image.go_guest import GoGuestError, find_go_guest
from guest.image.kernel import Kernel
from guest.image.machines import BootSpec
from guest.image.measure import ROUNDS, MeasureError, check_tools, measure, table
from guest.image.options import PROGRAM, parse
from guest.image.program import (
    Program,
    ProgramError,
    program_of_container,
    program_of_folder,
)
from guest.image.program_layout import assemble_program
from guest.image.rootfs import RootfsError

ERRORS = (
    ApplicationError,
    ArgumentError,
    ContainerError,
    CpioError,
    ElfError,
    GoGuestError,
    MeasureError,
    OSError,
    PackageError,
    ProgramError,
    RootfsError,
    distributions.RequirementError,
    kernel.KernelError,
    layout.LayoutError,
    vmlinux.BzImageError,
)


KERNELS = (".vmlinuz", ".vmlinux")
"""The suffixes of the files that go beside the image: the kernel as it is, and unpacked."""

NO_ZSTD = "no zstd here: install the package zstd"

Settings = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Contents:
    """
    What was put together.

    @ivar what: what serves in it, for people.
    @ivar more: what its kernel must still be told.
    """

    tree: Tree
    kernel: Kernel
    settings: Settings
    what: str
    more: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Build one image; the exit status, 1 with one line of reason if it can't be built."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        _build(options)
    except ERRORS as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1
    return 0


def compress(archive: Iterable[bytes], level: int) -> tuple[int, bytes]:
    """
    An archive as zstd packs it: the same bytes whatever number of cores the machine has.

    @param level: 1 to 19, or 0: not at all.
    @return: its size before, and what was packed.
    """
    if not level:
        whole = b"".join(archive)
        return len(whole), whole
    if shutil.which("zstd") is None:
        raise PackageError(NO_ZSTD)
    command = ["zstd", f"-{level}", "-T1", "--no-progress", "--quiet", "--stdout"]
    size = 0
    with tempfile.TemporaryFile(prefix="subproxy-image-") as packed:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=packed) as process:
            assert process.stdin is not None
            for piece in archive:
                size += len(piece)
                process.stdin.write(piece)
        if process.returncode:
            raise PackageError(f"zstd ended with status {process.returncode}")
        packed.seek(0)
        return size, packed.read()


def _say(line: str) -> None:
    """Tell what goes on; standard output is for the result."""
    print(f"{PROGRAM}: {line}", file=sys.stderr, flush=True)


def _silent(line: str) -> None:
    """Tell nobody."""


def _check(options: argparse.Namespace) -> None:
    """What can be refused before anything is downloaded, in order to be refused at once."""
    for path in options.requirements:
        if not path.is_file():
            raise ApplicationError(f"--requirements {path}: no such file")
    folder = options.output.absolute().parent
    if not folder.is_dir():
        raise ApplicationError(f"--output {options.output}: there is no folder {folder}")
    if options.output.suffix in KERNELS:
        raise ApplicationError(f"--output {options.output}: the kernel goes there; call it .img")
    if options.level and shutil.which("zstd") is None:
        raise PackageError(NO_ZSTD)
    if options.measure:
        check_tools()


def _build(options: argparse.Namespace) -> None:
    missing = unavailable()
    if missing is not None:
        raise ElfError(missing)
    say = _silent if options.quiet else _say
    contents = (_program if options.container or options.root else _python)(options, say)
    say("packing")
    unpacked, packed = compress(pieces(contents.tree, options.epoch), options.level)
    _write(options.output, packed)
    vmlinuz, elf = (options.output.with_suffix(each) for each in KERNELS)
    image = contents.kernel.image.read_bytes()
    _write(vmlinuz, image)
    _write(elf, vmlinux.extract(image))
    if options.list:
        _list(contents.tree)
    memory = machines.memory_for(unpacked, len(packed))
    machine = BootSpec(str(options.output), str(vmlinuz), str(elf), memory)
    _tell(machine, contents, unpacked, len(packed))
    if options.measure:
        found = measure(machine, ROUNDS, say)
        print(f"\nFrom the start of QEMU, emulated, to the first answer:\n{table(found)}")


def _python(options: argparse.Namespace, say: Callable[[str], None]) -> Contents:
    """An application in Python, or Python alone."""
    found_application, settings = _application(options), application_settings(options)
    _check(options)
    packages = Packages(options.cache, say)
    say("the kernel and Python, of Debian's packages")
    found_kernel = kernel.find(options.kernel, packages)
    found_python = python.fetch(packages, options.python)
    say(f"Linux {found_kernel.version}, Python {found_python.version}; what the application needs")
    plan = layout.Plan(
        kernel=found_kernel,
        python=found_python,
        application=found_application,
        minimal=options.minimal,
        on_asyncio=options.wsgi or options.asgi,
        websocket=options.websocket,
        settings=settings,
        requirements=options.requirements,
        keep=options.keep,
        with_proxy=options.with_proxy,
        files=dict(options.file),
    )
    tree = layout.assemble(plan, Compiler(found_python, options.cache))
    more = "" if settings.get("app") or options.minimal else "subproxy.app=module:Class"
    return Contents(tree, found_kernel, settings, f"Python {found_python.version}", more)


def _program(options: argparse.Namespace, say: Callable[[str], None]) -> Contents:
    """A program that speaks HTTP."""
    given = _given(options, PROGRAM_NAMES)
    _check(options)
    if options.container:
        say("the container image")
        image = read_container(options.container, options.tag, say)
        program = program_of_container(image, options.command, options.to)
    else:
        program = program_of_folder(read_folder(options.root), options.command or (), options.to)
    settings = program_settings(program, given)
    init = find_go_guest(options.subproxy_guest, options.cache, say)
    say("the kernel, of Debian's packages")
    found = kernel.find(options.kernel, Packages(options.cache, say))
    tree = assemble_program(found, init, program.root, settings, dict(options.file))
    return Contents(tree, found, settings, program.command[0])


def program_settings(program: Program, given: Settings) -> dict[str, list[str]]:
    """What a program's machine is told, with what was given over it."""
    settings = program.settings()
    for name, values in given.items():
        settings[name] = [*settings["env"], *values] if name == "env" else list(values)
    routes(settings)
    return settings


def _application(options: argparse.Namespace) -> Application | None:
    if options.app is None:
        return None
    if options.minimal:
        path = Path(options.app)
        if path.suffix != ".py" or not path.is_file():
            raise ApplicationError(f"{options.app}: with --minimal an application is a .py file")
        application.check(path, "app")
        return Application(path.stem, path.parent, (path,))
    return application.find(options.app, any_object=options.wsgi or options.asgi)


def application_settings(options: argparse.Namespace) -> dict[str, list[str]]:
    """What the machine of an application is told."""
    settings: dict[str, list[str]] = {}
    found = _application(options)
    if found is not None:
        settings["app"] = [f"/app/{found.spec}.py" if options.minimal else found.spec]
    for service in ("minimal", "wsgi", "asgi"):
        if getattr(options, service):
            settings["service"] = [service]
    settings |= _given(options, NAMES)
    routes(settings)
    return settings


def _given(options: argparse.Namespace, names: Iterable[str]) -> dict[str, list[str]]:
    """The settings of the command line, whatever is served."""
    given: dict[str, list[str]] = {}
    for word in options.set:
        name, equals, value = word.partition("=")
        if not equals or name not in names:
            raise ArgumentError(f"--set {word}: not NAME=VALUE with one of {', '.join(names)}")
        given.setdefault(name, []).append(value)
    for name in ("proxy", "host", "path"):
        if getattr(options, name):
            given[name] = list(getattr(options, name))
    return given


def _write(path: Path, data: bytes) -> None:
    """Write a file in one piece: a VMM that starts meanwhile sees the old one or the new."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def _list(tree: Tree) -> None:
    for entry in tree:
        arrow = f" -> {_shown(entry.data)}" if stat.S_ISLNK(entry.mode) else ""
        path = _shown(os.fsencode(entry.path))
        print(f"{stat.filemode(entry.mode)} {len(entry.data):>9} /{path}{arrow}")


def _shown(name: bytes) -> str:
    """A name of a file, which may be any bytes, in one line."""
    text = name.decode(errors="backslashreplace")
    return text if text.isprintable() else ascii(text)[1:-1]


def _tell(machine: BootSpec, contents: Contents, unpacked: int, packed: int) -> None:
    more = contents.more
    print(
        f"{machine.image}: {packed / 1e6:.1f} MB packed, {unpacked / 1e6:.1f} MB in the guest; "
        f"{contents.what}, Linux {contents.kernel.version}"
    )
    print(f"""
On the host, the proxy (for cloud-hypervisor, Firecracker and vhost-device-vsock):
twistd -n subproxy --http=8888 --vsock={machine.socket}{vsock_port(contents.settings)}

cloud-hypervisor:
{machines.cloud_hypervisor(machine, more)}

Firecracker:
{machines.firecracker(machine, more)}

QEMU, emulated (with KVM say -accel kvm -cpu host instead):
{machines.qemu(machine, more)}

QEMU with KVM and vhost_vsock in the host's kernel (and twistd -n subproxy --vsock=12345):
{machines.qemu_native(machine, more)}""")


def vsock_port(settings: Settings) -> str:
    """The option of the proxy for a guest that dials another port than the usual one."""
    found = re.fullmatch(r"vsock:2:(\d+)", (settings.get("proxy") or [""])[-1])
    return f" --vsock-port={found[1]}" if found and found[1] != "12345" else ""


if __name__ == "__main__":
    sys.exit(main())
