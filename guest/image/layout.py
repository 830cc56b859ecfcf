"""What lies where in an image.

================================  =============================================
C{/init}                         starts C{init} with the image's Python
C{/opt/init}                     C{init} and what it imports, apart from all else
C{/opt/python}                   C{guest}, what it and the application require
C{/app}                          the application
C{/etc/subproxy.args}            the settings it was built with
C{/etc/modules}, C{/lib/modules}  the kernel's modules, flat, in their order
C{/usr/lib/pythonX.Y}            Python, as Debian lays it out
================================  =============================================
"""

from __future__ import annotations

import importlib.util
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from guest.image import distributions
from guest.image.application import Application
from guest.image.arguments import render
from guest.image.bytecode import Compiler
from guest.image.cpio import Tree
from guest.image.elf import is_elf, needed
from guest.image.kernel import Kernel
from guest.image.prune import USUAL, Pruning
from guest.image.python import LOADER, Python

SITE = "opt/python"
INIT = "opt/init"
APP = "app"
LIBRARIES = "lib/x86_64-linux-gnu"

LOADED_LATE = ("libgcc_s.so.1",)
"""Libraries that the C library itself loads when they are wanted: this one to end a thread."""

GUEST_REQUIREMENTS = ("Twisted", "tnetstring3", "txaio")
"""What the guest library itself needs, beside the standard library."""

ASYNCIO_REQUIREMENTS = ("tnetstring3", "txaio")
"""What it needs for WSGI and ASGI applications, which run on asyncio."""

WEBSOCKET_REQUIREMENTS = ("wsproto",)
"""What an ASGI application's WebSockets need."""

NOT_ON_ASYNCIO = (
    "guest/twisted",
    "guest/image",
    "guest/sidecar",
    "guest/minimal.py",
    "guest/testing.py",
)
"""What of the guest library no WSGI or ASGI application needs; but C{ON_ASYNCIO} it does."""

ON_ASYNCIO = (
    "guest/sidecar/__init__.py",
    "guest/sidecar/address.py",
    "guest/sidecar/restart.py",
    "guest/sidecar/upgrades.py",
)
"""The command line reads its options by these."""

INIT_MODULES = (
    "guest/image/__init__.py",
    "guest/image/arguments.py",
    "guest/image/init.py",
    "guest/image/supervisor.py",
)

FILES: Mapping[str, str] = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/false\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}

LDCONFIG = """\
#!/usr/bin/python3 -ISB
import os
for name in sorted(os.listdir("/{libraries}")):
    print(f"\\t{{name}} (libc6,x86-64) => /{libraries}/{{name}}")
"""
"""What C{ctypes.util.find_library} asks for a library's name (Twisted's inotify among others)."""


_UTC = b"TZif2" + bytes(15) + struct.pack(">6L", 0, 0, 0, 0, 1, 4) + bytes(6) + b"UTC\0"
UTC = _UTC + _UTC + b"\nUTC0\n"
"""
The one time zone of an image (RFC 8536, versions 1 and 2 of the same): Django does not answer
without. Who needs others requires C{tzdata}.
"""

DEVICES = (("console", 5, 1), ("null", 1, 3), ("random", 1, 8), ("urandom", 1, 9))
"""
What is in C{/dev} before C{init} mounts devtmpfs there: name, major and minor number.

C{init} is Python, and Python asks for random bytes before it runs anything. On a machine whose
kernel has none yet (a CPU without RDRAND: QEMU's default) it reads C{/dev/urandom}, or ends.
"""


class LayoutError(Exception):
    """An image that can't be put together."""


@dataclass(frozen=True)
class Plan:
    """All that decides what is in an image."""

    kernel: Kernel
    python: Python
    application: Application | None = None
    minimal: bool = False
    on_asyncio: bool = False
    """For a WSGI or ASGI application: without Twisted."""
    websocket: bool = False
    settings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    requirements: Sequence[Path] = ()
    keep: Sequence[str] = ()
    with_proxy: bool = False
    """Put C{subproxy} itself in, for tests of native vsock."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Further files, by their path in the image."""


def assemble(plan: Plan, compiler: Compiler) -> Tree:
    """The files of the image. Raises C{LayoutError} and what the parts of the image raise."""
    tree = Tree()
    pruning = Pruning([*plan.keep, *(() if plan.minimal else USUAL)])
    python = plan.python
    put_devices(tree)
    for folder in ("proc", "sys", "tmp", "run", "root", "mnt"):
        tree.folder(folder)
    for path, text in FILES.items():
        tree.file(path, text.encode())
    if not plan.minimal:
        tree.file("usr/share/zoneinfo/UTC", UTC)
    for path, data in plan.files.items():
        tree.file(path, data)
    put_modules(tree, plan.kernel)
    tree.file("etc/subproxy.args", (render(plan.settings) + "\n").encode())
    start = f"#!/{python.interpreter} -ISB\nimport sys\nsys.path.insert(0, '/{INIT}')\n"
    start += "from guest.image.init import main\nmain()\n"
    tree.file("init", start.encode(), 0o755)
    tree.file("sbin/ldconfig", LDCONFIG.format(libraries=LIBRARIES).encode(), 0o755)
    tree.file(python.interpreter, python.program().read_bytes(), 0o755)
    tree.link("usr/bin/python3", f"python{python.version}")

    stdlib = ((path, file) for path, file in python.stdlib() if not pruning.drops(path))
    _compiled(tree, python.library, ((path, file.read_bytes()) for path, file in stdlib), compiler)
    guest = _package("guest")
    own = ((name, (guest.parent / name).read_bytes()) for name in INIT_MODULES)
    _compiled(tree, INIT, own, compiler)
    _site(tree, plan, pruning, compiler)
    if plan.application is not None:
        app = plan.application
        for file in app.files:
            tree.file(f"{APP}/{file.relative_to(app.root)}", file.read_bytes())
        sources = ((str(f.relative_to(app.root)), f.read_bytes()) for f in app.files)
        _compiled(tree, APP, sources, compiler, keep_sources=True)
    _libraries(tree, python)
    return tree


def put_devices(tree: Tree) -> None:
    """Put in what is in C{/dev} before anything is mounted there."""
    for name, major, minor in DEVICES:
        tree.character_device(f"dev/{name}", major, minor)


def put_modules(tree: Tree, kernel: Kernel) -> None:
    """Put a kernel's modules in, and the order in which they are loaded."""
    modules = kernel.load_order()
    for module in modules:
        tree.file(f"lib/modules/{module.name}.ko", module.data)
    tree.file("etc/modules", "".join(f"{module.name}\n" for module in modules).encode())


def _site(tree: Tree, plan: Plan, pruning: Pruning, compiler: Compiler) -> None:
    guest = _package("guest")
    if plan.minimal:
        tree.file(f"{SITE}/guest/minimal.py", (guest / "minimal.py").read_bytes())
    else:
        own = _own(guest, plan.python.version)
        if plan.on_asyncio:
            own = ((path, data) for path, data in own if on_asyncio(path))
        _compiled(tree, SITE, own, compiler)
        proxy = _package("subproxy")
        only = None if plan.with_proxy else (proxy / "__init__.py", proxy / "wire")
        _compiled(tree, SITE, _own(proxy, plan.python.version, only), compiler)
    if plan.with_proxy:
        for plugin in sorted((_package("subproxy").parent / "twisted/plugins").glob("*.py")):
            tree.file(f"{SITE}/twisted/plugins/{plugin.name}", plugin.read_bytes())
    wanted = _requirements(plan)
    if wanted or plan.requirements:
        with TemporaryDirectory(prefix="subproxy-image-") as scratch:
            target = Path(scratch)
            distributions.install(wanted, plan.requirements, target, plan.python.version)
            files = (
                (str(file.relative_to(target)), file.read_bytes())
                for file in sorted(target.rglob("*"))
                if file.is_file() and not pruning.drops(str(file.relative_to(target)))
            )
            _compiled(tree, SITE, files, compiler)


def on_asyncio(path: str) -> bool:
    """Whether a WSGI or ASGI application needs this file of the guest library."""
    return path in ON_ASYNCIO or not path.startswith(NOT_ON_ASYNCIO)


def _requirements(plan: Plan) -> tuple[str, ...]:
    if plan.minimal:
        return ()
    if not plan.on_asyncio:
        return GUEST_REQUIREMENTS
    return ASYNCIO_REQUIREMENTS + (WEBSOCKET_REQUIREMENTS if plan.websocket else ())


def _compiled(
    tree: Tree,
    base: str,
    files: Iterable[tuple[str, bytes]],
    compiler: Compiler,
    keep_sources: bool = False,
) -> None:
    """Put files in, each Python module as bytecode in place of its source, or beside it.

    Plugins of Twisted keep their sources: it looks for them by name.
    """
    sources = []
    for path, data in files:
        if path.endswith(".py"):
            sources.append((f"{base}/{path}", data))
        else:
            tree.file(f"{base}/{path}", data)
    for path, pyc in compiler.compile(sources).items():
        sourceless = not keep_sources and "/plugins/" not in path
        if pyc is not None and sourceless:
            tree.file(f"{path}c", pyc)
        elif pyc is not None:
            folder, _, name = path.rpartition("/")
            tree.file(f"{folder}/__pycache__/{name[:-3]}.{compiler.tag}.pyc", pyc)
    for path, data in sources:
        if f"{path}c" not in tree:
            tree.file(path, data)


def _own(
    package: Path, version: str, only: Sequence[Path] | None = None
) -> Iterator[tuple[str, bytes]]:
    """The files of a package of this distribution, its extensions if they fit the Python."""
    tag = f".cpython-{version.replace('.', '')}-"
    for file in sorted(package.rglob("*")):
        fits = file.suffix in {".py", ".typed"} or (file.suffix == ".so" and tag in file.name)
        wanted = only is None or any(file == place or place in file.parents for place in only)
        if file.is_file() and fits and wanted:
            yield str(file.relative_to(package.parent)), file.read_bytes()


def _libraries(tree: Tree, python: Python) -> None:
    """Put in what the programs and extensions in C{tree} ask for, and what that asks for."""
    waiting = [
        entry.data for entry in tree if is_elf(entry.data) and not entry.path.endswith(".ko")
    ]
    there = {entry.path.rpartition("/")[2] for entry in tree}
    wanted = list(LOADED_LATE)
    while waiting or wanted:
        wanted += needed(waiting.pop()) if waiting else []
        for name in wanted:
            if name in there:
                continue
            if name not in python.shared_libraries:
                raise LayoutError(f"no package at hand holds the shared library {name}")
            data = python.shared_libraries[name].read_bytes()
            path = f"lib64/{name}" if name == LOADER else f"{LIBRARIES}/{name}"
            tree.file(path, data, 0o755)
            there.add(name)
            waiting.append(data)
        wanted.clear()


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise LayoutError(f"the package {name} isn't here")
    return Path(next(iter(found.submodule_search_locations)))
