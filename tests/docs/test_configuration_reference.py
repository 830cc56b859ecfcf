"""What is made of the table of settings for people and editors."""

from __future__ import annotations

import json
import re
from typing import Any

from jsonschema import Draft202012Validator
from twisted.trial.unittest import SynchronousTestCase

from subproxy.config.configuration import SECTIONS, parse_configuration
from subproxy.config.schema import configuration_schema
from subproxy.config.toml_text import EXAMPLES, commented_file, example
from subproxy.core.access.policy import parse_policy
from tests.rigs.paths import ROOT
from tools.configuration_reference import files

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

COMMENTED = re.compile(r"^# (\[\[?[a-z]+\]\]?|[a-z0-9-]+ = .*)$", re.M)


class MadeTests(SynchronousTestCase):
    def test_current(self) -> None:
        """The files of docs/reference are those that C{tools.configuration_reference} makes."""
        for path, text in files().items():
            self.assertEqual(path.read_text(), text, f"{path}: make it anew")

    def test_every_key(self) -> None:
        """Each has one row under its section, with its option, and whether a reload applies it."""
        page = (ROOT / "docs" / "reference" / "configuration.md").read_text()
        parts = dict(part.split("]\n", 1) for part in page.split("\n## [")[1:])
        for section, rows in SECTIONS.items():
            found = re.findall(r"^\| `([a-z0-9-]+)` \|(.*)\|$", parts[section], re.M)
            self.assertEqual([key for key, _ in found], list(rows))
            for key, row in found:
                setting = rows[key]
                self.assertIn(f"| `--{setting.option}` |", row)
                self.assertEqual("| at once |" in row, setting.reload, key)

    def test_types(self) -> None:
        """Those of the schema: a boolean is no number, and a number no string."""
        page = (ROOT / "docs" / "reference" / "configuration.md").read_text()
        parts = {part.partition("]")[0]: part for part in page.split("\n## [")[1:]}
        schema = configuration_schema()["properties"]
        for section in (*SECTIONS, "default"):
            types = dict(re.findall(r"^\| `([a-z0-9-]+)` \| ([^|]*) \|", parts[section], re.M))
            for key, each in schema[section]["properties"].items():
                kinds = repr([one.get("type") for one in each.get("anyOf", (each,))])
                self.assertEqual(types[key] == "`true` or `false`", "boolean" in kinds, key)
                if key != "listen":  # where a number is a port
                    self.assertEqual("whole number" in types[key], "integer" in kinds, key)


class SchemaTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.schema = configuration_schema()
        self.validator = Draft202012Validator(self.schema)

    def wrong(self, text: str) -> list[str]:
        return [error.message for error in self.validator.iter_errors(tomllib.loads(text))]

    def test_it_is_a_schema(self) -> None:
        Draft202012Validator.check_schema(self.schema)
        json.dumps(self.schema)

    def test_defaults(self) -> None:
        """Each is a value."""
        for section in self.schema["properties"].values():
            for key, each in section.get("properties", {}).items():
                if "default" in each:
                    found: Any = Draft202012Validator(each)
                    self.assertEqual(list(found.iter_errors(each["default"])), [], key)

    def test_files_of_the_documents(self) -> None:
        """They are good, by the program and by the schema."""
        seen = 0
        pages = ("reference/proxy.md", "reference/sites.md", "howto/configure.md", "howto/tls.md")
        for name in pages:
            page = (ROOT / "docs" / name).read_text()
            for text in re.findall(r"^```toml\n(.*?)^```$", page, re.M | re.S):
                parse_configuration(text)
                self.assertEqual(self.wrong(text), [])
                seen += 1
        self.assertEqual(seen, 9)

    def test_examples(self) -> None:
        """What the program takes, the schema takes; what is no key or of no type of it, not."""
        for section, rows in SECTIONS.items():
            for key, setting in rows.items():
                good = f"[{section}]\n{key} = {example(setting)}"
                parse_configuration(good)
                self.assertEqual(self.wrong(good), [])
                self.assertTrue(self.wrong(f"[{section}]\n{key} = {{}}"))
                self.assertTrue(self.wrong(f"[{section}]\n{key}s = 1"))
        policy = (ROOT / "examples" / "policy.toml").read_text()
        parse_policy(policy)
        self.assertEqual(self.wrong(policy), [])
        for bad in (
            "[site]",
            "[[site]]",
            "[nothing]",
            "[[guest]]\nidentity = 'a'",
            "[default]\nbuffer = '0 MiB'",
        ):
            self.assertTrue(self.wrong(bad), bad)


class CommentedFileTests(SynchronousTestCase):
    def test_as_it_is(self) -> None:
        """It sets nothing, and fits a screen."""
        text = commented_file()
        found = parse_configuration(text)
        self.assertEqual((found.values, found.policy), ({}, None))
        self.assertLessEqual(max(map(len, text.splitlines())), 98)

    def test_without_the_comments(self) -> None:
        """Every key is there, is good as it stands, and has its default."""
        text = COMMENTED.sub(r"\1", commented_file())
        found = parse_configuration(text)
        self.assertEqual(SchemaTests.wrong(_of_schema(), text), [])
        self.assertEqual(
            list(found.values),
            [each.option for rows in SECTIONS.values() for each in rows.values()],
        )
        for rows in SECTIONS.values():
            for each in rows.values():
                if each.default is not None:
                    self.assertEqual(found.values[each.option], each.parse(each.default))
        assert found.policy is not None
        self.assertEqual(len(found.policy.guests or ()), 1)
        quotas = configuration_schema()["properties"]["default"]["properties"]
        self.assertEqual(tomllib.loads(text)["default"].keys(), quotas.keys())

    def test_it_is_no_page(self) -> None:
        """Links are of the reference."""
        self.assertNotIn("](", commented_file())

    def test_no_example_too_many(self) -> None:
        """They are of what has no default."""
        rows = [each for rows in SECTIONS.values() for each in rows.values()]
        self.assertEqual(set(EXAMPLES), {each.name for each in rows if each.default is None})


def _of_schema() -> SchemaTests:
    found = SchemaTests("test_it_is_a_schema")
    found.setUp()
    return found
