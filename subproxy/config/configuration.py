"""
The configuration file: the settings of L{subproxy.config.settings} by section and key, who may
claim what, the rules of sites, and machines.

::

    [http]
    listen = [8080, "unix:/run/subproxy/http.sock"]

    [guests]
    hold = 3

    [default]                    # the policy, as a file of its own has it
    connections = 16

    [[guest]]
    identity = "cid:10"
    hosts = "blog.example"

    [[site]]                     # L{subproxy.config.site_keys}
    hosts = "blog.example"
    max-body = "16 MiB"

    [[machine]]                  # L{subproxy.config.machine_keys}
    name = "blog"
    vmm = "qemu"

A file is good as a whole or not at all. Where something stands in it is looked for when it is
asked for: after an error, or to show it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from subproxy.config.configuration_error import ConfigurationError, Problem
from subproxy.config.setting import Setting
from subproxy.config.settings import TABLE
from subproxy.config.shown_value import shown_value
from subproxy.config.sites import read_sites
from subproxy.config.unknown_key import nearest_hint
from subproxy.core.access.policy import Policy, PolicyError, read_policy
from subproxy.core.access.toml_lines import TomlLines, error_column, error_line, load_toml
from subproxy.core.sites.site import Site
from subproxy.machines.declaration import Machine

POLICY_TABLES = ("default", "guest")

SECTIONS: dict[str, dict[str, Setting]] = {}
"""The settings by key, by section, both in the order of the table."""
for _each in TABLE:
    SECTIONS.setdefault(_each.section, {})[_each.key] = _each

SITE = "site"
"""The tables of sites."""

MACHINE = "machine"
"""The tables of machines."""


@dataclass(frozen=True)
class Configuration:
    """
    What a file says.

    @ivar path: the file.
    @ivar text: all of it.
    @ivar values: what it sets, by option, as L{Setting.read} made it.
    @ivar policy: what C{[[guest]]} and C{[default]} say; None if there is neither.
    @ivar sites: what each C{[[site]]} says, in order.
    @ivar declared: the same, while C{sites} have what is in the files that these name.
    @ivar machines: what each C{[[machine]]} says, in order.
    """

    path: str
    text: str = field(repr=False)
    values: Mapping[str, object]
    policy: Policy | None
    sites: tuple[Site, ...] = field(default=(), repr=False)
    declared: tuple[Site, ...] = field(default=(), repr=False, kw_only=True)
    machines: tuple[Machine, ...] = field(default=(), repr=False)

    @cached_property
    def lines(self) -> TomlLines:
        """Where its tables and keys are."""
        return TomlLines(self.text)

    def line(self, setting: Setting) -> int:
        """The line of a setting that it has."""
        return self.lines.key(setting.key, setting.section)

    def problem(self, setting: Setting, text: str) -> Problem:
        """Say C{text} of a setting that it has."""
        line = self.line(setting)
        return Problem(line, self.lines.column(line), text)

    def table_problem(self, table: str, key: str, index: int, text: str) -> Problem:
        """What is wrong with a key of a C{SITE} or a C{MACHINE}, by its number."""
        line = self.lines.key(key, table, index)
        return Problem(line, self.lines.column(line), text)

    def policy_problem(self, text: str) -> Problem:
        """Say C{text} of its policy."""
        name = "guest" if "\n[[guest]]" in f"\n{self.text}" else "default"
        line = self.lines.table(name)
        return Problem(line, self.lines.column(line), text)


def read_configuration(path: str) -> Configuration:
    """
    Read a file.

    @raise OSError: it cannot be read.
    @raise ConfigurationError: anything in it is wrong.
    """
    with open(path, "rb") as file:
        data = file.read()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = error.start - before.rfind(b"\n")
        problem = Problem(before.count(b"\n") + 1, column, f"not UTF-8: {error.reason}")
        raise ConfigurationError(path, [problem]) from None
    return parse_configuration(text, path)


def parse_configuration(text: str, path: str = "") -> Configuration:
    """
    The configuration that C{text} is.

    @param path: of the file, for messages.
    @raise ConfigurationError: anything in it is wrong; all that is.
    """
    text = text.replace("\r\n", "\n")
    try:
        document = load_toml(text)
    except ValueError as error:
        said = str(error)
        at = Problem(error_line(said, text), error_column(said), said.partition(" (at line")[0])
        raise ConfigurationError(path, [at]) from None
    except RecursionError:
        raise ConfigurationError(path, [Problem(1, 1, "it is nested too deep")]) from None
    return _ConfigurationReader(text, path).read(document)


def is_policy_alone(text: str) -> bool:
    """Whether C{text} has tables of a policy and nothing else, as the file of C{--policy} has."""
    try:
        return set(load_toml(text)) <= set(POLICY_TABLES)
    except (ValueError, RecursionError):
        return False


class _ConfigurationReader:
    """Turns a document into a configuration and notes every problem on the way."""

    def __init__(self, text: str, path: str) -> None:
        self._text = text
        self._path = path
        self._problems: list[Problem] = []

    @cached_property
    def _lines(self) -> TomlLines:
        return TomlLines(self._text)

    def read(self, document: Mapping[str, Any]) -> Configuration:
        values: dict[str, object] = {}
        for name, table in document.items():
            if name in SECTIONS:
                self._section(name, table, values)
            elif name not in (SITE, MACHINE, *POLICY_TABLES):
                self._unknown_table(name, table)
        policy = self._policy({each: document[each] for each in POLICY_TABLES if each in document})
        sites = self._sites(self._array(SITE, document.get(SITE, [])))
        machines = self._machines(self._array(MACHINE, document.get(MACHINE, [])))
        if self._problems:
            raise ConfigurationError(self._path, self._problems)
        return Configuration(self._path, self._text, values, policy, tuple(sites), tuple(machines))

    def _section(self, name: str, table: object, values: dict[str, object]) -> None:
        if not isinstance(table, dict):
            self._note(self._lines.table(name), f"{name} must be a table: [{name}]")
            return
        known = SECTIONS[name]
        for key, value in table.items():
            if key not in known:
                line = self._lines.key(key, name)
                self._note(line, f"unknown key {key!r} in [{name}]{_hint(key, known)}")
                continue
            try:
                values[known[key].option] = known[key].read(value)
            except ValueError as error:
                self._note(self._lines.key(key, name), f"{key} = {shown_value(value)}: {error}")

    def _unknown_table(self, name: str, value: object) -> None:
        line = self._lines.table(name)
        if not isinstance(value, (dict, list)) or not _tables(value):
            self._note(line, f"unknown key {name!r} outside all tables{_hint(name, ())}")
            return
        names = (*SECTIONS, *POLICY_TABLES, SITE, MACHINE)
        close = get_close_matches(name, names, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"
        self._note(line, f"unknown table {name!r}; {hint}")

    def _policy(self, document: dict[str, Any]) -> Policy | None:
        if not document:
            return None
        try:
            policy = read_policy(document, self._text)
        except PolicyError as error:
            for line, text in error.problems:
                self._note(line, text)
            return None
        return policy if "guest" in document else policy.of(None)

    def _array(self, name: str, tables: object) -> list[dict[str, Any]]:
        """The tables C{[[name]]}; none where it is something else, which is noted."""
        if isinstance(tables, list) and all(isinstance(each, dict) for each in tables):
            return tables
        self._note(self._lines.table(name), f"{name}s must be tables: [[{name}]]")
        return []

    def _sites(self, tables: list[dict[str, Any]]) -> list[Site]:
        def where(index: int, key: str) -> int:
            return self._lines.key(key, SITE, index)

        return read_sites(
            tables, lambda index, key, text: self._note(where(index, key), text), where
        )

    def _machines(self, tables: list[dict[str, Any]]) -> list[Machine]:
        if not tables:
            return []
        # Imported here: who has none need not spend it.
        from subproxy.config.machines import read_machines

        folder = os.path.dirname(os.path.abspath(self._path))
        return read_machines(
            tables,
            folder,
            lambda index, key, text: self._note(self._lines.key(key, MACHINE, index), text),
        )

    def _note(self, line: int, text: str) -> None:
        self._problems.append(Problem(line, self._lines.column(line), text))


def _tables(value: dict[str, Any] | list[Any]) -> bool:
    return isinstance(value, dict) or any(isinstance(each, dict) for each in value)


def _hint(key: str, known: Iterable[str]) -> str:
    """Where C{key} belongs, or what it may have been meant to be."""
    near = nearest_hint(key, known)
    if near:
        return near
    # An option of the command line may have another name here.
    for name, section in SECTIONS.items():
        for each in section.values():
            if key in (each.key, each.option):
                return f"; there is {each.key!r} in [{name}]"
    close = get_close_matches(key, [each.key for each in TABLE], 1)
    if not close:
        return ""
    (name, *_) = (name for name, section in SECTIONS.items() if close[0] in section)
    return f"; did you mean {close[0]!r} in [{name}]?"
