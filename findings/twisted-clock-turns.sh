#!/usr/bin/env bash
# Twisted's task.Clock: what callLater(0) adds runs in the same advance(), on a reactor a turn later.
#
# Clock stands in tests for IReactorTime. A reactor runs what was due when its turn began; what
# this adds waits for the next turn, and other sockets are served between. Clock.advance(0) goes on
# until nothing is due: work that is cut into turns, so that others get theirs, looks the same as if
# it were not cut, and a test of how much is done at once passes whatever is done.
# Seen with Twisted 26.10.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check Twisted==26.10.0
cat >"$folder/seen.py" <<'END'
from twisted.internet import reactor
from twisted.internet.task import Clock

def pieces_done(clock, turn):
    """How many of five pieces, each scheduled by the one before, are done by each turn."""
    done = []

    def piece(number):
        done.append(number)
        if number < 5:
            clock.callLater(0, piece, number + 1)

    clock.callLater(0, piece, 1)
    counts = []
    for _ in range(5):
        turn()
        counts.append(len(done))
    return counts

clock = Clock()
print("reactor:", pieces_done(reactor, lambda: reactor.iterate(0)))
print("Clock:", pieces_done(clock, lambda: clock.advance(0)))
END
seen=$("$folder/venv/bin/python" "$folder/seen.py")
printf '%s\n' "$seen"
[ "$seen" = 'reactor: [1, 2, 3, 4, 5]
Clock: [5, 5, 5, 5, 5]' ] || { echo 'it has changed'; exit 1; }
