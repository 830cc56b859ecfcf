#!/usr/bin/env bash
# acme (certbot's library): a Retry-After that is a date is off by as much as the local time is.
#
# Retry-After has seconds or a date, and dates are of GMT (RFC 9110, sections 10.2.3 and 5.6.7); an
# ACME server may send either. ClientV2.retry_after() returns a naive time: of seconds it is local,
# as the library's own deadlines are, but of a date it is that of GMT. So the same six hours are
# eleven in New York, and over since three in Tokyo. poll_finalization() sleeps until that time:
# west of Greenwich it sleeps until its deadline has passed, and fails; east of it it never sleeps.
# Seen with acme 5.9.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check acme==5.9.0
cat >"$folder/seen.py" <<'END'
import os
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

from acme.client import ClientV2

class Answer:
    def __init__(self, value):
        self.headers = {"Retry-After": value}

def hours(value):
    return round((ClientV2.retry_after(Answer(value), 5) - datetime.now()).total_seconds() / 3600)

date = format_datetime(datetime.now(timezone.utc) + timedelta(hours=6), usegmt=True)
for zone in ("GMT0", "EST5", "JST-9"):
    os.environ["TZ"] = zone
    time.tzset()
    print(f"{zone}: seconds {hours('21600')} h, a date {hours(date)} h")
END
seen=$("$folder/venv/bin/python" "$folder/seen.py")
printf '%s\n' "$seen"
[ "$seen" = 'GMT0: seconds 6 h, a date 6 h
EST5: seconds 6 h, a date 11 h
JST-9: seconds 6 h, a date -3 h' ] || { echo 'it has changed'; exit 1; }
