#!/usr/bin/env bash
# twisted.trial: setUpClass of a TestCase is never called.
#
# unittest, and pytest for the same class, call it once before the tests of a class. trial loads and
# runs the tests, says that all passed, and leaves it out without a word.
# Seen with Twisted 26.10.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check Twisted==26.10.0
cat >"$folder/test_seen.py" <<'END'
from twisted.trial.unittest import SynchronousTestCase

class SeenTests(SynchronousTestCase):
    called = "setUpClass was not called"

    @classmethod
    def setUpClass(cls):
        cls.called = "setUpClass was called"

    def test_it(self):
        print("\nSEEN " + self.called)
END
cd "$folder"
under() { "$@" 2>&1 | grep -o 'SEEN .*' | cut -c 6-; }
seen="unittest: $(under venv/bin/python -m unittest test_seen)
trial: $(under venv/bin/python -m twisted.trial test_seen)"
printf '%s\n' "$seen"
[ "$seen" = 'unittest: setUpClass was called
trial: setUpClass was not called' ]
