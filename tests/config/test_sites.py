"""Tests of subproxy.config.sites."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.config.client_ca import ClientCaFiles
from subproxy.config.configuration import parse_configuration
from subproxy.config.configuration_error import ConfigurationError
from subproxy.core.access.toml_lines import TomlLines
from subproxy.core.sites.client_limits import ConnectionLimit, RateLimit


class SitesTests(SynchronousTestCase):
    def complaints(self, text: str) -> list[str]:
        return self.assertRaises(ConfigurationError, parse_configuration, text, "f").lines()

    def test_claims(self) -> None:
        """Every host with every path, each once, in order."""
        [site] = parse_configuration(
            '[[site]]\nhosts = ["A.example", "*.b", "a.example"]\npaths = ["/", "/x"]\n'
        ).sites
        self.assertEqual(
            [str(each) for each in site.claims], ["a.example/", "a.example/x", "*.b/", "*.b/x"]
        )
        self.assertEqual(parse_configuration("site = []").sites, ())

    def test_client_ca(self) -> None:
        """Files and whether one must be shown are one rule, of whole hosts."""
        one, other, third = parse_configuration(
            '[[site]]\nhosts = "a"\nclient-ca = "x.pem"\n'
            '[[site]]\nhosts = "b"\nclient-ca = ["x.pem", "y.pem"]\nclient-ca-optional = true\n'
            '[[site]]\nhosts = "c"\nclient-ca = false\n'
        ).sites
        self.assertEqual(one.rules["client_ca"], ClientCaFiles(("x.pem",), False))
        self.assertEqual(other.rules["client_ca"], ClientCaFiles(("x.pem", "y.pem"), True))
        self.assertIsNone(third.rules["client_ca"])
        self.assertEqual(
            self.complaints('[[site]]\nhosts = "a"\npaths = ["/", "/x"]\nclient-ca = "x.pem"\n'),
            ["f:4:1: client-ca is a rule of whole hosts: the site has no paths"],
        )
        self.assertEqual(
            self.complaints('[[site]]\nhosts = "a"\npaths = "/x"\nacme = false\n'),
            ["f:4:1: acme is a rule of whole hosts: the site has no paths"],
        )

    def test_hsts(self) -> None:
        for value, said in (
            ("31536000", b"max-age=31536000"),
            ("0", b"max-age=0"),
            ("{ max-age = 5, include-subdomains = true }", b"max-age=5; includeSubDomains"),
            (
                "{ max-age = 31536000, include-subdomains = true, preload = true }",
                b"max-age=31536000; includeSubDomains; preload",
            ),
            ("false", None),
        ):
            [site] = parse_configuration(f'[[site]]\nhosts = "a"\nhsts = {value}\n').sites
            self.assertEqual(site.rules["hsts"], said)

    def test_whose_limits_they_are(self) -> None:
        """One site counts its clients together, and apart from other sites."""
        one, other = parse_configuration(
            '[[site]]\nhosts = ["a", "b"]\nrate = "90/m"\nconnections = 3\n'
            '[[site]]\nhosts = "b"\npaths = "/x"\nrate = 7\nburst = 2\n'
        ).sites
        self.assertEqual(one.rules["rate"], RateLimit("a/", 1.5, 2))
        self.assertEqual(one.rules["connections"], ConnectionLimit("a/", 3))
        self.assertEqual(other.rules["rate"], RateLimit("b/x", 7.0, 2))

    def test_all_that_is_wrong(self) -> None:
        """At once, each at its line and column."""
        self.assertEqual(
            self.complaints(
                "[[site]]\n"
                'paths = "/"\n'
                "[[site]]\n"
                'hosts = ["a", "b:1", "c"]\n'
                '  paths = ["/x", "y"]\n'
                "burst = 3\n"
                "redirect-status = 308\n"
                "[[site]]\n"
                'hosts = "d"\n'
                "max-bdy = 3\n"
                "[site.response-headers]\n"
                'set = { Connection = "close" }\n'
                "max-body = 7\n"
                "[[site]]\n"
                'hosts = "e"\n'
                "tls = true\n"
            ),
            [
                "f:1:1: the site has no hosts",
                "f:4:1: host 'b:1': leave the port out",
                "f:5:3: path 'y' does not begin with '/'",
                "f:6:1: burst is said beside rate, which is not here",
                "f:7:1: redirect-status is said beside redirect, which is not here",
                "f:10:1: unknown key 'max-bdy' in [[site]]; did you mean 'max-body'?",
                "f:11:1: response-headers = {'set': {'Connection': 'close'}, 'max-body': 7}: "
                "unknown key 'max-body'; there are set, add, remove",
                "f:16:1: unknown key 'tls' in [[site]]",
            ],
        )

    def test_positions_are_looked_for_after_an_error_alone(self) -> None:
        """Of thousands of sites that takes as long as all else."""
        made: list[TomlLines] = []
        scan = TomlLines.__init__

        def counting(lines: TomlLines, text: str) -> None:
            made.append(lines)
            scan(lines, text)

        self.patch(TomlLines, "__init__", counting)
        text = (
            '[guests]\nhold = 3\n[default]\nroutes = 3\n[[guest]]\nidentity = ["a", "a*"]\n'
            'hosts = ["a", "*.b"]\n[[site]]\nhosts = ["a", "b"]\nmax-body = 3\n'
            '[[site]]\nhosts = "*"\nrate = 3\nburst = 4\n'
        )
        parse_configuration(text)
        self.assertEqual(made, [])
        self.complaints(f"{text}max-bdy = 3\n")
        self.assertNotEqual(made, [])

    def test_one_host_and_path_has_one_site(self) -> None:
        """Also one that is written another way."""
        self.assertEqual(
            self.complaints(
                '[[site]]\nhosts = ["a", "b"]\n[[site]]\nhosts = ["c", "B"]\npaths = ["/x", "/"]\n'
                '[[site]]\nhosts = "b"\npaths = "/y"\n'
            ),
            ["f:4:1: b/ has a site at line 2 already"],
        )

    def test_no_tables(self) -> None:
        for text in "site = 1", "[site]\na = 1", "site = [1]", "site = [[]]":
            self.assertEqual(self.complaints(text), ["f:1:1: sites must be tables: [[site]]"])

    def test_where_a_redirect_leads(self) -> None:
        self.assertEqual(
            self.complaints('[[site]]\nhosts = "a"\nredirect = "https://b{ur}"\n'),
            ["f:3:1: redirect = 'https://b{ur}': unknown {ur}; did you mean {uri}?"],
        )
