"""What C{subproxy check} says of sites."""

from __future__ import annotations

from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.cli.main import main
from subproxy.config.configuration import parse_configuration

SITES = """\
[[guest]]
identity = "cid:1"
hosts = ["a.example", "*.b.example"]

[[site]]
hosts = "*.b.example"
networks = "10.0.0.0/8"
rate = "5/m"

[[site]]
hosts = ["a.example", "c.example"]
max-body = "1 MiB"

[[site]]
hosts = "x.b.example"
paths = "/x"
rate = 0
hold = 60
response-headers = { set = { "X-A" = "b" } }

[[site]]
hosts = "old.example"
redirect = "https://a.example{uri}"
"""


class CheckSitesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = self.mktemp()

    def check(self, text: str, *options: str) -> tuple[int, str, str]:
        Path(self.path).write_text(text)
        with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
            status = main(["check", *options, self.path])
        return status, out.getvalue(), err.getvalue()

    def test_what_leaves_the_compiled_path(self) -> None:
        """Also by what a wider site says; and hosts that no guest may claim are told."""
        path = self.path
        self.assertEqual(
            self.check(SITES),
            (
                0,
                f"{path}:5: note: *.b.example/ is not on the compiled path, for networks, rate\n"
                f"{path}:14: note: x.b.example/x is not on the compiled path, for networks, "
                "response-headers\n"
                f"{path}:21: note: old.example/ is not on the compiled path, for redirect\n"
                f"{path}: good, 0 settings, 4 sites, 1 guest\n",
                f"{path}:11: warning: no [[guest]] may claim 'c.example'\n",
            ),
        )

    def test_many(self) -> None:
        """The first are told one by one."""
        text = "guest = []\n" + "".join(
            f'[[site]]\nhosts = "h{number}"\nnetworks = "unix"\n' for number in range(25)
        )
        status, out, err = self.check(text)
        self.assertEqual((status, len(out.splitlines()), len(err.splitlines())), (0, 22, 21))
        self.assertIn(f"{self.path}: note: nor are the sites of 5 more tables\n", out)
        self.assertIn(f"{self.path}: warning: nor 5 more hosts of sites\n", err)

    def test_wrong(self) -> None:
        self.assertEqual(
            self.check('[[site]]\n hosts = "a"\n auth = "b"\n max-bdy = 1\n'),
            (
                1,
                "",
                f"{self.path}:3:2: auth = 'b': a URL such as http://127.0.0.1:4181/auth is needed\n"
                f"{self.path}:4:2: unknown key 'max-bdy' in [[site]]; did you mean 'max-body'?\n",
            ),
        )

    def test_print_access(self) -> None:
        """Who is let in is said by one site as a whole: nothing of a wider one is added."""
        text = (
            '[[site]]\nhosts = "a"\nauth = "http://b/"\nauth-cache = 5\n'
            '[[site]]\nhosts = "a"\npaths = "/x"\naccess = "public"\n'
            '[[site]]\nhosts = "a"\npaths = "/y"\nhold = 5\n'
        )
        status, out, _ = self.check(text, "--print")
        self.assertEqual((status, out.count("auth-cache = 5"), out.count("auth = ")), (0, 2, 2))
        parse_configuration(out)

    def test_print(self) -> None:
        """What each says and has of wider ones, with its line; and it is such a file again."""
        status, out, _ = self.check(SITES, "--print")
        self.assertEqual(status, 0)
        path = self.path
        for line in (
            rf"\[\[site\]\] +# {path}:5",
            rf'hosts = \["a.example", "c.example"\] +# {path}:11',
            rf'max-body = "1 MiB" +# {path}:12',
            rf'response-headers = {{ set = {{ X-A = "b" }} }} +# {path}:19',
            rf'networks = "10.0.0.0/8" +# {path}:7, of \*.b.example/',
        ):
            self.assertRegex(out, rf"(?m)^{line}$")
        before, after = parse_configuration(SITES).sites, parse_configuration(out).sites
        self.assertEqual([each.claims for each in before], [each.claims for each in after])
        for site, printed in zip(before, after, strict=True):
            self.assertEqual({**printed.rules, **site.rules}, printed.rules)
        self.assertEqual(list(after[2].rules), ["networks", "hold", "rate", "response_headers"])
