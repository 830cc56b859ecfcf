"""One declaration, and a machine for each name that is asked for."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.declaration import Machine
from subproxy.machines.template import MachineTemplate, is_template

DEV = Machine(
    "dev-{1}",
    "process",
    ("*.dev.example", "*.dev.test"),
    command=("run", "{1}", "{listener}"),
    environment={"NAME": "a {1}"},
    disk="/disks/{1}.img",
    most=2,
)


def template(name: str = "dev-{1}", *hosts: str) -> MachineTemplate:
    return MachineTemplate(Machine(name, "process", hosts or ("*.dev.example",)))


class TemplateTests(SynchronousTestCase):
    def test_a_machine(self) -> None:
        """It has that name, all its hosts, and C{{1}} in what it runs by."""
        self.assertTrue(is_template(DEV))
        found = MachineTemplate(DEV).of_host("blog.dev.test")
        assert found is not None
        self.assertFalse(is_template(found))
        self.assertEqual(found.name, "dev-blog")
        self.assertEqual(found.hosts, ("blog.dev.example", "blog.dev.test"))
        self.assertEqual(found.command, ("run", "blog", "{listener}"))
        self.assertEqual((found.environment, found.disk), ({"NAME": "a blog"}, "/disks/blog.img"))
        self.assertEqual(found.most, 2)
        self.assertEqual(MachineTemplate(DEV).of_name("dev-blog"), found)

    def test_one_label(self) -> None:
        """Deeper names, and what is no name of a machine, are none."""
        for host in (
            *("a.b.dev.example", "dev.example", ".dev.example", "blog.example", "-a.dev.example"),
            *("a_b.dev.example", "a..dev.example", "../x.dev.example", "a-.dev.example"),
            *("*.dev.example", "{1}.dev.example", f"{'a' * 29}.dev.example", "A.dev.example"),
        ):
            self.assertIsNone(template().of_host(host), host)
        self.assertIsNotNone(template().of_host(f"{'a' * 28}.dev.example"))

    def test_names(self) -> None:
        for name in ("dev-", "dev", "x", "", "xdev-a", "dev-a.b", "dev-{1}"):
            self.assertIsNone(template().of_name(name), name)
        self.assertIsNotNone(template("{1}").of_name("a"))
        self.assertIsNone(template("a-{1}-a").of_name("a-a"))
        self.assertIsNotNone(template("a-{1}-a").of_name("a-b-a"))

    def test_meets(self) -> None:
        """Whether a name may be made by both."""
        for one, two, meets in (
            ("{1}", "dev-{1}", True),
            ("dev-{1}", "d{1}", True),
            ("dev-{1}", "x-{1}", False),
            ("{1}-a", "{1}-b", False),
            ("{1}-a", "dev-{1}", True),
        ):
            self.assertEqual(template(one).meets(template(two)), meets, (one, two))
            self.assertEqual(template(two).meets(template(one)), meets, (two, one))
