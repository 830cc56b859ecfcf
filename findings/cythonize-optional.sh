#!/usr/bin/env bash
# Cython: cythonize() forgets that an extension is optional.
#
# setuptools.Extension(..., optional=True) lets an installation go on where there is no compiler.
# cythonize() returns new Extension objects, without that mark: what was to be optional fails the
# build. It has to be set again on what cythonize() returns.
# Seen with Cython 3.3.1 and setuptools 80.9.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check Cython==3.3.1 setuptools==80.9.0
cd "$folder"
echo 'def one(): return 1' >fast.pyx
cat >seen.py <<'END'
from setuptools import Extension
from Cython.Build import cythonize

given = Extension("fast", ["fast.pyx"], optional=True)
(made,) = cythonize([given], quiet=True)
print("given:", given.optional, "returned:", made.optional)
END
seen=$(venv/bin/python seen.py 2>/dev/null | tail -n 1)
printf '%s\n' "$seen"
[ "$seen" = 'given: True returned: None' ]
