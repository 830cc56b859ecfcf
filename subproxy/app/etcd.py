"""The store of a cluster as an operator asked for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.web.client import BrowserLikePolicyForHTTPS

from subproxy.cluster.etcd_client import EtcdClient
from subproxy.cluster.etcd_store import EtcdStore
from subproxy.config.settings import Settings
from subproxy.process.startup import fail

_END = b"-----END CERTIFICATE-----"


def etcd_store(reactor: Any, settings: Settings) -> EtcdStore:
    """
    What C{--cluster} names.

    @raise SystemExit: a file that goes with it cannot be used.
    """
    credentials: Callable[[], tuple[str, str]] | None = None
    if settings.cluster_credentials is not None:
        credentials = partial(read_credentials, settings.cluster_credentials)
        try:
            credentials()
        except (OSError, ValueError) as error:
            fail(f"--cluster-credentials={settings.cluster_credentials}: {_why(error)}")
    policy = None
    if settings.cluster_ca is not None:
        try:
            with open(settings.cluster_ca, "rb") as file:
                parts = file.read().split(_END)[:-1]
            roots = [Certificate.loadPEM(part + _END + b"\n") for part in parts]
            if not roots:
                raise ValueError("there is no certificate in it")
        except Exception as error:
            fail(f"--cluster-ca={settings.cluster_ca}: {_why(error)}")
        policy = BrowserLikePolicyForHTTPS(trustRootFromCertificates(roots))
    urls = [each.removeprefix("etcd:") for each in settings.cluster]
    return EtcdStore(EtcdClient(reactor, urls, credentials, policy))


def read_credentials(path: str) -> tuple[str, str]:
    """
    Name and password of a user.

    @raise OSError: the file cannot be read.
    @raise ValueError: it has no such line.
    """
    with open(path, encoding="utf-8") as file:
        name, colon, password = file.readline().rstrip("\n").partition(":")
    if not (name and colon and password):
        raise ValueError("a line USER:PASSWORD is needed")
    return name, password


def _why(error: Exception) -> str:
    """What is wrong with a file, for a person."""
    if isinstance(error, OSError):
        return str(error.strerror)
    return str(error) if isinstance(error, ValueError) else "certificates in PEM are needed"
