#!/usr/bin/env bash
# google-re2: an empty match is found twice, so that sub("$", "!", "ab") gives "ab!!".
#
# RE2's own module for Python calls itself a drop-in replacement for re, and lists in what it
# differs; not in this. What finditer, findall, split and sub look for begins anew behind each
# match, and goes one character on only where an empty one was at the very place it began from: any
# other empty match is found a second time there. To quote lines, sub("(?m)^", "> ", text), all but
# the first get the mark twice.
# Seen with google-re2 1.1.20251105 and re of CPython 3.11.7.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check google-re2==1.1.20251105
cat >"$folder/seen.py" <<'END'
import re

import re2

for module in (re, re2):
    print(f"{module.__name__}:", repr(module.sub("$", "!", "ab")),
          repr(module.sub("(?m)^", "> ", "one\ntwo")), module.split(r"\b", "ab cd"),
          [found.span() for found in module.finditer("$", "ab")])
END
seen=$("$folder/venv/bin/python" "$folder/seen.py")
printf '%s\n' "$seen"
[ "$seen" = "re: 'ab!' '> one\n> two' ['', 'ab', ' ', 'cd', ''] [(2, 2)]
re2: 'ab!!' '> one\n> > two' ['', 'ab', '', ' ', 'cd', '', ''] [(2, 2), (2, 2)]" ] || {
  echo 'it has changed'
  exit 1
}
