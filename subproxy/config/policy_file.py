"""The policy's own file, C{--policy}: in force whole or not at all."""

from __future__ import annotations

from subproxy.core.access.policy import Policy, PolicyError, parse_policy


def read_policy_file(path: str) -> Policy:
    """
    Read a policy file.

    @raise OSError: it cannot be read.
    @raise PolicyError: anything in it is wrong.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return parse_policy(file.read())
    except UnicodeDecodeError as error:
        raise PolicyError([(1, f"not UTF-8: {error.reason}")]) from None
