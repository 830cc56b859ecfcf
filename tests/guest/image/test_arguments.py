"""Kernel arguments: what is written is what is read, and what can't be meant is refused."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from guest.image.arguments import (
    COMMAND_LINE_LIMIT,
    NAMES,
    PROGRAM_NAMES,
    REPEATABLE,
    ArgumentError,
    check_length,
    merge,
    parse,
    render,
    routes,
)
from tests.rigs.paths import ROOT

VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        name: st.lists(VALUES, min_size=1, max_size=3 if name in REPEATABLE else 1)
        for name in NAMES
    },
)


class ParseTests(SynchronousTestCase):
    @given(SETTINGS)
    def test_reads_what_was_rendered(self, settings: dict[str, list[str]]) -> None:
        self.assertEqual(parse(f"quiet {render(settings)} console=ttyS0"), settings)

    @given(SETTINGS)
    def test_renders_words_that_the_kernel_leaves_alone(self, settings) -> None:
        text = render(settings)
        self.assertTrue(all("!" <= c <= "~" or c == " " for c in text), text)
        self.assertNotIn('"', text)

    @given(st.text())
    def test_any_line_is_read_or_refused(self, line: str) -> None:
        for prefix in ("", "subproxy.host="):
            try:
                parse(prefix + line)
            except ArgumentError:
                continue

    def test_a_pattern_needs_no_quoting(self) -> None:
        pattern = r"^(a|b)\.example\.com$"
        self.assertEqual(parse(f"subproxy.host={pattern}"), {"host": [pattern]})
        self.assertEqual(render({"host": [pattern]}), f"subproxy.host={pattern}")

    def test_percent_names_a_byte(self) -> None:
        self.assertEqual(parse("subproxy.arg=a%20b%25%22%C3%BC"), {"arg": ['a b%"ü']})

    def test_a_name_may_repeat_in_order(self) -> None:
        self.assertEqual(parse("subproxy.path=/b\tsubproxy.path=/a\n"), {"path": ["/b", "/a"]})

    def test_other_words_are_the_kernels(self) -> None:
        self.assertEqual(parse("console=ttyS0 subproxy quiet init.subproxy.app=x"), {})

    def test_refusals(self) -> None:
        for line in (
            "subproxy.hosts=a",
            "subproxy.app",
            "subproxy.app=a subproxy.app=b",
            "subproxy.host=100%",
            "subproxy.host=%zz",
            "subproxy.host=%ff",
        ):
            with self.assertRaises(ArgumentError, msg=line):
                parse(line)

    def test_an_unknown_setting_is_not_rendered(self) -> None:
        with self.assertRaises(ArgumentError):
            render({"hosts": ["a"]})


class MergeTests(SynchronousTestCase):
    def test_the_kernels_words_replace_name_by_name(self) -> None:
        built_in = {"host": ["a", "b"], "path": ["/x"]}
        self.assertEqual(merge(built_in, {"host": ["c"]}), {"host": ["c"], "path": ["/x"]})

    def test_the_environment_is_added_to(self) -> None:
        merged = merge({"env": ["A=1", "B=2"]}, {"env": ["A=3"]})
        self.assertEqual(merged, {"env": ["A=1", "B=2", "A=3"]})
        self.assertEqual(merge({}, {"env": ["A=3"]}), {"env": ["A=3"]})

    def test_settings_of_programs_are_others(self) -> None:
        self.assertEqual(render({"to": ["unix:/x y"]}, PROGRAM_NAMES), "subproxy.to=unix:/x%20y")
        self.assertRaises(ArgumentError, render, {"to": ["unix:/x"]})
        self.assertRaises(ArgumentError, render, {"app": ["a:b"]}, PROGRAM_NAMES)

    def test_the_settings_that_machines_with_programs_know(self) -> None:
        source = (ROOT / "guests/go/internal/machine/settings.go").read_text()
        (table,) = re.findall(r"var known = map.*?\n}", source, re.DOTALL)
        known = dict(re.findall(r'"(\w+)": *(true|false)', table))
        self.assertEqual(set(known), set(PROGRAM_NAMES))
        repeated = {name for name, text in PROGRAM_NAMES.items() if "may repeat" in text}
        self.assertEqual({name for name, repeats in known.items() if repeats == "true"}, repeated)


class RoutesTests(SynchronousTestCase):
    def test_everything_without_any(self) -> None:
        self.assertEqual(routes({}), [(".*", "/.*")])

    def test_one_goes_with_each(self) -> None:
        self.assertEqual(routes({"host": ["a"], "path": ["/1", "/2"]}), [("a", "/1"), ("a", "/2")])
        self.assertEqual(routes({"host": ["a", "b"]}), [("a", "/.*"), ("b", "/.*")])

    def test_pairs(self) -> None:
        pairs = routes({"host": ["a", "b"], "path": ["/1", "/2"]})
        self.assertEqual(pairs, [("a", "/1"), ("b", "/2")])

    def test_numbers_that_do_not_go_together(self) -> None:
        with self.assertRaises(ArgumentError):
            routes({"host": ["a", "b"], "path": ["/1", "/2", "/3"]})


class LengthTests(SynchronousTestCase):
    def test_a_line_that_linux_would_cut_is_refused(self) -> None:
        self.assertEqual(check_length("a" * COMMAND_LINE_LIMIT), "a" * COMMAND_LINE_LIMIT)
        with self.assertRaises(ArgumentError):
            check_length("a" * (COMMAND_LINE_LIMIT + 1))
