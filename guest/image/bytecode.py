"""Python compiled ahead: under emulation a guest's import of Twisted takes seconds without.

Each module becomes a C{.pyc} that is loaded without a look at its source (PEP 552,
unchecked hash), compiled by the image's own Python. What was compiled before comes
from a cache, by content.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from guest.image.python import Python

_SCRIPT = """
import base64, importlib.util, json, os, sys
from importlib._bootstrap_external import _code_to_hash_pyc

def compiled(line):
    name, source = json.loads(line)
    source = base64.b64decode(source)
    try:
        code = compile(source, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return b""
    return base64.b64encode(_code_to_hash_pyc(code, importlib.util.source_hash(source), False))

# What marshal writes depends on who else holds an object, a name for example. So each module
# is compiled in a child that has seen no other one.
for line in sys.stdin.buffer:
    pid = os.fork()
    if not pid:
        os.writev(1, [compiled(line), b"\\n"])
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        sys.exit("a compiler ended badly")
"""


class Compiler:
    """Compiles sources with C{python}, remembering the results under C{cache}."""

    def __init__(self, python: Python, cache: Path) -> None:
        self._python = python
        self._cache = cache / "bytecode"
        self._salt = f"{python.packages[0].version} {_SCRIPT}".encode()

    @property
    def tag(self) -> str:
        """C{cpython-311}, which the names of bytecode beside its source hold."""
        return f"cpython-{self._python.version.replace('.', '')}"

    def compile(self, sources: Iterable[tuple[str, bytes]]) -> dict[str, bytes | None]:
        """The C{.pyc} of each (path in the image, source); None where it isn't valid Python.

        Test data and templates for other versions are not valid, and nobody's fault.
        """
        sources = list(sources)
        keys = {path: self._key(path, source) for path, source in sources}
        missing = [(p, s) for p, s in sources if not (self._cache / keys[p]).exists()]
        if missing:
            self._cache.mkdir(parents=True, exist_ok=True)
            lines = [json.dumps([f"/{p}", base64.b64encode(s).decode()]) for p, s in missing]
            output = self._python.run(_SCRIPT, "\n".join(lines).encode())
            for (path, _), line in zip(missing, output.splitlines(), strict=True):
                partial = self._cache / f"{keys[path]}.{os.getpid()}.partial"
                partial.write_bytes(base64.b64decode(line))
                partial.rename(self._cache / keys[path])
        return {path: (self._cache / key).read_bytes() or None for path, key in keys.items()}

    def _key(self, path: str, source: bytes) -> str:
        digest = hashlib.sha256(self._salt)
        digest.update(path.encode() + b"\0" + source)
        return digest.hexdigest()
