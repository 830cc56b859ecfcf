"""What setup.py does beside what setuptools do."""

from pathlib import Path
from typing import Any

from setuptools import Distribution, Extension
from twisted.trial.unittest import SynchronousTestCase

from tests.rigs.paths import ROOT


class BuildCacheTests(SynchronousTestCase):
    def test_modules_of_the_same_name(self) -> None:
        """Each package gets its own out of the cache."""
        text = (ROOT / "setup.py").read_text(encoding="utf-8").partition("\nsetup(")[0]
        names: dict[str, Any] = {}
        exec(compile(text, "setup.py", "exec"), names)
        folder = Path(self.mktemp())

        def build(place: str) -> Any:
            command = names["BuildExtensions"](Distribution())
            command.build_lib = str(folder / place)
            command.extensions = [Extension(name, []) for name in ("one._same", "two._same")]
            return command

        built = build("built")
        for extension in built.extensions:
            path = Path(built.get_ext_fullpath(extension.name))
            path.parent.mkdir(parents=True)
            path.write_text(extension.name)
        built._keep(folder / "cache" / "hash")
        taken = build("taken")
        self.assertTrue(taken._take(folder / "cache" / "hash"))
        for extension in taken.extensions:
            self.assertEqual(
                Path(taken.get_ext_fullpath(extension.name)).read_text(), extension.name
            )
