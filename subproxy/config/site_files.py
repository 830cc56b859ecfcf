"""Reads the files that sites name: when these are put in force, and when a file changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol, runtime_checkable

from subproxy.core.sites.site import Site
from subproxy.files.regular_file import open_regular


class SiteFileError(ValueError):
    """
    A file is not what its key is for; the text names it and says why, to a person.

    @ivar key: the key of the site that names it.
    """

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


def read_file(path: str, most: int, error: Callable[[str], Exception]) -> bytes:
    """
    What is in a file.

    @param most: bytes that it may have.
    @param error: what is raised, made of a text for a person, where it has more or can't be read.
    """
    try:
        with open_regular(path) as file:
            data = file.read(most + 1)
    except OSError as why:
        raise error(f"{path}: {why.strerror}") from None
    if len(data) > most:
        raise error(f"{path} is longer than {most} bytes")
    return data


@runtime_checkable
class SiteFiles(Protocol):
    """What stands for a rule until its files are read."""

    @property
    def files(self) -> tuple[str, ...]:
        """Their paths."""

    def read_rule(self) -> object:
        """
        The rule that they hold.

        @raise SiteFileError: they hold none.
        """


def named_files(sites: Iterable[Site]) -> frozenset[str]:
    """The paths of all files that C{sites} name, as they were declared."""
    return frozenset(
        path
        for site in sites
        for value in site.rules.values()
        if isinstance(value, SiteFiles)
        for path in value.files
    )


def with_files(sites: Iterable[Site]) -> Iterator[Site | SiteFileError]:
    """Yield each site with what its files hold, or what is wrong with these."""
    for site in sites:
        if not any(isinstance(value, SiteFiles) for value in site.rules.values()):
            yield site
            continue
        try:
            found = _read(site.rules)
        except SiteFileError as error:
            yield error
        else:
            yield replace(site, rules=found)


def _read(rules: Mapping[str, object]) -> dict[str, object]:
    return {
        name: value.read_rule() if isinstance(value, SiteFiles) else value
        for name, value in rules.items()
    }
