"""Build of the optional extensions; everything else is in pyproject.toml.

The package works without a compiler: a build that can't compile says why, and installs the
Python code alone. With ``SUBPROXY_REQUIRE_EXTENSIONS=1`` such a build fails instead: wheels for
others are made so. ``SUBPROXY_BUILD_CACHE=FOLDER`` keeps what was compiled, by the hash of all
that it was made of.
"""

from __future__ import annotations

import gc
import hashlib
import os
import platform
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path

from setuptools import Extension, find_namespace_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.errors import BaseError

# Debug information is 4/5 of what a compiler writes, and 2/5 of its time: CFLAGS=-g asks for it.
DEBUG_ARGS = [] if "-g" in os.environ.get("CFLAGS", "").split() else ["-g0"]
COMPILE_ARGS = ["-O2", "-fno-strict-aliasing", *DEBUG_ARGS]
CORES = os.cpu_count() or 1
KEPT = 8  # builds in the cache
PROBE = "#include <Python.h>\nint subproxy_probe(void) { return PY_VERSION_HEX != 0; }\n"


def extensions() -> list[Extension]:
    """Every .pyx beside the code that imports it."""
    return [
        Extension(
            ".".join(path.with_suffix("").parts),
            [str(path)],
            extra_compile_args=COMPILE_ARGS,
            optional=True,
        )
        for path in sorted(Path("subproxy").rglob("*.pyx"))
    ]


class BuildExtensions(build_ext):
    """Compile what can be compiled, and say what could not, and why."""

    # Without it distutils calls the command by the name of this class, and an editable install,
    # which begins its commands anew, finds no options for it: it would use one core.
    command_name = "build_ext"

    def build_extensions(self) -> None:
        """Take all from the cache, or translate and compile it.

        :raises BaseError: nothing can be compiled, and SUBPROXY_REQUIRE_EXTENSIONS is set.
        """
        required = os.environ.get("SUBPROXY_REQUIRE_EXTENSIONS", "0") != "0"
        for extension in self.extensions:
            extension.optional = not required
        cache = self._cache()
        if cache is not None and self._take(cache):
            print(f"subproxy: compiled before, and taken from {cache}")
            return
        problem = self._probe() or self._translate()
        if problem is None:
            super().build_extensions()
        elif required:
            raise BaseError(f"the extensions cannot be compiled: {problem}")
        else:
            for extension in self.extensions:
                self._built(extension).unlink(missing_ok=True)
        missing = [each.name for each in self.extensions if not self._built(each).exists()]
        if not missing:
            print(f"subproxy: compiled {len(self.extensions)} extensions")
            if cache is not None:
                self._keep(cache)
            return
        many = "nothing is" if len(missing) == len(self.extensions) else "not all is"
        print(f"subproxy: {many} compiled ({problem or ', '.join(missing)})")

    def build_extension(self, ext: Extension) -> None:
        """What an earlier build left is not taken for one that fails."""
        try:
            super().build_extension(ext)
        except BaseException:
            self._built(ext).unlink(missing_ok=True)
            raise

    def copy_extensions_to_source(self) -> None:
        """Nothing that an earlier build left stays beside sources that it was not made of."""
        super().copy_extensions_to_source()
        build_py = self.get_finalized_command("build_py")
        for extension in self.extensions:
            if not self._built(extension).exists():
                package, _, name = extension.name.rpartition(".")
                folder = Path(build_py.get_package_dir(package))
                (folder / Path(self.get_ext_filename(name)).name).unlink(missing_ok=True)

    def _built(self, extension: Extension) -> Path:
        inplace, self.inplace = self.inplace, False
        try:
            return Path(self.get_ext_fullpath(extension.name))
        finally:
            self.inplace = inplace

    def _translate(self) -> str | None:
        """Let Cython write the C sources; why it can't, or None."""
        try:
            from Cython.Build import cythonize
        except ImportError:
            return "Cython is not there"
        by_name = {extension.name: extension for extension in self.extensions}
        # New objects each time: setuptools has noted things in ours, and needs them.
        fresh = [Extension(each.name, list(each.sources)) for each in self.extensions]
        thresholds = gc.get_threshold()
        gc.set_threshold(100_000, *thresholds[1:])  # a tenth of the time, for 20 MB a process
        try:
            translated = cythonize(fresh, language_level=3, nthreads=CORES)
        except OSError:  # no semaphores, where /dev/shm is missing
            translated = cythonize(fresh, language_level=3)
        finally:
            gc.set_threshold(*thresholds)
        for each in translated:
            for name in ("sources", "depends", "include_dirs", "define_macros"):
                setattr(by_name[each.name], name, getattr(each, name))
        self._begin_with_the_longest()
        return None

    def _begin_with_the_longest(self) -> None:
        """So that no core waits at the end for one that is long."""
        self.extensions.sort(
            key=lambda each: sum(Path(source).stat().st_size for source in each.sources),
            reverse=True,
        )

    def _probe(self) -> str | None:
        """Compile and link a few lines with Python's headers; why that fails, or None."""
        with tempfile.TemporaryDirectory() as name:
            source = Path(name) / "probe.c"
            source.write_text(PROBE)
            try:
                objects = self.compiler.compile(
                    [str(source)], output_dir=name, include_dirs=self.include_dirs
                )
                self.compiler.link_shared_object(objects, str(Path(name) / "probe.so"))
            except Exception:
                command = self.compiler.compiler_so[0]
                return f"{command} is not there, or compiles nothing that includes Python.h"
        return None

    def _cache(self) -> Path | None:
        """The folder of what is made of these very sources, by this very compiler."""
        folder = os.environ.get("SUBPROXY_BUILD_CACHE")
        if not folder:
            return None
        digest = hashlib.sha256()
        sources = [
            path for end in ("pyx", "pxd", "h") for path in Path("subproxy").rglob(f"*.{end}")
        ]
        for path in [Path("setup.py"), Path("pyproject.toml"), *sorted(sources)]:
            digest.update(f"{path} {path.stat().st_size}\n".encode() + path.read_bytes())
        try:
            from Cython import __version__ as cython
        except ImportError:
            cython = "none"
        flags = [os.environ.get(name, "") for name in ("CC", "CFLAGS", "LDFLAGS", "CPPFLAGS")]
        configured = [sysconfig.get_config_var(name) for name in ("SOABI", "CC", "CFLAGS")]
        python = (platform.python_version(), platform.libc_ver())
        made_by = [cython, python, flags, configured, self._compiler_version()]
        digest.update(repr(made_by).encode())
        return Path(folder) / digest.hexdigest()[:20]

    def _compiler_version(self) -> str:
        try:
            command = [self.compiler.compiler_so[0], "--version"]
            return subprocess.run(command, capture_output=True, text=True, check=False).stdout
        except OSError:
            return "none"

    def _take(self, cache: Path) -> bool:
        if not cache.is_dir():
            return False
        for extension in self.extensions:
            built = self._built(extension)
            built.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(cache / extension.name, built)
        os.utime(cache)
        return True

    def _keep(self, cache: Path) -> None:
        """Put all into the cache; whoever looks sees all of it or nothing."""
        cache.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=cache.parent))
        for extension in self.extensions:
            # By its whole name: two packages may have a module of the same one.
            shutil.copy2(self._built(extension), fresh / extension.name)
        try:
            fresh.rename(cache)
        except OSError:  # another build was quicker
            shutil.rmtree(fresh)
        kept = sorted(cache.parent.iterdir(), key=lambda each: each.stat().st_mtime)
        for old in kept[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)


class BuildModules(build_py):
    """With the modules, what ``subproxy-mkinitramfs`` builds the init of programs of."""

    def run(self) -> None:
        """Copy the sources of the guest in Go, but for its tests."""
        super().run()
        if self.editable_mode:
            return  # they are where they are
        sources = Path("guests/go")
        for file in [sources / "go.mod", *sources.rglob("*.go")]:
            if not file.name.endswith("_test.go"):
                copy = Path(self.build_lib, "guest/image/go", file.relative_to(sources))
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)


setup(
    packages=find_namespace_packages(
        include=["subproxy", "subproxy.*", "guest", "guest.*", "twisted.plugins"]
    ),
    package_data={
        "subproxy": [
            *("**/*.pyx", "**/*.pxd", "**/*.pyi", "**/*.h", "py.typed"),
            *("admin/static/*", "cli/completion/*"),
        ],
        "guest": ["py.typed"],
    },
    exclude_package_data={"subproxy": ["**/*.c"]},
    ext_modules=extensions(),
    cmdclass={"build_ext": BuildExtensions, "build_py": BuildModules},
    options={"build_ext": {"parallel": CORES}},
)
