"""The oldest versions that pyproject.toml permits, as pip's requirements: C{httptools==0.6}.

    python tools/floors.py [EXTRA...]

Of the dependencies and of the extras named. The unit tests are run with exactly these (.ci/floors).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)>=(?P<floor>[0-9.]+)(?P<marker>\s*;.*)?")


def floors(project: dict[str, Any], extras: list[str]) -> list[str]:
    """Each requirement at its floor. Raises C{ValueError} for one that has none, or has more."""
    found = []
    requirements = list(project["dependencies"])
    for extra in extras:
        requirements += project["optional-dependencies"][extra]
    for requirement in requirements:
        match = REQUIREMENT.fullmatch(requirement)
        if match is None:
            raise ValueError(f"no floor, or more than that: {requirement}")
        found.append(f"{match['name']}=={match['floor']}{match['marker'] or ''}")
    return found


if __name__ == "__main__":
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    print("\n".join(floors(project, sys.argv[1:])))
