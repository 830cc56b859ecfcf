"""C{python -m subproxy}: the same as the C{subproxy} command."""

import sys

from subproxy.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
