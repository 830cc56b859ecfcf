"""Finds the application that C{module:attr} names."""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module
from types import TracebackType
from typing import Any

from guest.cli.interface import InterfaceUnclear, interface_of


class BadImport(Exception):
    """
    The application cannot be had; its text is one line for a person.

    @ivar trace: the traceback of the error that its code raised, from that code on; or nothing.
    """

    def __init__(self, text: str, error: Exception | None = None) -> None:
        super().__init__(text if error is None else f"{text}: {_where(error)}")
        self.trace = "" if error is None else _trace(error)


def load(name: str, interface: str = "auto") -> Any:
    """
    Import C{module:attr} with the current directory on the path.

    C{module:attr()} is what that function returns.

    @param interface: what it is; L{interface_of} says which there are.
    @return: a subclass of C{SubscriberProtocol}, a C{SubscriberFactory}, or an ASGI or WSGI
        callable.
    @raise BadImport: with the reason.
    """
    module_name, colon, attribute = name.partition(":")
    if not module_name or not colon or not attribute:
        raise BadImport(f"{name!r} is not module:attribute, such as blog:Blog")
    if module_name.endswith(".py"):
        meant = module_name.removesuffix(".py").strip("./").replace("/", ".")
        raise BadImport(f"{module_name} is a file, and a module is wanted: {meant}:{attribute}")
    path, called, _ = attribute.partition("(")
    if called and attribute != path + "()":
        raise BadImport(f"{attribute}: a function is called without arguments, as {path}()")
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        found: object = import_module(module_name)
    except Exception as error:
        raise BadImport(f"cannot import {module_name}", error) from error
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            import difflib

            near = difflib.get_close_matches(part, dir(found), 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise BadImport(f"{module_name} has no {path}{hint}") from None
    if called:
        found = _call(found, name)
    try:
        interface_of(found, interface)
    except InterfaceUnclear as error:
        raise BadImport(f"{name} {error}") from None
    return found


def _call(factory: Any, name: str) -> object:
    if not callable(factory):
        raise BadImport(f"{name}: that is no function")
    try:
        return factory()
    except Exception as error:
        raise BadImport(f"{name} failed", error) from error


def _where(error: Exception) -> str:
    """The error in words, with file and line of the last call in the application's own code."""
    text = f"{type(error).__name__}: {error}".replace("\n", " ")
    frames = traceback.extract_tb(_of_application(error))
    own = [each for each in frames if _is_own(each.filename)] or frames
    if own:
        text += f" ({own[-1].filename}, line {own[-1].lineno})"
    return text


def _trace(error: Exception) -> str:
    """The error as Python prints it, without us who called; nothing if no code of it ran."""
    there = _of_application(error)
    if there is None and not isinstance(error, SyntaxError):
        return ""
    return "".join(traceback.format_exception(type(error), error, there))


def _of_application(error: Exception) -> TracebackType | None:
    """Its traceback behind us and what imports modules."""
    there = error.__traceback__
    while there is not None:
        name = there.tb_frame.f_code.co_filename
        if name != __file__ and "importlib" not in name:
            return there
        there = there.tb_next
    return None


def _is_own(filename: str) -> bool:
    """Whether it is a file of the application: neither of Python's library nor of a package."""
    library = os.path.dirname(os.__file__) + os.sep
    return os.path.isfile(filename) and not (
        filename.startswith(library) or f"{os.sep}site-packages{os.sep}" in filename
    )
