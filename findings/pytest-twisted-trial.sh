#!/usr/bin/env bash
# pytest-twisted: after its first coroutine, trial's own asynchronous cases fail in that process.
#
# pytest runs twisted.trial.unittest.TestCase classes; such a case starts and stops the reactor
# itself. The first test that pytest-twisted drives leaves the reactor running in a greenlet, and
# every trial case that waits for a Deferred after it fails with ReactorAlreadyRunning. In the other
# order both pass: sort the cases before the coroutines.
# Seen with pytest-twisted 1.14.3, pytest 8.4.2 and Twisted 26.10.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
  pytest-twisted==1.14.3 pytest==8.4.2 Twisted==26.10.0
cd "$folder"
cat >test_coroutine.py <<'END'
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater

@pytest_twisted.ensureDeferred
async def test_it():
    await deferLater(reactor, 0)
END
cat >test_case.py <<'END'
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

class CaseTests(TestCase):
    def test_it(self):
        return deferLater(reactor, 0)
END
run() { { venv/bin/python -m pytest -q -p no:cacheprovider "$@" 2>&1 || true; } | grep -oE '[0-9]+ (passed|failed)' | sort | paste -sd ' '; }
seen="case, then coroutine: $(run test_case.py test_coroutine.py)
coroutine, then case: $(run test_coroutine.py test_case.py)"
printf '%s\n' "$seen"
[ "$seen" = 'case, then coroutine: 2 passed
coroutine, then case: 1 failed 1 passed' ]
