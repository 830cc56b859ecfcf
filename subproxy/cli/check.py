"""C{subproxy check}: what is wrong with a file, before a proxy reads it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout

from subproxy.cli.check_machines import machine_lines
from subproxy.cli.check_sites import not_compiled, site_lines, unserved_hosts
from subproxy.config.configuration import (
    POLICY_TABLES,
    SECTIONS,
    is_policy_alone,
    read_configuration,
)
from subproxy.config.configuration_error import ConfigurationError
from subproxy.config.policy_file import read_policy_file
from subproxy.config.sources import Effective, Sources
from subproxy.config.toml_text import shown
from subproxy.core.access.policy import Policy, PolicyError
from subproxy.core.access.shadowed import shadowed, unheard_of
from subproxy.core.access.toml_lines import TomlLines
from subproxy.core.printable import printable


def check(path: str, effective: bool = False) -> int:
    """
    Check a configuration file or a policy; its problems, with their places, on standard error.

    @param effective: print what each setting is then, and where it comes from.
    @return: the exit status: 1 if anything is wrong. An entry that never wins is none of that.
    """
    try:
        with open(path, encoding="utf-8") as file:
            alone = is_policy_alone(file.read()) and not effective
    except UnicodeDecodeError:
        alone = False
    except OSError as error:
        return _wrong([f"subproxy: {path}: {error.strerror or error}"])
    return _check_policy(path) if alone else _check_configuration(path, effective)


def check_as_json(path: str, effective: bool = False) -> int:
    """
    The same as one object: C{good}, C{problems}, C{warnings}, and C{said} otherwise, by lines.

    @return: the exit status.
    """
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = check(path, effective)
    told = err.getvalue().splitlines()
    found = {
        "good": status == 0,
        "problems": told if status else [],
        "warnings": [] if status else told,
        "said": out.getvalue().splitlines(),
    }
    print(json.dumps(found, indent=1))
    return status


def _check_policy(path: str) -> int:
    try:
        policy = read_policy_file(path)
    except PolicyError as error:
        return _wrong(f"{path}:{line}: {text}" for line, text in error.problems)
    _tell_shadowed(policy, path)
    print(f"{path}: good, {_counted(len(policy.guests or ()), 'guest')}")
    return 0


def _check_configuration(path: str, effective: bool) -> int:
    try:
        found = Sources({}, path).merge(read_configuration(path))
        policy = found.read_policy()
    except ConfigurationError as error:
        return _wrong(error.lines())
    except PolicyError as error:
        named = found.settings.policy
        return _wrong(f"{named}:{line}: {text}" for line, text in error.problems)
    except OSError as error:
        return _wrong([f"{path}: {error.filename}: {error.strerror}"])
    assert found.configuration is not None
    if found.settings.https:
        from subproxy.cli.check_certificates import CertificatesUnusable, certificate_notes

        try:
            for line in certificate_notes(found.settings):
                print(f"{path}: note: {printable(line)}", file=sys.stderr)
        except CertificatesUnusable as error:
            return _wrong([f"{path}: {printable(str(error))}"])
    if policy is not None:
        _tell_shadowed(policy, found.settings.policy or path)
    if policy is not None:
        for line in unserved_hosts(found.configuration, policy):
            print(printable(line), file=sys.stderr)
    if effective:
        print("\n".join(map(printable, effective_lines(found, policy))))
        return 0
    for line in not_compiled(found.configuration):
        print(printable(line))
    parts = [_counted(len(found.configuration.values), "setting")]
    for noun, there in (("site", found.sites), ("machine", found.machines)):
        if there:
            parts.append(_counted(len(there), noun))
    parts.append(_guests(policy, len(found.machines)) if found.has_policy else "no policy")
    print(f"{path}: good, {', '.join(parts)}")
    return 0


def effective_lines(found: Effective, policy: Policy | None) -> Iterable[str]:
    """Every setting by section as TOML has it, each with where it comes from."""
    configuration = found.configuration
    assert configuration is not None
    for name, rows in SECTIONS.items():
        yield f"[{name}]"
        for key, each in rows.items():
            value = found.values[each.option]
            there = each.option in configuration.values
            # An empty list is none, and then there may be a default.
            there = there and (configuration.values[each.option] != [] or value == [])
            line = configuration.line(each) if there else 0
            where = f"{configuration.path}:{line}" if line else "default"
            begin = "# " if value is None else ""
            yield f"{f'{begin}{key} = {shown(each, value)}':40}  # {where}"
        yield ""
    yield from site_lines(configuration)
    yield from machine_lines(configuration)
    if policy is None or not found.has_policy:
        yield "# no policy: any guest may claim any host and path"
        return
    lines = configuration.lines
    where = f"{configuration.path}:{lines.table('guest')}"
    if configuration.policy is None and found.settings.policy is None:
        yield "# policy: machines alone may claim anything"
        return
    yield f"# policy: {_guests(policy, len(found.machines))}, of {found.settings.policy or where}"


def _guests(policy: Policy | None, machines: int) -> str:
    return _counted(len(policy.guests or ()) - machines if policy is not None else 0, "guest")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _tell_shadowed(policy: Policy, path: str) -> None:
    found, nobody = list(shadowed(policy)), list(unheard_of(policy))
    if not found and not nobody:
        return
    with open(path, encoding="utf-8") as file:
        lines = TomlLines(file.read())
    for index, identity, other, wider in found:
        line = lines.key("identity", POLICY_TABLES[1], index)
        there = lines.key("identity", POLICY_TABLES[1], other)
        print(
            f"{path}:{line}: warning: nobody belongs here by {printable(identity)!r}: "
            f"{printable(wider)!r} at line {there} comes first",
            file=sys.stderr,
        )
    for index, identity, why in nobody:
        line = lines.key("identity", POLICY_TABLES[1], index)
        print(
            f"{path}:{line}: warning: nobody is called {printable(identity)!r}: {why}",
            file=sys.stderr,
        )


def _wrong(lines: Iterable[str]) -> int:
    for line in lines:
        print(printable(line), file=sys.stderr)
    return 1
