"""
Reads the configuration file and the policy again while the proxy runs.

What the table of settings marks C{reload} is put in force, and so is the policy; of the rest it
is said that it needs a hand-over. A file that cannot be used changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from twisted.logger import Logger

from subproxy.app.effects import EFFECTS, wait
from subproxy.app.service import ProxyService
from subproxy.config.bare_port import asks_for_port
from subproxy.config.configuration_error import ConfigurationError
from subproxy.config.setting import HttpLimit, Setting
from subproxy.config.settings import TABLE, Settings
from subproxy.config.sources import Effective
from subproxy.core.access.policy import Policy, PolicyError
from subproxy.core.sites.site_table import SiteTable

CERTIFICATES = "tls.certificates"
"""What it calls those that were withdrawn, since their files are gone."""

POLICY = "policy"
"""What a reload calls the policy, wherever it stands."""

SITE = "site"
"""What a reload calls all sites."""

MACHINE = "machine"
"""What a reload calls all machines."""


@dataclass(frozen=True)
class Reloaded:
    """
    What a reload has come to.

    @ivar problems: why nothing has changed; empty if it went well.
    @ivar applied: what has changed, by the place in the file; C{policy} wherever that stands.
    @ivar hand_over: what has changed in the file and waits for a hand-over.
    """

    problems: list[str] = field(default_factory=list)
    applied: list[str] = field(default_factory=list)
    hand_over: list[str] = field(default_factory=list)


class Reloader:
    """
    Puts in force what has changed.

    @param service: the proxy.
    @param settings: what it runs by.
    @param read: reads the sources of the settings again.
    @param guarded: a policy says who may claim what. From then on there is always one: what has
        gone from the file leaves one by which nobody may claim anything.
    """

    _log = Logger()

    def __init__(
        self,
        service: ProxyService,
        settings: Settings,
        read: Callable[[], Effective],
        guarded: bool,
    ) -> None:
        self._service = service
        self._settings = settings
        self._read = read
        self._guarded = guarded

    def reload(self) -> Reloaded:
        """Read everything, then put in force what can be; or say why not."""
        try:
            effective = self._read()
        except ConfigurationError as error:
            return self._refused(error.lines())
        except OSError as error:
            return self._refused([f"{error.filename}: {error.strerror}"])
        except ValueError as error:
            return self._refused([str(error)])
        path = effective.settings.policy
        try:
            policy = effective.read_policy()
        except OSError as error:
            return self._policy_refused([(0, str(error.strerror))], path)
        except PolicyError as error:
            return self._policy_refused(error.problems, path)
        return self._apply(effective, policy)

    def _apply(self, effective: Effective, policy: Policy | None) -> Reloaded:
        sites = self._new_sites(effective)
        changed = differences(self._settings, effective.settings)
        applied = [each for each in changed if each.name in EFFECTS]
        waiting = [each.place for each in changed if not each.reload]
        for effect in dict.fromkeys(EFFECTS[each.name] for each in applied):
            effect(self._service, effective.settings)
        self._settings = _with(self._settings, effective.settings, applied)
        names = [each.place for each in applied]
        if sites:
            wait(self._service, self._settings)
            names.append(SITE)
        self._declare(effective, names, waiting)
        certificates = self._service.certificates
        if certificates is not None and certificates.reload():
            names.append(CERTIFICATES)
        if policy is not None or self._guarded:
            if effective.has_policy and not self._guarded:
                # Only a start chooses whom a bare port is for.
                if any(map(asks_for_port, self._settings.http)) and "http.listen" not in waiting:
                    waiting.append("http.listen")
                self._guarded = True
            if not effective.has_policy and self._guarded:
                self._log.warn(
                    "the policy is gone from the file: no guest may claim anything until a "
                    "hand-over (SIGUSR2)"
                )
                policy = (policy or Policy()).of(())
            assert policy is not None
            same = policy.says_as(self._service.registrar.policy)
            self._service.registrar.policy = policy
            self._service.subscriptions.policy_changed()
            path = effective.settings.policy
            if not same:
                names.append(POLICY)
            if path is not None:
                self._log.info("the policy of {path} is in force", path=path)
        found = effective.configuration
        if found is not None:
            self._log.info(
                "{path} is in force: {names} changed",
                path=found.path,
                names=", ".join(names) or "nothing",
            )
        if waiting:
            self._log.warn("a hand-over (SIGUSR2) is needed for {names}", names=", ".join(waiting))
        return Reloaded(applied=names, hand_over=waiting)

    def _declare(self, effective: Effective, names: list[str], waiting: list[str]) -> None:
        """Go by the machines that are in the file now."""
        routes = self._service.machines
        before = () if routes is None else tuple(routes.machines)
        if effective.machines == before:
            return
        if routes is None:
            waiting.append(MACHINE)
        else:
            routes.declare(effective.machines)
            names.append(MACHINE)

    def _new_sites(self, effective: Effective) -> bool:
        """Go by the sites that are in the file now; whether they are others."""
        router = self._service.dispatcher.router
        before = () if router.sites is None else router.sites.sites
        changed = effective.sites != before
        if changed:
            router.set_sites(SiteTable(effective.sites))
        self._service.site_files.go_by(effective.declared_sites)
        return changed

    def _refused(self, problems: list[str]) -> Reloaded:
        for problem in problems:
            self._log.error("all stays as it was: {problem}", problem=problem)
        return Reloaded(problems)

    def _policy_refused(self, problems: Sequence[tuple[int, str]], path: str | None) -> Reloaded:
        said = []
        for line, text in problems:
            where = f"{path}:{line}" if line else path
            said.append(f"{where}: {text}")
            self._log.error(
                "the policy stays as it was: {where}: {text}", where=where, line=line, text=text
            )
        return Reloaded(said)


def in_force(old: Settings, new: Settings) -> Settings:
    """What a reload makes of C{old} where C{new} is what was read: the rest needs a hand-over."""
    return _with(old, new, [each for each in differences(old, new) if each.name in EFFECTS])


def differences(old: Settings, new: Settings) -> list[Setting]:
    """The rows of the table whose values are not the same."""
    return [each for each in TABLE if _value(old, each) != _value(new, each)]


def _value(settings: Settings, setting: Setting) -> object:
    of = settings.http_limits if isinstance(setting.kind, HttpLimit) else settings
    found: object = getattr(of, setting.name)
    return found


def _with(old: Settings, new: Settings, applied: Sequence[Setting]) -> Settings:
    """The old settings, with what has been applied of the new ones, and its policy."""
    own: dict[str, Any] = {}
    http: dict[str, Any] = {}
    for each in applied:
        (http if isinstance(each.kind, HttpLimit) else own)[each.name] = _value(new, each)
    limits = replace(old.http_limits, **http)
    return replace(old, policy=new.policy, http_limits=limits, **own)
