#!/usr/bin/env bash
# twisted.trial: assertAlmostEqual takes `delta`, and ignores it.
#
# unittest.TestCase.assertAlmostEqual(first, second, delta=d) compares with d. The method of that
# name of twisted.trial.unittest.SynchronousTestCase takes any further arguments, and compares to 7
# places all the same, so that a test written for the one fails under the other. What means the
# same in trial is assertApproximates(first, second, d).
# Seen with Twisted 26.10.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check Twisted==26.10.0
cat >"$folder/seen.py" <<'END'
import unittest
from twisted.trial.unittest import SynchronousTestCase

class Case(SynchronousTestCase):
    def runTest(self):
        pass

class Plain(unittest.TestCase):
    def runTest(self):
        pass

def outcome(call):
    try:
        call()
    except AssertionError:
        return "fails"
    return "passes"

print("unittest, delta=0.5:", outcome(lambda: Plain().assertAlmostEqual(2.75, 3.0, delta=0.5)))
print("trial, delta=0.5:", outcome(lambda: Case().assertAlmostEqual(2.75, 3.0, delta=0.5)))
print("trial, assertApproximates:", outcome(lambda: Case().assertApproximates(2.75, 3.0, 0.5)))
END
seen=$("$folder/venv/bin/python" "$folder/seen.py")
printf '%s\n' "$seen"
[ "$seen" = 'unittest, delta=0.5: passes
trial, delta=0.5: fails
trial, assertApproximates: passes' ]
