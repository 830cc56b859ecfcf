"""Runs what is written for Twisted: a C{SubscriberProtocol}, or a C{SubscriberFactory}."""

from __future__ import annotations

from typing import Any

from guest.cli.collector import begin_collecting
from guest.cli.options import GuestOptions
from guest.core.statuses import USAGE, complain
from guest.twisted.factory import SubscriberFactory
from guest.twisted.runner import Runner, begin_logging, endpoint_of
from guest.twisted.service import SubscriberService


def run(asked: GuestOptions, application: Any, worker: int) -> int:
    """
    Serve C{application} until something ends it.

    @return: the exit status.
    """
    begin_logging(asked.log_level)
    from twisted.internet import reactor

    try:
        endpoint = endpoint_of(reactor, asked.proxy)
    except ValueError as error:
        complain(f"--proxy={asked.proxy}: {error}")
        return USAGE
    if isinstance(application, SubscriberFactory):
        factory = application
        factory.routes.extend(asked.routes)
    else:
        factory = SubscriberFactory(application, asked.name, asked.routes)
    factory.worker = worker
    factory.concurrency = asked.concurrency or factory.concurrency
    factory.tls = asked.tls or factory.tls
    factory.weight = asked.weight or factory.weight
    factory.drainTimeout = asked.drain_timeout
    service = SubscriberService(endpoint, factory, retryRefused=asked.keep_going, where=asked.proxy)
    runner = Runner(reactor, service, asked.keep_going)
    factory.announcer = runner
    begin_collecting()
    return runner.run()
