#!/usr/bin/env bash
# tomlkit: a table that is added below a dotted key takes the keys behind it.
#
# tomlkit changes a document and keeps its form ("style-preserving"). A dotted key makes tables
# (TOML 1.0, "Keys"), and a table that is added to one of these is written with a heading, where the
# dotted key stands. Whatever follows up to the next heading is of that table then, so that settings
# of the file move into it; and below a heading the new one lacks the name of the table that it is
# in. No error is raised: the document in memory is right, what dumps() gives reads otherwise. A
# table that is added as tomlkit.inline_table() is written right.
# Seen with tomlkit 0.15.2; read by tomllib of CPython 3.11.7.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check tomlkit==0.15.2
cat >"$folder/seen.py" <<'END'
import tomllib

import tomlkit

def added(text, table):
    document = tomlkit.parse(text)
    table.update({"days": 7})
    document.get("server", document)["log"]["keep"] = table
    written = tomllib.loads(tomlkit.dumps(document))
    return "as in memory" if written == document.unwrap() else written

TOP = "log.level = 1\nport = 80\n"
print("a table:", added(TOP, tomlkit.table()))
print("below a heading:", added("[server]\nlog.level = 1\n", tomlkit.table()))
print("an inline table:", added(TOP, tomlkit.inline_table()))
END
seen=$("$folder/venv/bin/python" "$folder/seen.py")
printf '%s\n' "$seen"
[ "$seen" = "a table: {'log': {'level': 1, 'keep': {'days': 7, 'port': 80}}}
below a heading: {'server': {'log': {'level': 1}}, 'log': {'keep': {'days': 7}}}
an inline table: as in memory" ] || { echo 'it has changed'; exit 1; }
