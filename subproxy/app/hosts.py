"""Other hosts as an operator asked for them: who they are, where they dial in, and the cluster."""

from __future__ import annotations

from random import Random
from time import monotonic
from typing import Any

from twisted.logger import Logger

from subproxy.app.host_links import HostLinks, HostSubscriptions
from subproxy.app.listener import ListenerService
from subproxy.app.service import ProxyService
from subproxy.cluster.service import ClusterObserver, ClusterService
from subproxy.config.combinations import address_of
from subproxy.config.settings import Settings
from subproxy.core.host_address import parse_peer
from subproxy.endpoints.adopted import check_systemd
from subproxy.endpoints.server_endpoint import server_endpoint
from subproxy.fastpath.install import host_protocol
from subproxy.frontend.peer.host_certificates import HostCertificates
from subproxy.frontend.peer.host_name import HostCertificateError
from subproxy.frontend.peer.host_tls_library import choose_host_tls
from subproxy.frontend.peer.process_place import ProcessPlace
from subproxy.frontend.tls.interfaces import LibraryUnavailable
from subproxy.process.inherited_sockets import InheritedSockets, http_endpoint
from subproxy.process.startup import fail
from subproxy.subscription.host_registrar import HostRegistrar
from subproxy.subscription.settings import SubscriptionSettings

PEER_SHARE = 1.0
"""Of a turn of the reactor, that of another host: it speaks for many guests."""


class Hosts:
    """
    What is known of other hosts, for people.

    @ivar cluster: None where an operator has named them.
    """

    def __init__(self, links: HostLinks, cluster: ClusterService | None) -> None:
        self.links = links
        self.cluster = cluster

    def data(self) -> dict[str, Any]:
        """All of it, as plain data."""
        cluster = None if self.cluster is None else self.cluster.data()
        return {"host": self.links.host, "cluster": cluster, "hosts": self.links.data()}


def read_host_certificates(settings: Settings) -> HostCertificates:
    """
    The certificate of this host, which C{settings} name.

    @raise SystemExit: it can't be used.
    """
    assert settings.peer_certificate is not None
    assert settings.peer_ca is not None
    try:
        engine, why = choose_host_tls(settings.tls_library)
    except LibraryUnavailable as error:
        fail(f"--tls-library={settings.tls_library}: {error}")
    Logger("subproxy").info(
        "TLS between hosts by {name}{why}", name=engine.name, why=f" ({why})" if why else ""
    )
    try:
        certificates = HostCertificates(settings.peer_certificate, settings.peer_ca, engine)
    except HostCertificateError as error:
        fail(f"--peer-certificate: {error}")
    for name, address in map(parse_peer, settings.peer):
        if name == certificates.name:
            fail(f"--peer={name}={address}: that is this host")
    return certificates


def build_links(
    reactor: Any,
    settings: Settings,
    service: ProxyService,
    certificates: HostCertificates,
    place: ProcessPlace,
) -> HostLinks:
    """The connections of C{service}, which is process C{place} of this host, with other hosts."""
    dispatcher, guests = service.dispatcher, service.subscriptions
    registrar = HostRegistrar(
        service.registrar.registry, monotonic, dispatcher.capacity, bool(settings.cluster)
    )
    registrar.assigned = service.registrar.assigned
    times = guests.context.settings
    factory = HostSubscriptions(
        reactor,
        dispatcher,
        registrar,
        lambda transport: "",
        SubscriptionSettings(
            ping_interval=times.ping_interval,
            ping_timeout=times.ping_timeout,
            timeout=times.timeout,
            bulk=times.bulk,
            tunnel=times.tunnel,
            share=PEER_SHARE,
            process=place.process,
            processes=place.processes,
        ),
        pipes=guests.context.pipes,
    )
    factory.protocol = guests.protocol
    links = HostLinks(reactor, dispatcher, registrar, factory, certificates, Random().random, place)
    links.protocol = host_protocol(service.http)
    links.tells = not settings.cluster
    return links


def build_hosts(
    reactor: Any, settings: Settings, service: ProxyService, inheritance: InheritedSockets
) -> Hosts:
    """
    Let C{service}, which is the one process of this host, have other hosts, which C{settings} name.

    @raise SystemExit: something that was asked for can't be had.
    """
    certificates = read_host_certificates(settings)
    links = build_links(reactor, settings, service, certificates, ProcessPlace())
    service.peers = links
    service.registrar.observer = links
    if settings.peer_listen is not None:
        listener = host_listener(reactor, settings.peer_listen, links.listener(), inheritance)
        listener.setServiceParent(service)  # type: ignore[no-untyped-call]
        service.peer_listeners.append(listener)
    cluster = None
    if settings.cluster:
        cluster = links.publisher = build_cluster(reactor, settings, links.host, links)
        cluster.setServiceParent(service)  # type: ignore[no-untyped-call]
    for name, address in map(parse_peer, settings.peer):
        reactor.callWhenRunning(links.host_came, name, address)
    Logger("subproxy").info("this host is {name}", name=links.host)
    return Hosts(links, cluster)


def host_listener(
    reactor: Any, where: str, factory: Any, inheritance: InheritedSockets
) -> ListenerService:
    """
    What other hosts dial, which C{factory} takes in.

    @raise SystemExit: it can't be had.
    """
    try:
        if inheritance.has(where):
            endpoint = http_endpoint(reactor, where, inheritance, server_endpoint)
        else:
            check_systemd(where)
            endpoint = server_endpoint(reactor, where)
    except Exception as error:
        fail(f"--peer-listen={where}: {error}")
    return ListenerService(endpoint, factory, "other hosts", where)


def build_cluster(
    reactor: Any, settings: Settings, name: str, observer: ClusterObserver
) -> ClusterService:
    """
    The part in a cluster of this host, which is called C{name}.

    @raise SystemExit: what its store wants can't be had.
    """
    from subproxy.app.etcd import etcd_store  # twisted.web.client is a third of a second

    assert settings.peer_listen is not None
    address = settings.peer_address or address_of(settings.peer_listen)
    assert address is not None
    store = etcd_store(reactor, settings)
    return ClusterService(
        reactor, store, settings.cluster_prefix, name, address, observer, Random().random
    )
