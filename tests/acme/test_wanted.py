"""For which names certificates are ordered."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.acme.wanted import is_public, wanted_names
from subproxy.config.configuration import parse_configuration
from subproxy.core.access.policy import Policy, parse_policy
from subproxy.core.sites.site_table import SiteTable
from tests.rigs.world import World

POLICY = """
[[guest]]
identity = "vm:1"
hosts = ["blog.example", "*.wild.example", "idle.example", "192.0.2.1", "localhost"]
[[guest]]
identity = "vm:2"
hosts = ["blog.example"]
paths = ["/api"]
"""


class WantedTests(SynchronousTestCase):
    def wanted(
        self,
        policy: Policy,
        *hosts: bytes,
        wildcards: bool = False,
        sites: SiteTable | None = None,
    ) -> list[str]:
        world = World()
        world.registrar.policy = policy
        guest = world.guest("1")
        guest.hello()
        for number, host in enumerate(hosts, 1):
            guest.register(host, reference=number)
        return list(wanted_names(policy, world.registry.pools(), wildcards, sites))

    def test_named_and_served(self) -> None:
        policy = parse_policy(POLICY)
        for hosts, names in (
            ((), []),
            ((b"blog\\.example",), ["blog.example"]),
            # Each once, and neither an address nor what has no dot.
            ((b"BLOG\\.example", b"192\\.0\\.2\\.1", b"localhost"), ["blog.example"]),
            # What a guest makes up, allowed or not.
            ((b"a\\.wild\\.example", b"evil\\.example"), []),
        ):
            self.assertEqual(self.wanted(policy, *hosts), names)

    def test_wildcards(self) -> None:
        policy = parse_policy(POLICY)
        for hosts, names in (
            ((b"blog\\.example",), ["blog.example"]),
            ((b"a\\.wild\\.example", b"b\\.c\\.wild\\.example"), ["*.wild.example"]),
            # Guests serve all that is below it at once, too, as the policy has it.
            ((rb".*\.wild\.example",), ["*.wild.example"]),
            ((rb"[^.]+\.a\.wild\.example",), ["*.wild.example"]),
        ):
            self.assertEqual(self.wanted(policy, *hosts, wildcards=True), names)
        self.assertEqual(self.wanted(policy, rb".*\.wild\.example"), [])

    def test_sites(self) -> None:
        """A site may say that nothing is ordered for its hosts; a narrower one, that it is."""
        hosts = (b"blog\\.example", b"a\\.wild\\.example")
        for said, names in (
            ('hosts = "blog.example"\nacme = false', ["*.wild.example"]),
            ('hosts = "*.wild.example"\nacme = false', ["blog.example"]),
            # What is below it is not the wildcard.
            ('hosts = "a.wild.example"\nacme = false', ["blog.example", "*.wild.example"]),
            ('hosts = "*"\nacme = false', []),
            (
                'hosts = "*"\nacme = false\n[[site]]\nhosts = "blog.example"\nacme = true',
                ["blog.example"],
            ),
            ('hosts = "blog.example"\nmax-body = 1', ["blog.example", "*.wild.example"]),
        ):
            sites = SiteTable(parse_configuration(f"[[site]]\n{said}\n").sites)
            found = self.wanted(parse_policy(POLICY), *hosts, wildcards=True, sites=sites)
            self.assertEqual(found, names, said)

    def test_without_guests_in_the_policy(self) -> None:
        self.assertEqual(self.wanted(Policy(), b"blog\\.example", wildcards=True), [])

    def test_who_has_left(self) -> None:
        world = World()
        policy = world.registrar.policy = parse_policy(POLICY)
        guest = world.serving("1", b"blog\\.example")
        self.assertEqual(
            list(wanted_names(policy, world.registry.pools(), False)), ["blog.example"]
        )
        guest.lose()
        self.assertEqual(list(wanted_names(policy, world.registry.pools(), False)), [])

    def test_is_public(self) -> None:
        for name, public in (
            (b"a.example", True),
            (b"*.a.example", True),
            (b"xn--4ca.example", True),
            (b"localhost", False),
            (b"*.example", False),
            (b"192.0.2.1", False),
            (b"[2001:db8::1]", False),
            (b"", False),
        ):
            self.assertIs(is_public(name), public, name)
