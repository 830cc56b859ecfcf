"""What C{[[machine]]} may say, and what comes of it."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path

from jsonschema import Draft202012Validator
from twisted.trial.unittest import SynchronousTestCase

from subproxy.config.configuration import Configuration, parse_configuration
from subproxy.config.configuration_error import ConfigurationError
from subproxy.config.machine_keys import MACHINE_KEYS
from subproxy.config.schema import configuration_schema
from subproxy.config.sources import Sources
from subproxy.core.access.policy import PolicyError
from subproxy.core.access.toml_lines import load_toml
from subproxy.core.routing.route import Route
from subproxy.machines.declaration import Machine, machine_of, runs_by
from subproxy.machines.places import identity_of

PLAIN = 'name = "blog"\nvmm = "qemu"\nkernel = "k"\nhosts = "blog.example"\n'
FOLDER = "/run/m"


def parse(text: str) -> Configuration:
    return parse_configuration(text, "/etc/subproxy/file.toml")


class MachineTests(SynchronousTestCase):
    def machine(self, more: str = "", plain: str = PLAIN) -> Machine:
        [found] = parse(f"[[machine]]\n{plain}{more}").machines
        return found

    def problems(self, more: str, plain: str = PLAIN) -> list[str]:
        with self.assertRaises(ConfigurationError) as caught:
            parse(f"[[machine]]\n{plain}{more}")
        return [f"{each.line}: {each.text}" for each in caught.exception.problems]

    def test_least(self) -> None:
        """The rest has defaults; paths begin at the folder of the file."""
        self.assertEqual(
            self.machine(),
            Machine("blog", "qemu", ("blog.example",), kernel="/etc/subproxy/k"),
        )

    def test_all(self) -> None:
        """Each key is a field."""
        machine = self.machine(
            'paths = ["/a", "/b"]\ninitramfs = "../i"\ndisk = "/d"\ndisk-mode = "own"\n'
            'memory = "64 MiB"\ncpus = 2\nacceleration = "tcg"\nkernel-arguments = ["quiet"]\n'
            'arguments = ["-v"]\nenvironment = { A = "b" }\nuser = "vm"\nidle = "90s"\nmost = 3\n'
            'scale-after = "250ms"\nstart-timeout = "1m"\nstop-timeout = 0\nconsole = 8192\n'
        )
        self.assertEqual((machine.initramfs, machine.disk), ("/etc/i", "/d"))
        self.assertEqual((machine.memory, machine.console), (64 << 20, 8192))
        self.assertEqual((machine.idle, machine.scale_after), (90.0, 0.25))
        self.assertEqual((machine.start_timeout, machine.stop_timeout), (60.0, 0.0))
        self.assertEqual(machine.environment, {"A": "b"})
        plain = Machine("", "", ())
        left = [
            each.name
            for each in fields(Machine)
            if getattr(machine, each.name) == getattr(plain, each.name)
        ]
        self.assertEqual(left, ["command", "snapshot"])

    def test_process(self) -> None:
        """It has a command, and nothing of a machine."""
        plain = 'name = "a"\nvmm = "process"\nhosts = "a.example"\n'
        machine = self.machine('command = ["x", "{listener}"]\nidle = false\n', plain)
        self.assertEqual(machine.command, ("x", "{listener}"))
        self.assertIsNone(machine.idle)
        self.assertEqual(self.problems("", plain), ["1: the machine has no command"])
        self.assertEqual(
            self.problems('command = ["x"]\nkernel = "k"\n', plain),
            ["6: kernel is not of a machine whose vmm is 'process'"],
        )

    def test_needed(self) -> None:
        """What there is no default for; the whole table is looked at."""
        self.assertEqual(
            self.problems("", ""),
            [
                f"1: the machine has no {each.name}"
                for each in sorted(MACHINE_KEYS, key=lambda each: each.name)
                if each.default == "needed"
            ],
        )

    def test_values(self) -> None:
        """Each is told with what it may be."""
        for said, reason in (
            ('memory = "1M"', "16777216 to 1099511627776 bytes"),
            ('memory = "much"', "bytes or a size"),
            ("memory = true", "bytes or a size"),
            ("console = 1", "4096 to"),
            ("cpus = 0", "from 1 to 64"),
            ('idle = "soon"', "seconds from 0"),
            ("idle = true", "seconds from 0"),
            ("start-timeout = 0", "seconds from 0.1"),
            ('kernel-arguments = "quiet"', "a list of strings"),
            ("environment = { A = 1 }", "a table of strings"),
            ('environment = { "A=B" = "1" }', "no name of a variable"),
            ('disk-mode = "mine"', "one of read-only, own"),
            ('user = ""', "a string is needed"),
        ):
            [problem] = self.problems(f"{said}\n")
            self.assertIn(reason, problem)
            self.assertTrue(problem.startswith("6: "), problem)
        for name in ("", "Blog", "-a", "a" * 33, "a/b", "."):
            [problem] = self.problems("", PLAIN.replace("blog", name, 1))
            self.assertIn("small letters" if name else "a string is needed", problem)
        [problem] = self.problems(
            "command = []\n", PLAIN.replace("qemu", "process").replace('kernel = "k"\n', "")
        )
        self.assertIn("a program and its arguments", problem)

    def test_keys(self) -> None:
        """One that is unknown, or nearly known."""
        self.assertIn("did you mean 'memory'?", self.problems("memry = 1\n")[0])
        self.assertIn(
            "machines must be tables",
            str(self.assertRaises(ConfigurationError, parse, "machine = 3")),
        )

    def test_claims(self) -> None:
        """As in a policy; two machines can't have the same."""
        wild = PLAIN.replace("blog.example", "*blog")
        self.assertIn("may only stand at the beginning", self.problems("", wild)[0])
        self.assertIn("does not begin", self.problems('paths = "a"\n')[0])
        twice = f"[[machine]]\n{PLAIN}[[machine]]\n{PLAIN}"
        with self.assertRaises(ConfigurationError) as caught:
            parse(twice)
        self.assertEqual(
            [(each.line, each.text.split(";")[0]) for each in caught.exception.problems],
            [
                (7, "there is a machine 'blog' already"),
                (10, "blog.example/ is claimed twice"),
            ],
        )

    def test_written_and_read(self) -> None:
        """It survives JSON, for the parent's next program."""
        machine = self.machine('environment = { A = "b" }\nkernel-arguments = ["a"]\n')
        self.assertEqual(machine_of(json.loads(json.dumps(asdict(machine)))), machine)

    def test_runs_by(self) -> None:
        """What is only for its manager makes no other machine of it."""
        self.assertEqual(
            runs_by(self.machine('idle = 1\nmost = 2\nstart-timeout = 1\npaths = "/x"\n')),
            runs_by(self.machine()),
        )
        self.assertNotEqual(runs_by(self.machine("cpus = 2\n")), runs_by(self.machine()))

    def test_schema(self) -> None:
        """The examples of all keys are good by the schema; nonsense is not."""
        validator = Draft202012Validator(configuration_schema())
        for each in MACHINE_KEYS:
            table = load_toml(f"{PLAIN if each.name not in PLAIN else ''}x = {each.example}")
            value = table.pop("x")
            row = {"name": "a", "vmm": "qemu", "hosts": "a", **table, each.name: value}
            self.assertEqual(list(validator.iter_errors({"machine": [row]})), [], each.name)
            each.read(value)
        self.assertTrue(list(validator.iter_errors({"machine": [{"name": "a"}]})))


class EffectiveTests(SynchronousTestCase):
    def write(self, text: str) -> Sources:
        path = Path(self.mktemp())
        path.write_text(text)
        return Sources({"machines-folder": FOLDER}, str(path))

    def test_policy(self) -> None:
        """A machine may claim its hosts and no more; nobody else may, nor anything."""
        text = f'[[machine]]\n{PLAIN}most = 2\n[[guest]]\nidentity = "*"\nhosts = "*"\n'
        found = self.write(text).read()
        self.assertTrue(found.has_policy)
        policy = found.read_policy()
        assert policy is not None
        blog, other = Route(rb"blog\.example"), Route(rb"other\.example")
        for index in range(2):
            identity = identity_of(FOLDER, "blog", index)
            self.assertIsNone(policy.allows(identity, blog))
            self.assertIsNotNone(policy.allows(identity, other))
        for identity in ("cid:3", identity_of(FOLDER, "blog", 2)):
            self.assertIn("belongs to another", policy.allows(identity, blog) or "")
            self.assertIsNone(policy.allows(identity, other))
        alone = self.write(f"[[machine]]\n{PLAIN}").read().read_policy()
        assert alone is not None
        self.assertFalse(alone.knows("cid:3"))

    def test_template(self) -> None:
        """Each machine of a template may claim its own host; names stay apart."""
        plain = PLAIN.replace('"blog"', '"dev-{1}"').replace('"blog.example"', '"*.dev.example"')
        policy = self.write(f"[[machine]]\n{plain}").read().read_policy()
        assert policy is not None
        mine, other = Route(rb"a\.dev\.example"), Route(rb"b\.dev\.example")
        identity = identity_of(FOLDER, "dev-a", 0)
        self.assertIsNone(policy.allows(identity, mine))
        self.assertIn("may claim a.dev.example", str(policy.allows(identity, other)))
        for stranger in (identity_of(FOLDER, "dev-a", 9), identity_of(FOLDER, "a", 0), "cid:3"):
            self.assertIsNotNone(policy.allows(stranger, mine))
        fixed = f"[[machine]]\n{PLAIN.replace('blog', 'dev-x')}"
        short = plain.replace("dev-{1}", "{1}").replace("*.dev", "*.x")
        for text, reason in (
            (f"[[machine]]\n{plain}{fixed}", "has a name that it could make"),
            (f"[[machine]]\n{plain}[[machine]]\n{short}", "makes, too"),
            (f"[[machine]]\n{plain.replace('*.dev.example', 'dev.example')}", "such as"),
            (f"[[machine]]\n{plain.replace('{1}', '{1}{1}')}", "small letters"),
        ):
            with self.assertRaises(ConfigurationError) as caught:
                self.write(text).read()
            self.assertIn(reason, str(caught.exception))

    def test_conflicts(self) -> None:
        """With a guest of the same file, with one of another, with a path that is too long."""
        text = f'[[machine]]\n{PLAIN}[[guest]]\nidentity = "cid:3"\nhosts = "blog.example"\n'
        with self.assertRaises(ConfigurationError) as caught:
            self.write(text).read()
        self.assertIn("of a [[guest]]", str(caught.exception))
        policy = Path(self.mktemp())
        policy.write_text('[[guest]]\nidentity = "cid:3"\nhosts = "blog.example"\n')
        effective = self.write(f'[guests]\npolicy = "{policy}"\n[[machine]]\n{PLAIN}').read()
        self.assertRaises(PolicyError, effective.read_policy)
        long = self.write(f'[workers]\nmachines-folder = "/{"a" * 90}"\n[[machine]]\n{PLAIN}')
        with self.assertRaises(ConfigurationError) as caught:
            Sources({}, long.path).read()
        self.assertIn("longer than 107 bytes", str(caught.exception))
