"""The configuration file."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.config.configuration import (
    SECTIONS,
    Configuration,
    parse_configuration,
    read_configuration,
)
from subproxy.config.configuration_error import ConfigurationError
from subproxy.config.listen import VsockListen
from subproxy.config.setting import Choice, Count, Flag, HttpLimit, Number, Octal, Processes
from subproxy.config.settings import TABLE

EVERY_TYPE = """\
[http]
listen = [8080, "haproxy:tcp:81"]
trust = "10.0.0.0/8"

[guests]
listen = "/run/vms/*.sock"
vsock-mode = "600"
balance = "round-robin"
hold = 1.5
queue = 7

[limits]
max-head = 9000
linger = 1

[workers]
no-fastpath = true

[log]
access-log = "none"

[default]
connections = 3

[[guest]]
identity = "cid:10"
hosts = "blog.example"
"""


class ConfigurationTests(SynchronousTestCase):
    def complaints(self, text: str) -> list[str]:
        error = self.assertRaises(ConfigurationError, parse_configuration, text, "f")
        self.assertEqual(str(error), "\n".join(error.lines()))
        return error.lines()

    def test_every_type(self) -> None:
        """Numbers, strings, truths and arrays; what repeats may be one alone."""
        found = parse_configuration(EVERY_TYPE)
        self.assertEqual(
            found.values,
            {
                "http": ["8080", "haproxy:tcp:81"],
                "trust": ["10.0.0.0/8"],
                "vsock": [VsockListen("glob", "/run/vms/*.sock")],
                "vsock-mode": 0o600,
                "balance": "round-robin",
                "hold": 1.5,
                "queue": 7,
                "max-head": 9000,
                "linger": 1.0,
                "no-fastpath": True,
                "access-log": "none",
            },
        )
        assert found.policy is not None
        self.assertEqual(found.policy.quotas("cid:10").connections, 3)
        self.assertTrue(found.policy.knows("cid:10"))
        self.assertFalse(found.policy.knows("cid:11"))

    def test_empty(self) -> None:
        """It sets nothing, and switches no policy on."""
        found = parse_configuration("")
        self.assertEqual((found.values, found.policy), ({}, None))

    def test_quotas_alone(self) -> None:
        """Who may claim what is said by C{[[guest]]} alone."""
        policy = parse_configuration('[default]\nroutes = 5\nupgrades = ["tcp"]\n').policy
        assert policy is not None
        self.assertIsNone(policy.guests)
        self.assertTrue(policy.knows("cid:1"))
        self.assertEqual(policy.quotas("cid:1").routes, 5)
        self.assertEqual(policy.upgrades("cid:1"), {b"tcp"})
        nobody = parse_configuration("guest = []\n").policy
        assert nobody is not None
        self.assertFalse(nobody.knows("cid:1"))

    def test_all_that_is_wrong(self) -> None:
        """At once, in the order of the file, with line and column and the nearest key."""
        self.assertEqual(
            self.complaints(
                "[guests]\n"
                "hodl = 3\n"
                "  hold = -1\n"
                "queue = 1.5\n"
                "\n"
                "[http]\n"
                'listen = [1, "x"]\n'
                "max-head = 3\n"
                "half-close = true\n"
                "\n"
                "[[guest]]\n"
                'identity = "cid:1"\n'
                'hots = "a"\n'
                "[[gest]]\n"
                "[site]\n"
                "[nothing]\n"
            ),
            [
                "f:2:1: unknown key 'hodl' in [guests]; did you mean 'hold'?",
                "f:3:3: hold = -1: a number from 0 to 86400 is needed",
                "f:4:1: queue = 1.5: a whole number is needed, without quotes",
                "f:7:1: listen = [1, 'x']: x: neither a port nor an endpoint such as "
                "tcp:8888:interface=127.0.0.1",
                "f:8:1: unknown key 'max-head' in [http]; there is 'max-head' in [limits]",
                "f:9:1: half-close = true: a string is needed, in quotes",
                "f:11:1: the guest has no hosts",
                "f:13:1: unknown key 'hots'; did you mean 'hosts'?",
                "f:14:1: unknown table 'gest'; did you mean 'guest'?",
                "f:15:1: sites must be tables: [[site]]",
                "f:16:1: unknown table 'nothing'; there are http, guests, admin, tls, log, "
                "cluster, limits, workers, default, guest, site, machine",
            ],
        )

    def test_places(self) -> None:
        """Keys of other ways to write a table have their places, too."""
        for text, said in (
            ("hold = 3", "f:1:1: unknown key 'hold' outside all tables; there is 'hold' in"),
            ("hodl = 3", "f:1:1: unknown key 'hodl' outside all tables; did you mean 'hold' in"),
            ("zzz = 3", "f:1:1: unknown key 'zzz' outside all tables"),
            ("\nguests.hold = -1", "f:2:1: hold = -1: "),
            ("\n'guests'.\"hold\" = -1", "f:2:1: hold = -1: "),
            ("\nguests = {hold = -1}", "f:2:1: hold = -1: "),
            ("\nguests = 3", "f:2:1: guests must be a table: [guests]"),
            ("\n[[guests]]", "f:2:1: guests must be a table: [guests]"),
            ("[admin]\nadmin-host = 'x'", "f:2:1: unknown key 'admin-host' in [admin]; "),
            ('[guests]\nlisten = [\n"hold=3"]\n hold=-1', "f:4:2: hold = -1: "),
            ("[guest]\n", "f:1:1: guests must be tables: [[guest]]"),
        ):
            self.assertTrue(self.complaints(text)[0].startswith(said), self.complaints(text))

    def test_no_toml(self) -> None:
        """What is wrong with it as TOML has its place; what is wrong with it as text, too."""
        self.assertEqual(self.complaints("\n[http]\nlisten = = 3\n"), ["f:3:10: Invalid value"])
        self.assertEqual(len(self.complaints("a = " + "9" * 5000)), 1)
        self.assertEqual(len(self.complaints("a = '")), 1)
        path = self.mktemp()
        Path(path).write_bytes(b"[http]\na = '\xff'")
        error = self.assertRaises(ConfigurationError, read_configuration, path)
        self.assertEqual(error.lines(), [f"{path}:2:6: not UTF-8: invalid start byte"])
        self.assertRaises(OSError, read_configuration, "/nonexistent/x")

    def test_printable(self) -> None:
        """What a file holds forges no line and steers no terminal."""
        for text in ('[http]\nlisten = ["\\u001b[2J\\nforged"]', '"\\u001b\\n" = 1'):
            (line,) = self.complaints(text)
            self.assertTrue(line.isascii() and line.isprintable(), line)

    def test_a_long_value_is_cut(self) -> None:
        self.assertEqual(
            self.complaints("[guests]\nbalance = '" + "x" * 999 + "'"),
            [
                "f:2:1: balance = '" + "x" * 56 + "...: "
                "one of p2c-ewma, round-robin, least-connections"
            ],
        )


TEXTS = {
    "NETWORK": "unix",
    "URL": "https://a/dir",
    "NAME=HOST:PORT": "a=b:1",
    "HOST:PORT": "b:1",
    "etcd:URL": "etcd:http://a:1",
    "PREFIX": "/x/",
}
"""Good values of what not every text is one of, by what C{--help} calls it."""


class EveryKeyTests(SynchronousTestCase):
    """Each row of the table, in a file."""

    def of(self, section: str, key: str, value: str) -> Configuration:
        return parse_configuration(f"[{section}]\n{key} = {value}\n", "f")

    def test_types(self) -> None:
        """A value of its own type is read as the command line reads it; others are refused."""
        for section, rows in SECTIONS.items():
            for key, row in rows.items():
                if isinstance(row.kind, (Number, Count, HttpLimit)):
                    good, text, bad = (
                        row.default or "0.5",
                        row.default or "0.5",
                        ("'1'", "true", "[1]"),
                    )
                elif isinstance(row.kind, Flag):
                    good, text, bad = "true", "true", ("'true'", "1")
                elif isinstance(row.kind, Octal):
                    good, text, bad = "'640'", "640", ("640", "0o640", "'999'", "true")
                elif isinstance(row.kind, Processes):
                    good, text, bad = "4", "4", ("'4'", "0", "65", "true", "'all'")
                elif isinstance(row.kind, Choice):
                    text = row.kind.words[-1]
                    good, bad = f"'{text}'", ("1", "'none of them'", "['x']")
                else:
                    text = TEXTS.get(row.word, "unix:/x")
                    good, bad = f"'{text}'", ("1.5", "true", "{a = 1}")
                found = self.of(section, key, good).values
                value = row.parse(text)
                self.assertEqual(found, {row.option: [value] if row.repeats else value})
                for wrong in bad:
                    error = self.assertRaises(ConfigurationError, self.of, section, key, wrong)
                    (problem,) = error.problems
                    self.assertEqual(problem[:2], (2, 1))
                    self.assertTrue(problem.text.startswith(f"{key} = "), problem.text)

    def test_ranges(self) -> None:
        """Both ends are values, and what is beyond is refused as on the command line."""
        seen = 0
        for each in TABLE:
            if not isinstance(each.kind, (Number, Count)):
                continue
            seen += 1
            for end in (each.kind.low, each.kind.high):
                found = self.of(each.section, each.key, repr(end))
                self.assertEqual(found.values, {each.option: end})
            for beyond in (each.kind.low - 1, each.kind.high + 1):
                error = self.assertRaises(
                    ConfigurationError, self.of, each.section, each.key, repr(beyond)
                )
                said = str(self.assertRaises(ValueError, each.parse, repr(beyond)))
                reason = said.partition(": ")[2]
                self.assertEqual(error.problems[0].text, f"{each.key} = {beyond!r}: {reason}")
        self.assertGreater(seen, 8)
        for each in TABLE:
            if isinstance(each.kind, HttpLimit):
                self.assertRaises(ConfigurationError, self.of, each.section, each.key, "-1")
                self.assertRaises(ConfigurationError, self.of, each.section, each.key, str(2**63))
