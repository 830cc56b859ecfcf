#!/usr/bin/env bash
# google-re2: "{,3}" is no count but these four characters, and no error says so.
#
# To Python's re a count without a lower end begins at 0: "[a-z]{,3}" is up to three letters
# ("Regular Expression Syntax"). RE2's own module for Python calls itself a drop-in replacement for
# re, and names one difference of syntax, \Z; but there the pattern is one letter and "{,3}", and
# what was to match "abc" matches "a{,3}" alone, in a Set too. Most of what RE2 lacks it refuses.
# "{0,3}" is the same to both. Go's regexp has RE2's syntax, and reads it so, too.
# Seen with google-re2 1.1.20251105 and re of CPython 3.11.7; Go 1.26.8 beside them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check google-re2==1.1.20251105
cat >"$folder/seen.py" <<'END'
import re

import re2

def by_set(pattern):
    made = re2.Set.FullMatchSet()
    made.Add(pattern)
    made.Compile()
    return lambda text: bool(made.Match(text))

WAYS = {
    "re": lambda pattern: re.compile(pattern).fullmatch,
    "google-re2": lambda pattern: re2.compile(pattern).fullmatch,
    "its Set": by_set,
}

for name, way in WAYS.items():
    for pattern in ("[a-z]{,3}", "[a-z]{0,3}"):
        found = [text for text in ("", "abc", "a{,3}") if way(pattern)(text)]
        print(f"{name}: {pattern} matches {found}")
END
cat >"$folder/seen.go" <<'END'
package main

import (
	"fmt"
	"regexp"
)

func main() {
	pattern := regexp.MustCompile("^[a-z]{,3}$")
	fmt.Println("Go: abc", pattern.MatchString("abc"), "a{,3}", pattern.MatchString("a{,3}"))
}
END
seen=$("$folder/venv/bin/python" "$folder/seen.py"
  GOTOOLCHAIN=local go run "$folder/seen.go")
printf '%s\n' "$seen"
[ "$seen" = "re: [a-z]{,3} matches ['', 'abc']
re: [a-z]{0,3} matches ['', 'abc']
google-re2: [a-z]{,3} matches ['a{,3}']
google-re2: [a-z]{0,3} matches ['', 'abc']
its Set: [a-z]{,3} matches ['a{,3}']
its Set: [a-z]{0,3} matches ['', 'abc']
Go: abc false a{,3} true" ] || { echo 'it has changed'; exit 1; }
