"""Build of the optional extensions; everything else is in pyproject.toml.

The package works without a compiler: each extension is optional, and the code
that would use it falls back to Python (or to the epoll reactor) and says so.
"""

from __future__ import annotations

import os
from pathlib import Path

from setuptools import Extension, find_namespace_packages, setup

COMPILE_ARGS = ["-O2", "-fno-strict-aliasing"]
CORES = os.cpu_count() or 1


def extensions() -> list[Extension]:
    """Every .pyx beside the code that imports it, if Cython is here to translate it."""
    try:
        from Cython.Build import cythonize
    except ImportError:
        return []
    found = [
        Extension(
            ".".join(path.with_suffix("").parts),
            [str(path)],
            extra_compile_args=COMPILE_ARGS,
            optional=True,
        )
        for path in sorted(Path("subproxy").rglob("*.pyx"))
    ]
    return cythonize(found, language_level=3, nthreads=CORES) if found else []


setup(
    packages=find_namespace_packages(
        include=["subproxy", "subproxy.*", "guest", "guest.*", "twisted.plugins"]
    ),
    package_data={
        "subproxy": ["**/*.pyx", "**/*.pxd", "**/*.pyi", "**/*.h", "py.typed"],
        "guest": ["py.typed"],
    },
    ext_modules=extensions(),
    options={"build_ext": {"parallel": CORES}},
)
