"""What kind of application an object is: seen without running it."""

from __future__ import annotations

import functools
import inspect
import sys
from enum import Enum
from typing import Any


class Interface(Enum):
    """How an application is called."""

    TWISTED = "twisted"
    """A subclass of C{SubscriberProtocol}, or a C{SubscriberFactory}."""
    ASGI = "asgi"
    WSGI = "wsgi"


INTERFACES = ("auto", "asgi", "wsgi", "twisted")

_SAY = "could be an ASGI or a WSGI application: say which, with --interface=asgi or wsgi"
_ARGUMENTS = {Interface.ASGI: 3, Interface.WSGI: 2}


class InterfaceUnclear(Exception):
    """It can't be seen what an object is; the text follows its name."""


def interface_of(found: Any, asked: str = "auto") -> Interface:
    """
    What C{found} is.

    @param asked: one of L{INTERFACES}.
    @raise InterfaceUnclear: it can't be seen, or is not what was asked for.
    """
    if _is_twisted(found):
        if asked not in ("auto", "twisted"):
            raise InterfaceUnclear(f"runs on Twisted: without --interface={asked}")
        return Interface.TWISTED
    if asked == "twisted":
        raise InterfaceUnclear(
            "is neither a subclass of SubscriberProtocol nor a SubscriberFactory"
        )
    if not callable(found):
        raise InterfaceUnclear(
            "is neither a subclass of SubscriberProtocol nor a SubscriberFactory, nor an ASGI or "
            "WSGI application: it can't be called"
        )
    if asked != "auto":
        return Interface(asked)
    if isinstance(found, type):
        raise InterfaceUnclear(
            "is neither a subclass of SubscriberProtocol nor a SubscriberFactory: it is a class. "
            "An application is an instance of one, or a function; or say --interface=asgi or wsgi"
        )
    return _of_callable(found)


def _is_twisted(found: Any) -> bool:
    # Whoever has made one has imported these: they need not be imported to see that it is none.
    subscriber = sys.modules.get("guest.twisted.subscriber")
    factory = sys.modules.get("guest.twisted.factory")
    if factory is not None and isinstance(found, factory.SubscriberFactory):
        return True
    return (
        subscriber is not None
        and isinstance(found, type)
        and issubclass(found, subscriber.SubscriberProtocol)
    )


def _of_callable(found: Any) -> Interface:
    plain = found
    while isinstance(plain, functools.partial):
        plain = plain.func
    call = plain if inspect.isroutine(plain) else type(plain).__call__
    if inspect.iscoroutinefunction(inspect.unwrap(call)):
        return Interface.ASGI
    try:
        parameters = list(inspect.signature(found).parameters.values())
    except (TypeError, ValueError):
        raise InterfaceUnclear(_SAY) from None
    needed = [
        each
        for each in parameters
        if each.default is each.empty
        and each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    several = any(each.kind is each.VAR_POSITIONAL for each in parameters)
    for kind, count in _ARGUMENTS.items():
        if len(needed) == count and not several:
            return kind
    if not needed and not several:
        raise InterfaceUnclear(
            "takes no arguments: is it a function that makes an application? Then say so, with "
            "() behind it"
        )
    raise InterfaceUnclear(_SAY)
