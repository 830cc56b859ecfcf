"""Hosts of one process each on a network that is cut, with members of etcd that are killed."""

from __future__ import annotations

from tests.integration import cluster_cuts_case


class ClusterCutTests(cluster_cuts_case.ClusterCutCase):
    """See L{cluster_cuts_case}."""
