"""The C{subproxy} command, also as C{python -m subproxy}."""

from __future__ import annotations

import sys


def main() -> int:
    """
    Run the proxy, or ask it; the exit status.

    What one of the two needs, the other does not import.
    """
    if sys.argv[1:2] == ["run"]:
        from subproxy.serve import serve

        return serve(sys.argv[2:])
    from subproxy.cli.main import main as ask

    return ask()


if __name__ == "__main__":
    sys.exit(main())
