"""Tests of subproxy.config.access_files: what lets in, by the keys of a site."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from subproxy.config.access_files import AccessFiles
from subproxy.config.configuration import parse_configuration
from subproxy.config.configuration_error import ConfigurationError
from subproxy.config.sources import Sources
from subproxy.core.sites.signed_links import LinkKeys
from subproxy.core.sites.site_access import SiteAccess
from tests.rigs.private_site import SECRETS, key_file, sites_of


class AccessFilesTests(SynchronousTestCase):
    def rule(self, text: str) -> object:
        [site] = parse_configuration(f'[[site]]\nhosts = "a"\n{text}\n').sites
        return site.rules["access"]

    def complaint(self, text: str) -> str:
        error = self.assertRaises(ConfigurationError, self.rule, text)
        [problem] = error.problems
        return problem.text

    def test_links(self) -> None:
        for text in 'links = "/k"', 'links = "/k"\naccess = "link"', 'links="/k"\naccess=["link"]':
            self.assertEqual(self.rule(text), AccessFiles("/k", (b"",)))
        rule = self.rule('links = "/k"\npaths = ["/b", "/a/"]')
        self.assertEqual(rule, AccessFiles("/k", (b"/a", b"/b")))

    def test_public(self) -> None:
        self.assertIsNone(self.rule('access = "public"'))

    def test_what_does_not_go_together(self) -> None:
        self.assertEqual(self.complaint('access = "link"'), "access: 'link' wants links beside it")
        said = self.complaint('access = "public"\nlinks = "/k"')
        self.assertEqual(said, "links: access does not say 'link'")

    def test_read(self) -> None:
        """The keys, and what is revoked; equal files make equal rules."""
        path = key_file(self.mktemp(), "5f3a91c20b7d")
        text = f'[[site]]\nhosts = "a"\nlinks = "{path}"\n'
        [site] = sites_of(text)
        expected = SiteAccess(links=LinkKeys(SECRETS, frozenset(["5f3a91c20b7d"])), paths=(b"",))
        self.assertEqual(site.rules["access"], expected)
        self.assertEqual(sites_of(text), (site,))
        key_file(path)
        self.assertNotEqual(sites_of(text), (site,))

    def test_a_file_that_is_no_good(self) -> None:
        path = key_file(self.mktemp())
        os.chmod(path, 0o644)
        text = f'[[site]]\nhosts = "a"\n links = "{path}"\n'
        error = self.assertRaises(
            ConfigurationError, Sources({}, "f").merge, parse_configuration(text, "f")
        )
        expected = f"f:3:2: links: {path}: others than its owner may read or write it; chmod 600 it"
        self.assertEqual(error.lines(), [expected])
