"""What APP names."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from guest.image.application import ApplicationError, find

ONE = "import guest\nclass Hello(guest.SubscriberProtocol):\n    pass\nclass Other:\n    pass\n"


class FindTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        (self.folder / "package" / "__pycache__").mkdir(parents=True)
        (self.folder / "hello.py").write_text(ONE)
        (self.folder / "two.py").write_text(ONE.replace("Other", "More(SubscriberProtocol)"))
        for name in ("__init__.py", "web.py", "page.html", "__pycache__/x.pyc", ".hidden"):
            (self.folder / "package" / name).write_text("")

    def test_a_file_with_one_class(self) -> None:
        found = find(f"{self.folder}/hello.py")
        self.assertEqual((found.spec, found.module), ("hello:Hello", "hello"))
        self.assertEqual([str(p.relative_to(found.root)) for p in found.files], ["hello.py"])

    def test_a_file_with_several_classes_must_say_which(self) -> None:
        with self.assertRaisesRegex(ApplicationError, "several: Hello, More"):
            find(f"{self.folder}/two.py")
        self.assertEqual(find(f"{self.folder}/two.py:More").spec, "two:More")

    def test_a_folder(self) -> None:
        found = find(f"{self.folder}/package:web:App")
        self.assertEqual(found.spec, "web:App")
        names = [str(p.relative_to(found.root)) for p in found.files]
        self.assertEqual(names, ["__init__.py", "page.html", "web.py"])

    def test_a_module_and_a_package_as_python_finds_them(self) -> None:
        found = find("hello:Hello", self.folder)
        self.assertEqual([p.name for p in found.files], ["hello.py"])
        found = find("package.web:App", self.folder)
        names = [str(p.relative_to(found.root)) for p in found.files]
        self.assertEqual(names, [f"package/{n}" for n in ("__init__.py", "page.html", "web.py")])

    def test_refusals(self) -> None:
        (self.folder / "broken.py").write_text("class (")
        for app in (
            "hello",
            "a b:C",
            "no_such_module_anywhere:App",
            f"{self.folder}/none.py",
            f"{self.folder}/broken.py",
            f"{self.folder}/package",
        ):
            with self.assertRaises(ApplicationError, msg=app):
                find(app, self.folder)
