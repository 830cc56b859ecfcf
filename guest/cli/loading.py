"""Finds the application that C{module:attr} names."""

from __future__ import annotations

import difflib
import os
import sys
import traceback
from collections.abc import Callable
from importlib import import_module

from guest.twisted.factory import SubscriberFactory
from guest.twisted.subscriber import SubscriberProtocol


class BadImport(Exception):
    """The application cannot be had; its text is one line for a person."""


Application = Callable[[], SubscriberProtocol] | SubscriberFactory


def load(name: str) -> Application:
    """
    Import C{module:attr} with the current directory on the path.

    @return: a subclass of L{SubscriberProtocol}, or a L{SubscriberFactory}.
    @raise BadImport: with the reason.
    """
    module_name, colon, attribute = name.partition(":")
    if not module_name or not colon or not attribute:
        raise BadImport(f"{name!r} is not module:attribute, such as blog:Blog")
    if module_name.endswith(".py"):
        meant = module_name.removesuffix(".py").strip("./").replace("/", ".")
        raise BadImport(f"{module_name} is a file, and a module is wanted: {meant}:{attribute}")
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        found: object = import_module(module_name)
    except Exception as error:
        raise BadImport(f"cannot import {module_name}: {_where(error)}") from error
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            near = difflib.get_close_matches(part, dir(found), 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise BadImport(f"{module_name} has no {attribute}{hint}") from None
    if isinstance(found, SubscriberFactory):
        return found
    if isinstance(found, type) and issubclass(found, SubscriberProtocol):
        return found
    raise BadImport(f"{name} is neither a subclass of SubscriberProtocol nor a SubscriberFactory")


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
