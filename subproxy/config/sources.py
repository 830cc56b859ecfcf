"""What is in force: the command line before the configuration file before defaults."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from subproxy.config.combinations import complete
from subproxy.config.configuration_error import ConfigurationError
from subproxy.config.setting import Flag, Setting
from subproxy.config.settings import TABLE, Settings
from subproxy.core.access.policy import Policy, PolicyError
from subproxy.wire.values import value_class

if TYPE_CHECKING:
    from subproxy.config.configuration import Configuration
    from subproxy.config.machine_files import MachineRules
    from subproxy.core.sites.site import Site
    from subproxy.machines.declaration import Machine

# What reads a file is imported where one is read: a proxy without any starts without a dozen
# modules.

TWO_POLICIES = "[[guest]] and [default] are a policy, and so is --policy={path}: say one of them"

BY_OPTION = {each.option: each for each in TABLE}


@value_class
class Effective:
    """
    What the sources come to.

    @ivar values: every setting by option; what has several is a list.
    @ivar settings: the same, as the program reads it.
    @ivar configuration: the file; None if there is none.
    @ivar added: machines of the folder C{--machine-files}.
    @ivar left_out: why other files there are none, a line each.
    """

    values: Mapping[str, Any]
    settings: Settings
    configuration: Configuration | None
    added: tuple[Machine, ...] = field(default=(), kw_only=True)
    left_out: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def has_policy(self) -> bool:
        """Whether somebody is told who may claim what: by a policy, or by what is declared."""
        if self.settings.policy is not None or self.may_have_machines:
            return True
        found = self.configuration
        return found is not None and found.policy is not None and found.policy.guests is not None

    @property
    def sites(self) -> tuple[Site, ...]:
        """What the configuration file says of sites."""
        return () if self.configuration is None else self.configuration.sites

    @property
    def declared_sites(self) -> tuple[Site, ...]:
        """The same, with the files that they name not read."""
        return () if self.configuration is None else self.configuration.declared

    @property
    def machines(self) -> tuple[Machine, ...]:
        """What the configuration file says of machines, and then those of their folder."""
        found = self.configuration
        return self.added if found is None else (*found.machines, *self.added)

    @property
    def may_have_machines(self) -> bool:
        """Whether there are machines, or may be by and by: files of their own may come."""
        return bool(self.machines) or self.settings.machine_files is not None

    @property
    def machines_folder(self) -> str:
        """Where these have their files."""
        from subproxy.machines.places import default_folder

        return os.path.abspath(self.settings.machines_folder or default_folder(os.environ))

    def read_policy(self) -> Policy | None:
        """
        The policy of C{--policy} or of the configuration file, and what machines may claim; None
        if there is neither.

        @raise OSError: the policy's file cannot be read.
        @raise PolicyError: anything in it is wrong.
        """
        path = self.settings.policy
        found = None if self.configuration is None else self.configuration.policy
        if path is not None:
            from subproxy.config.policy_file import read_policy_file

            found = read_policy_file(path)
        if not self.may_have_machines:
            return found
        from subproxy.config.machines import policy_conflicts, with_machines

        problems = [(0, text) for _, text in policy_conflicts(found, self.machines)]
        if problems:
            raise PolicyError(problems)
        return with_machines(found, self.machines, self.machines_folder)

    def again(self) -> Effective:
        """What is read again where there is no configuration file: the policy is a file, too."""
        return self

    def with_site_files(self) -> Effective:
        """The same with what is in the files of sites now; where that is no use, with what was."""
        found = self.configuration
        if found is None or not found.declared:
            return self
        from subproxy.config.site_files import SiteFileError, with_files

        read = zip(found.sites, with_files(found.declared), strict=True)
        sites = [was if isinstance(now, SiteFileError) else now for was, now in read]
        return replace(self, configuration=replace(found, sites=tuple(sites)))

    def with_policy(self, policy: Policy | None, settings: Settings) -> Effective:
        """The same with a policy that was read, and by the settings that are in force."""
        return EffectivePolicy(
            *(self.values, settings, self.configuration, policy),
            added=self.added,
            left_out=self.left_out,
        )


@value_class
class EffectivePolicy(Effective):
    """
    What is in force, whatever is in the files by now: a worker that replaces another goes by it.

    @ivar policy: as it was read.
    """

    policy: Policy | None

    def read_policy(self) -> Policy | None:
        """That policy."""
        return self.policy

    def again(self) -> Effective:
        """What reads the file."""
        return Effective(
            *(self.values, self.settings, self.configuration),
            added=self.added,
            left_out=self.left_out,
        )


@value_class
class Sources:
    """
    Where the settings come from.

    @ivar given: what the command line says, by option, as L{Setting.parse} made it.
    @ivar path: the configuration file; None if there is none.
    """

    given: Mapping[str, Any]
    path: str | None = None

    def read(self) -> Effective:
        """
        Read the file, if there is one, and put all together.

        What the command line says once, or several times, is all there is of that setting.

        @raise OSError: the file cannot be read.
        @raise ConfigurationError: anything in it is wrong.
        @raise ValueError: two settings do not go together: a line for a person.
        """
        if self.path is None:
            return self.merge(None)
        from subproxy.config.configuration import read_configuration

        return self.merge(read_configuration(self.path))

    def merge(self, found: Configuration | None) -> Effective:
        """As L{Sources.read}, with what was read."""
        values: dict[str, Any] = {each.option: _default(each) for each in TABLE}
        if found is not None:
            values.update(found.values)
        values.update(self.given)
        for each in TABLE:
            if each.repeats:
                values[each.option] = list(values[each.option])
        if found is not None:
            self._check(found, values)
        try:
            complete(values)
        except ValueError as error:
            option = str(error).partition(":")[0].removeprefix("--")
            if found is None or option in self.given or option not in found.values:
                raise
            problem = found.problem(BY_OPTION[option], str(error))
            raise ConfigurationError(found.path, [problem]) from None
        if found is not None:
            self._check_machines(found, values)
            found = replace(found, sites=tuple(self._sites(found)), declared=found.sites)
        added, left_out = self._added(found, values)
        return Effective(values, Settings.of(values), found, added=added, left_out=left_out)

    def _added(
        self, found: Configuration | None, values: Mapping[str, Any]
    ) -> tuple[tuple[Machine, ...], tuple[str, ...]]:
        """The machines of the folder, and why not all that is there."""
        folder = values["machine-files"]
        if folder is None:
            return (), ()
        from subproxy.config.machine_files import read_machine_files

        return read_machine_files(os.path.abspath(folder), self.machine_rules(found, values))

    @staticmethod
    def machine_rules(found: Configuration | None, values: Mapping[str, Any]) -> MachineRules:
        """What a machine of the folder has to agree with: all but the others there."""
        from subproxy.config.machine_files import MachineRules
        from subproxy.config.policy_file import read_policy_file
        from subproxy.machines.places import default_folder

        policy = None if found is None else found.policy
        if values["policy"] is not None:
            try:
                policy = read_policy_file(values["policy"])
            except (OSError, PolicyError):
                policy = None  # it is told of where it is read for good
        machines = () if found is None else found.machines
        folder = os.path.abspath(values["machines-folder"] or default_folder(os.environ))
        return MachineRules(machines, policy, folder, values["vsock-port"])

    @staticmethod
    def _sites(found: Configuration) -> Iterator[Site]:
        """The sites, with what the files hold that they name."""
        from subproxy.config.configuration import SITE
        from subproxy.config.site_files import SiteFileError, with_files

        problems = []
        for index, site in enumerate(with_files(found.sites)):
            if isinstance(site, SiteFileError):
                problems.append(found.table_problem(SITE, site.key, index, str(site)))
            else:
                yield site
        if problems:
            raise ConfigurationError(found.path, problems)

    @staticmethod
    def _check_machines(found: Configuration, values: Mapping[str, Any]) -> None:
        """Refuse machines whose sockets would have no names, or that claim what guests have."""
        if not found.machines:
            return
        from subproxy.config.configuration import MACHINE
        from subproxy.config.machines import policy_conflicts
        from subproxy.machines.places import default_folder, path_fault

        folder = os.path.abspath(values["machines-folder"] or default_folder(os.environ))
        port = values["vsock-port"]
        problems = [
            found.table_problem(MACHINE, "hosts", index, text)
            for index, text in policy_conflicts(found.policy, found.machines)
        ]
        for index, machine in enumerate(found.machines):
            fault = path_fault(folder, machine.name, machine.most, port)
            if fault is not None:
                problems.append(found.table_problem(MACHINE, "name", index, fault))
        if problems:
            raise ConfigurationError(found.path, problems)

    def _check(self, found: Configuration, values: Mapping[str, Any]) -> None:
        path = values["policy"]
        if found.policy is None or path is None:
            return
        text = TWO_POLICIES.format(path=path)
        raise ConfigurationError(found.path, [found.policy_problem(text)])


def _default(setting: Setting) -> object:
    if setting.repeats:
        return []
    if isinstance(setting.kind, Flag):
        return False
    return None if setting.default is None else setting.parse(setting.default)
