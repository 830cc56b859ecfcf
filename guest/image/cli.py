"""C{subproxy-mkinitramfs APP -o app.img}: an application as a virtual machine's whole disk."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from guest.image import application, distributions, kernel, layout, machines, prune, python, vmlinux
from guest.image.application import Application, ApplicationError
from guest.image.arguments import NAMES, ArgumentError, routes
from guest.image.bytecode import Compiler
from guest.image.cpio import CpioError, Tree, pack
from guest.image.debian import PackageError, Packages
from guest.image.elf import ElfError, unavailable
from guest.image.machines import Machine

ERRORS = (
    ApplicationError,
    ArgumentError,
    CpioError,
    ElfError,
    OSError,
    PackageError,
    distributions.RequirementError,
    kernel.KernelError,
    layout.LayoutError,
    vmlinux.BzImageError,
)


NO_ZSTD = "no zstd here: install the package zstd"

DISTRIBUTION = "subscription-proxy-vsock"

EXAMPLES = r"""
examples:
  subproxy-mkinitramfs blog.py -o blog.img --host='blog\.example'
  subproxy-mkinitramfs shop:Shop --requirements requirements.txt -o shop.img
  subproxy-mkinitramfs --minimal app.py -o small.img
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Build one image; the exit status, 1 with one line of reason if it can't be built."""
    options = _parser().parse_args(arguments)
    try:
        _build(options)
    except ERRORS as error:
        print(f"subproxy-mkinitramfs: {error}", file=sys.stderr)
        return 1
    return 0


def compress(archive: bytes, level: int) -> bytes:
    """C{archive} as zstd packs it: the same bytes whatever number of cores the machine has."""
    if shutil.which("zstd") is None:
        raise PackageError(NO_ZSTD)
    command = ["zstd", f"-{level}", "-T1", "--no-progress", "--quiet", "--stdout"]
    return subprocess.run(command, input=archive, capture_output=True, check=True).stdout


def _say(line: str) -> None:
    """Tell what goes on; standard output is for the result."""
    print(f"subproxy-mkinitramfs: {line}", file=sys.stderr, flush=True)


def _check(options: argparse.Namespace) -> None:
    """What can be refused before anything is downloaded, in order to be refused at once."""
    for path in options.requirements:
        if not path.is_file():
            raise ApplicationError(f"--requirements {path}: no such file")
    folder = options.output.absolute().parent
    if not folder.is_dir():
        raise ApplicationError(f"--output {options.output}: there is no folder {folder}")
    if shutil.which("zstd") is None:
        raise PackageError(NO_ZSTD)


def _build(options: argparse.Namespace) -> None:
    missing = unavailable()
    if missing is not None:
        raise ElfError(missing)
    found_application, settings = _application(options), _settings(options)
    _check(options)
    say = _silent if options.quiet else _say
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
        settings=settings,
        requirements=options.requirements,
        keep=options.keep,
        with_proxy=options.with_proxy,
        files=dict(options.file),
    )
    tree = layout.assemble(plan, Compiler(found_python, options.cache))
    archive = pack(tree, options.epoch)
    say(f"packing {len(archive) / 1e6:.0f} MB")
    packed = compress(archive, options.level)
    _write(options.output, packed)
    vmlinuz = options.output.with_suffix(".vmlinuz")
    elf = options.output.with_suffix(".vmlinux")
    image = found_kernel.image.read_bytes()
    _write(vmlinuz, image)
    _write(elf, vmlinux.extract(image))
    if options.list:
        _list(tree)
    _tell(options, plan, len(archive), len(packed), vmlinuz, elf)


def _application(options: argparse.Namespace) -> Application | None:
    if options.app is None:
        return None
    if options.minimal:
        path = Path(options.app)
        if path.suffix != ".py" or not path.is_file():
            raise ApplicationError(f"{options.app}: with --minimal an application is a .py file")
        application.check(path, "app")
        return Application(path.stem, path.parent, (path,))
    return application.find(options.app)


def _settings(options: argparse.Namespace) -> dict[str, list[str]]:
    settings: dict[str, list[str]] = {}
    found = _application(options)
    if found is not None:
        settings["app"] = [f"/app/{found.spec}.py" if options.minimal else found.spec]
    if options.minimal:
        settings["service"] = ["minimal"]
    for word in options.set:
        name, equals, value = word.partition("=")
        if not equals or name not in NAMES:
            raise ArgumentError(f"--set {word}: not NAME=VALUE with one of {', '.join(NAMES)}")
        settings.setdefault(name, []).append(value)
    for name in ("proxy", "host", "path"):
        if getattr(options, name):
            settings[name] = list(getattr(options, name))
    routes(settings)
    return settings


def _write(path: Path, data: bytes) -> None:
    """Write a file in one piece: a VMM that starts meanwhile sees the old one or the new."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(data)
    partial.replace(path)


def _list(tree: Tree) -> None:
    for entry in tree:
        arrow = f" -> {entry.data.decode()}" if stat.S_ISLNK(entry.mode) else ""
        print(f"{stat.filemode(entry.mode)} {len(entry.data):>9} /{entry.path}{arrow}")


def _tell(
    options: argparse.Namespace,
    plan: layout.Plan,
    unpacked: int,
    packed: int,
    vmlinuz: Path,
    elf: Path,
) -> None:
    memory = machines.memory_for(unpacked, packed)
    machine = Machine(str(options.output), str(vmlinuz), str(elf), memory)
    print(
        f"{options.output}: {packed / 1e6:.1f} MB packed, {unpacked / 1e6:.1f} MB in the guest; "
        f"Python {plan.python.version}, Linux {plan.kernel.version}"
    )
    port = _port(plan)
    more = "" if plan.settings.get("app") or plan.minimal else "subproxy.app=module:Class"
    print(f"""
On the host, the proxy (for cloud-hypervisor, Firecracker and vhost-device-vsock):
twistd -n subproxy --http=8888 --vsock={machine.socket}{port}

cloud-hypervisor:
{machines.cloud_hypervisor(machine, more)}

Firecracker:
{machines.firecracker(machine, more)}

QEMU, emulated (with KVM say -accel kvm -cpu host instead):
{machines.qemu(machine, more)}

QEMU with KVM and vhost_vsock in the host's kernel (and twistd -n subproxy --vsock=12345):
{machines.qemu_native(machine, more)}""")


def _port(plan: layout.Plan) -> str:
    found = re.fullmatch(r"vsock:2:(\d+)", (plan.settings.get("proxy") or [""])[-1])
    return f" --vsock-port={found[1]}" if found and found[1] != "12345" else ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="subproxy-mkinitramfs",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Build an initramfs: Python, an application that subscribes, and the kernel "
        "modules of vsock. Needs neither root nor a virtual machine, but Debian's apt and zstd.",
        epilog=_epilog(),
    )
    parser.add_argument("--version", action="version", version=_release())
    add = parser.add_argument
    add("app", nargs="?", help="module:Class, FILE.py[:Class] or FOLDER:module:Class")
    add("-o", "--output", type=Path, required=True, help="the image; the kernel goes beside it")
    add("-q", "--quiet", action="store_true", help="don't tell what goes on")
    add = parser.add_argument_group("what is in the image").add_argument
    add("--minimal", action="store_true", help="only guest/minimal.py, no Twisted")
    add(
        "--requirements",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="what pip is to put in: a requirements file (may repeat)",
    )
    add("--kernel", help="an image, or an installed version; else Debian's cloud kernel")
    add("--python", metavar="X.Y", help="a Python of Debian's; else the release's own")
    add = parser.add_argument_group("what it does when it boots").add_argument
    add("--host", action="append", metavar="RE", help="register this host pattern (may repeat)")
    add("--path", action="append", metavar="RE", help="register this path pattern (may repeat)")
    add("--proxy", action="append", metavar="ENDPOINT", help="where the proxy is: vsock:2:12345")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="build in a setting")
    add = parser.add_argument_group("how it is built").add_argument
    add(
        "--keep",
        action="append",
        default=[],
        choices=sorted(prune.GROUPS),
        metavar="GROUP",
        help=f"don't leave out: {', '.join(prune.GROUPS)}",
    )
    add(
        "--file",
        action="append",
        default=[],
        type=_file,
        metavar="PATH=FILE",
        help="put a further file in",
    )
    add("--with-proxy", action="store_true", help="put the proxy itself in (to test it there)")
    add(
        "--epoch",
        type=int,
        default=int(os.environ.get("SOURCE_DATE_EPOCH", "0")),
        metavar="SECONDS",
        help="the date of every file (SOURCE_DATE_EPOCH, or 1970)",
    )
    add(
        "--level",
        type=int,
        default=9,
        choices=range(1, 20),
        metavar="1..19",
        help="how hard zstd packs (9); 19 is a tenth smaller and takes twenty times as long",
    )
    add("--list", action="store_true", help="list what is in the image")
    add("--cache", type=Path, default=_default_cache(), help="where packages are kept")
    return parser


def _silent(line: str) -> None:
    """Tell nobody."""


def _epilog() -> str:
    width = max(map(len, NAMES)) + len("subproxy.=...")
    lines = [f"  {f'subproxy.{name}=...':{width}}  {text}" for name, text in NAMES.items()]
    return (
        EXAMPLES.lstrip("\n")
        + "\nkernel arguments:\n"
        + "\n".join(lines)
        + "\nIn a value %XX is a byte (a blank is %20, % is %25); all else stands for itself."
    )


def _release() -> str:
    try:
        return f"subproxy-mkinitramfs {version(DISTRIBUTION)} ({DISTRIBUTION})"
    except PackageNotFoundError:
        return "subproxy-mkinitramfs, a copy that was not installed"


def _file(word: str) -> tuple[str, bytes]:
    path, _, name = word.partition("=")
    try:
        return path.lstrip("/"), Path(name).read_bytes()
    except OSError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _default_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "subproxy" / "images"


if __name__ == "__main__":
    sys.exit(main())
