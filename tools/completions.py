"""
Makes the completions of C{subproxy} for bash and zsh, of its parser. Run it after a change there.

    python -m tools.completions
"""

from __future__ import annotations

from pathlib import Path

import shtab

from subproxy.cli.main import COMPLETIONS, parser

FOLDER = Path(__file__).resolve().parent.parent / "subproxy" / "cli"


def made(shell: str) -> str:
    """The script for that shell."""
    return str(shtab.complete(parser(), shell=shell)).rstrip() + "\n"


def main() -> None:
    """Write them where the command finds them."""
    for shell, name in COMPLETIONS.items():
        (FOLDER / name).write_text(made(shell))


if __name__ == "__main__":
    main()
