"""Hosts of two workers each on a network that is cut, with members of etcd that are killed."""

from __future__ import annotations

from tests.integration import cluster_cuts_case


class WorkersCutTests(cluster_cuts_case.ClusterCutCase):
    """See L{cluster_cuts_case}. The parent has the store; what it knows, all workers do."""

    workers = 2
