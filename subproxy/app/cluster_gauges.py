"""The numbers of a host's part in a cluster, for the metrics page."""

from __future__ import annotations

from collections.abc import Callable

from subproxy.cluster.service import ClusterService


def cluster_gauges(cluster: ClusterService) -> dict[str, tuple[str, Callable[[], float]]]:
    """By name: what each says, and the number."""
    publication = cluster.publisher.publication
    return {
        "cluster_stale": (
            "1 if the cluster's store is away, and what it said last goes on.",
            lambda: float(cluster.view.stale),
        ),
        "cluster_hosts": ("Other hosts in the store.", lambda: len(cluster.view.table.hosts)),
        "cluster_routes": ("Routes of other hosts in it.", lambda: cluster.view.table.routes),
        "cluster_unpublished": (
            "Records of this host that the store does not have yet as they are.",
            lambda: publication.pending,
        ),
    }
