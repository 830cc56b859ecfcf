"""Finds the application that C{module:attr} names."""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module
from typing import Any

from guest.cli.interface import InterfaceUnclear, interface_of


class BadImport(Exception):
    """The application cannot be had; its text is one line for a person."""


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
        raise BadImport(f"cannot import {module_name}: {_where(error)}") from error
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
        raise BadImport(f"{name} failed: {_where(error)}") from error


def _where(error: Exception) -> str:
    """The error in words, with file and line if they are in the application's code."""
    text = f"{type(error).__name__}: {error}".replace("\n", " ")
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and frame.filename != __file__
    ]
    if frames:
        text += f" ({frames[-1].filename}, line {frames[-1].lineno})"
    return text
