"""Tests of subproxy.core.access.toml_lines."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.toml_lines import TomlLines, error_column, error_line
from tests.rigs.core_strategies import relaxed

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DOCUMENT = '''\
# [not] a table
top = 1

[default] # quotas
routes = 1
"quoted" = 2
[[guest]]
identity = "a"
hosts = [
  "x",
]
[[ guest ]]
  identity = """
[default]
hosts = 'in a string'
"""
text = "it's # no \\" comment \\"\\"\\""  # 'one
hosts = ["y"]
more = \'\'\'a\'\'\'
last = 1
'''


class TomlLinesTests(SynchronousTestCase):
    """C{TomlLines}."""

    def test_tables_in_tables(self) -> None:
        """Where one begins is a key of what it is in; what it holds is not."""
        text = (
            "[[site]]\nhosts = 1\n[site.headers]\nhosts = 2\nset = 3\n[site.headers.add]\nx = 4\n"
            "[[site]]\n[site . headers]\npaths = 5\n[[site.more]]\ny = 6\n[other.deep]\nz = 7\n"
        )
        tomllib.loads(text)
        lines = TomlLines(text)
        self.assertEqual(lines.key("hosts", "site", 0), 2)
        self.assertEqual(lines.key("headers", "site", 0), 3)
        self.assertEqual(lines.key("set", "site", 0), 1)
        self.assertEqual(lines.table("site", 1), 8)
        self.assertEqual(lines.key("headers", "site", 1), 9)
        self.assertEqual(lines.key("paths", "site", 1), 8)
        self.assertEqual(lines.key("more", "site", 1), 11)
        self.assertEqual(lines.key("deep", "other"), 13)

    def test_dotted_keys(self) -> None:
        """A key of a table that is written at the top of the document."""
        text = 'top = 1\n\'a\' . b = 1\na."c" = 2\n[d]\na.b = 3\n"e=5" = 1\n'
        tomllib.loads(text)
        lines = TomlLines(text)
        found = [lines.key("b", "a"), lines.key("c", "a"), lines.table("a"), lines.key("a", "d")]
        self.assertEqual(found, [2, 3, 2, 5])
        self.assertEqual(lines.key("e", "d"), 4)

    def test_dotted_keys_of_one_table(self) -> None:
        """Each has its own line, and those that are not there that of the first."""
        lines = TomlLines("\ndefault.streams = 1\ndefault.tunnels = 2\n")
        found = [lines.key(key, "default") for key in ("streams", "tunnels", "buffer")]
        self.assertEqual(found, [2, 3, 2])

    def test_a_table_in_one_that_has_no_header(self) -> None:
        lines = TomlLines("\n[default.more]\nkey = 1\n[site.headers]\n[site.headers]")
        self.assertEqual((lines.key("more", "default"), lines.key("headers", "site")), (2, 4))

    def test_columns_of_lines_that_are_not_there(self) -> None:
        lines = TomlLines("  a\n   b")
        self.assertEqual([lines.column(line) for line in range(4)], [1, 3, 4, 1])

    def test_columns(self) -> None:
        """Where a line begins, but for what indents it; the first one for what is no line."""
        lines = TomlLines("a = 1\n  b = 2\n\tc = 3\n")
        self.assertEqual([lines.column(line) for line in (0, 1, 2, 3, 99)], [1, 1, 3, 2, 1])
        with self.assertRaises(tomllib.TOMLDecodeError) as caught:
            tomllib.loads("a = 1\nb = = 2\n")
        self.assertEqual(error_column(str(caught.exception)), 5)
        self.assertEqual(error_column("no place"), 1)

    def test_positions(self) -> None:
        tomllib.loads(DOCUMENT)
        lines = TomlLines(DOCUMENT)
        text = DOCUMENT.split("\n")
        for line, begins in [
            (lines.key("top", ""), "top"),
            (lines.table("default"), "[default]"),
            (lines.key("routes", "default"), "routes"),
            (lines.key("quoted", "default"), '"quoted"'),
            (lines.table("guest"), "[[guest]]"),
            (lines.key("identity", "guest", 0), 'identity = "a"'),
            (lines.key("hosts", "guest", 0), "hosts = ["),
            (lines.table("guest", 1), "[[ guest ]]"),
            (lines.key("identity", "guest", 1), '  identity = """'),
            (lines.key("hosts", "guest", 1), 'hosts = ["y"]'),
            (lines.key("last", "guest", 1), "last"),
        ]:
            self.assertTrue(text[line - 1].startswith(begins), (line, begins))

    def test_what_is_not_there_is_where_its_table_is(self) -> None:
        lines = TomlLines(DOCUMENT)
        self.assertEqual(lines.key("paths", "guest", 1), lines.table("guest", 1))
        self.assertEqual(lines.key("nothing", ""), 1)
        self.assertEqual(lines.table("nothing"), 1)
        inline = TomlLines('\nguest = [{ identity = "a" }]')
        self.assertEqual(inline.table("guest"), 2)
        self.assertEqual(inline.key("identity", "guest"), 2)

    def test_error_lines(self) -> None:
        for text, line in [("a = 1\nb = \n", 2), ('\n\na = "x', 3), ("[a]\n[a]\n", 2)]:
            with self.assertRaises(tomllib.TOMLDecodeError) as caught:
                tomllib.loads(text)
            self.assertEqual(error_line(str(caught.exception), text), line, text)
        self.assertEqual(error_line("no position", "a\nb\n\n"), 2)

    def found(self, *values: str) -> None:
        """Behind each of these values, the next key and the next table are where they are."""
        text = "".join(f"key{at} = {value}\n" for at, value in enumerate(values)) + "[end]\nx = 1\n"
        tomllib.loads(text)
        lines = TomlLines(text)
        split = text.split("\n")
        for at in range(len(values)):
            self.assertTrue(split[lines.key(f"key{at}", "") - 1].startswith(f"key{at} = "), text)
        self.assertEqual(split[lines.table("end") - 1], "[end]", text)
        self.assertEqual(lines.key("x", "end"), lines.table("end") + 1, text)

    def test_quotes_in_strings(self) -> None:
        """An escape hides a quote from a basic string, and nothing from a literal one."""
        for value in (
            "\"ab'''\"",
            '\'ab"""\'',
            "\"\\\"'''\"",
            "'\\' # ' '''",
            '["\\n", """\n[x]\n"""]',
            '["", """\n[x]\n"""]',
            "['', '''\n[x]\n''']",
            '"\\"" # """',
            '"\\\\" # """',
            '"a\\"\\"\\"b"',
            "\"\\\\\\\"\" # '''",
            r"'\' # '''",
            r"'\\' # '''",
            "['\\', \"'''\"]",
            '["\\\\", \'"""\']',
            '["\'", \'"""\', "\'"]',
            "\"a\" # '''",
            "\"a\"# '''",
            '\'a\' # """',
            "'' # '''",
            "['a', 'b', '\"\"\"']",
            "[1,2] # '''",
            "'\"' # '''",
            '"\'" # """',
            "[\"a\",'b',\"'''\"]",
        ):
            with self.subTest(value):
                self.found(value)

    def test_multi_line_strings(self) -> None:
        """They end at the first three quotes of their own kind, and another may follow at once."""
        for value in (
            '"""\n"""# \'\'\'',
            '["""""", """\n[x]\n"""]',
            "['''''', '''\n[x]\n''']",
            '"""\n""\n[x]\n"""',
            '"""\n[x]\n"""',
            "'''\n[x]\n'''",
            '"""\n\'\'\'\n[x]"""',
            "'''\n\"\"\"\n[x]'''",
            "[\"\"\"\n[x]\n\"\"\", '''\n[x]\n''']",
            '["""a""", """\n[x]\n"""]',
            '["""a""","""b""",\'\'\'\n[x]\n\'\'\']',
            '["""\na""","""\n[x]\n"""]',
            '["""\na""","," # \'\'\'\n]',
            "['''\n#''','''\n[x]\n''']",
            '["a", """\n[x]""", "b"]',
            "[1, 2, '''\n[x]''']",
        ):
            with self.subTest(value):
                self.found(value)

    def test_a_quoted_key(self) -> None:
        """Its quotes are none of its value's."""
        for quote in "\"'":
            text = f"{quote}a{quote} = {quote * 3}\n[x]\n{quote * 3}\nb = 1\n"
            tomllib.loads(text)
            lines = TomlLines(text)
            self.assertEqual((lines.key("a", ""), lines.key("b", "")), (1, 4))
            self.assertEqual(lines.table("x"), 1)

    @given(st.text("\"'\\#[]=\na ", max_size=30))
    @relaxed
    def test_any_text(self, text: str) -> None:
        """What is no TOML does no harm."""
        lines = TomlLines(text)
        self.assertLessEqual(lines.key("a", ""), text.count("\n") + 1)
        self.assertLessEqual(lines.table("a"), text.count("\n") + 1)

    def test_the_top_is_at_the_first_line(self) -> None:
        """Where nothing else is known: of a document, and of what is not in it."""
        lines = TomlLines("")
        self.assertEqual(lines.table(""), 1)
        self.assertEqual(lines.key("a", "b"), 1)
        self.assertEqual(lines.key("a", "b", 3), 1)
        self.assertEqual(lines.table("b", 3), 1)

    @given(
        st.lists(
            st.sampled_from(
                [
                    "'#'",
                    '"#"',
                    "'''\n[guest]\n'''",
                    '"""\nkey1 = 2\n"""',
                    '\'"""\'',
                    "\"'''\"",
                    "1 # '''",
                    '[\'a\', "b"] # """',
                    '"\\\\"',
                    '"\\""',
                    "''",
                    '""',
                    "''''''",
                    '"""a""" # \'\'\'',
                ]
            ),
            max_size=6,
        )
    )
    @relaxed
    def test_values_never_hide_what_follows(self, values: list[str]) -> None:
        self.found(*values)
