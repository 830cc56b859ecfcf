"""The configuration file with which the cost of sites is measured."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.contenders.subproxy import sites_file
from benchmarks.rig import HOST
from subproxy.config.configuration import parse_configuration
from subproxy.core.sites.site_table import SiteTable


class SitesFileTests(SynchronousTestCase):
    def test_so_many(self) -> None:
        """One is that of the requests, which stay on the compiled path."""
        sites = parse_configuration(sites_file(20)).sites
        self.assertEqual(len(sites), 20)
        rules = SiteTable(sites).find(HOST.encode(), b"/")
        assert rules is not None
        self.assertEqual((rules.hold, rules.asked_each_time), (5.0, ()))
