"""
Machines that an operator makes, changes and removes while the proxy runs.

Each is a file of the folder C{--machine-files}, checked as the configuration file is, written whole
or not at all, and put in force by a reload. Where that fails all is as it was before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredLock

from subproxy.admin.pages import Reply
from subproxy.config.configuration_error import ConfigurationError
from subproxy.config.machine_files import (
    FILES,
    MachineFileError,
    file_of,
    machine_text,
    parse_machine,
    read_file,
)
from subproxy.config.machine_values import name as read_name
from subproxy.config.sources import Effective, Sources
from subproxy.core.printable import printable

ADD: Final = "machine-add"
CHANGE: Final = "machine-change"
REMOVE: Final = "machine-remove"
CHANGES: Final = (ADD, CHANGE, REMOVE)

NO_FOLDER: Final = "machines have no folder for files of their own (--machine-files)"


class _Refused(Exception):
    """It is not done; the reply says why."""

    def __init__(self, status: int, *lines: str) -> None:
        super().__init__(*lines)
        self.reply: Reply = ({"error": lines[0], "problems": list(lines)}, status)


class MachineChanges:
    """
    See above. One change is made after the other.

    @param sources: where the settings come from.
    @param reload: puts in force what is in the files.
    """

    def __init__(self, sources: Sources, reload: Callable[[], Deferred[Reply]]) -> None:
        self._sources = sources
        self._reload = reload
        self._lock = DeferredLock()

    def reply(self, what: str, about: str) -> Deferred[Reply]:
        """
        Do one of L{CHANGES}.

        @param about: the name of the machine, or nothing, then a space and its table in JSON.
        """
        return self._lock.run(lambda: Deferred.fromCoroutine(self._reply(what, about)))

    async def _reply(self, what: str, about: str) -> Reply:
        name, _, body = about.partition(" ")
        try:
            effective = self._effective()
            table = {} if what == REMOVE else _table(body)
            # A name with a space is none, and not what stands before that.
            name = _name(about[:-1] if what == REMOVE else name or table.get("name"))
            text = None if what == REMOVE else _text({"name": name, **table})
            path = _path(effective, name)
            before = self._before(what, name, path, effective)
            if text is not None:
                self._check(text, path, name, effective)
            return await self._put(name, path, text, before)
        except _Refused as refused:
            return refused.reply
        except OSError as error:
            return {"error": printable(f"{error.filename}: {error.strerror}")}, 500

    def _effective(self) -> Effective:
        try:
            return self._sources.read()
        except ConfigurationError as error:
            raise _Refused(422, *error.lines()) from None
        except ValueError as error:
            raise _Refused(422, str(error)) from None

    def _before(self, what: str, name: str, path: str, effective: Effective) -> str | None:
        """What is in its file."""
        found = effective.configuration
        if found is not None and any(each.name == name for each in found.machines):
            raise _Refused(409, f"machine {name!r} is declared in {found.path}: change it there")
        try:
            before = read_file(path)
        except FileNotFoundError:
            if what != ADD:
                raise _Refused(404, f"no machine is called {name!r}") from None
            return None
        except MachineFileError as error:
            raise _Refused(409, *error.lines) from None
        if what == ADD:
            raise _Refused(409, f"there is a machine {name!r} already")
        return before

    def _check(self, text: str, path: str, name: str, effective: Effective) -> None:
        rules = self._sources.machine_rules(effective.configuration, effective.values)
        try:
            for each in effective.added:
                if each.name != name:
                    rules.add(each)
            rules.add(parse_machine(text, path))
        except MachineFileError as error:
            raise _Refused(422, *error.lines) from None

    async def _put(self, name: str, path: str, text: str | None, before: str | None) -> Reply:
        _write(path, text)
        data, status = await self._reload()
        if status == 200:
            return {"machine": name}, 200
        _write(path, before)
        await self._reload()
        return data, status


def _path(effective: Effective, name: str) -> str:
    folder = effective.settings.machine_files
    if folder is None:
        raise _Refused(409, NO_FOLDER)
    return file_of(os.path.abspath(folder), name)


def _table(body: str) -> dict[str, Any]:
    """The table of a machine, whose files have to be named in full: nobody knows from where."""
    try:
        table = json.loads(body)
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, dict):
        raise _Refused(400, "a machine is an object in JSON: the keys and values of a [[machine]]")
    for key in FILES:
        value = table.get(key)
        if isinstance(value, str) and not os.path.isabs(value):
            raise _Refused(422, f"{key} = {value!r}: a path that begins with / is needed")
    try:
        json.dumps(table, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _Refused(422, "half of a surrogate pair is no text") from None
    return table


def _text(table: dict[str, Any]) -> str:
    try:
        return machine_text(table)
    except MachineFileError as error:
        raise _Refused(422, *error.lines) from None


def _name(found: object) -> str:
    try:
        return read_name(found)
    except ValueError as error:
        raise _Refused(422, f"name: {error}") from None


def _write(path: str, text: str | None) -> None:
    """Have that in the file, or no file."""
    folder = os.path.dirname(path)
    os.makedirs(folder, 0o700, exist_ok=True)
    if text is None:
        os.unlink(path)
    else:
        new = f"{path}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(new, flags, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        os.replace(new, path)
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(held)
    finally:
        os.close(held)
