#!/usr/bin/env bash
# OpenTelemetry in Python: a plus in baggage is read as a space, and a space is sent as a plus.
#
# A value of the field baggage is percent-encoded, and "+" is a character like any other in it (W3C
# Baggage: "baggage-octet", "value"). Python's propagator writes and reads it as a form is written,
# with quote_plus() and unquote_plus(). Two programs in Python understand each other; between one of
# them and any other "c+d" becomes "c d", and "c d" becomes "c+d". JavaScript's, of the same
# project, keeps to the specification.
# Seen with opentelemetry-api 1.45.2 (PyPI); @opentelemetry/core 3.1.1 (npm) beside it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check opentelemetry-api==1.45.2
npm install --silent --no-fund --no-audit @opentelemetry/core@3.1.1 @opentelemetry/api@1.10.0
cat >seen.py <<'END'
import sys

from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context

propagator = W3CBaggagePropagator()
if sys.argv[1] == "read":
    print(baggage.get_baggage("k", propagator.extract({"baggage": sys.argv[2]}, Context())))
else:
    carrier = {}
    propagator.inject(carrier, baggage.set_baggage("k", sys.argv[2], Context()))
    print(carrier["baggage"])
END
cat >seen.js <<'END'
const api = require("@opentelemetry/api");
const { W3CBaggagePropagator } = require("@opentelemetry/core");

const [what, text] = process.argv.slice(2);
const propagator = new W3CBaggagePropagator();
if (what === "read") {
  const getter = api.defaultTextMapGetter;
  const context = propagator.extract(api.ROOT_CONTEXT, { baggage: text }, getter);
  console.log(api.propagation.getBaggage(context).getEntry("k").value);
} else {
  const carrier = {};
  const made = api.propagation.createBaggage({ k: { value: text } });
  const context = api.propagation.setBaggage(api.ROOT_CONTEXT, made);
  propagator.inject(context, carrier, api.defaultTextMapSetter);
  console.log(carrier.baggage);
}
END
python() { venv/bin/python seen.py "$@"; }
javascript() { node seen.js "$@"; }
seen=$(
  for language in python javascript; do
    read=$($language read k=c+d)
    echo "$language reads k=c+d as '$read', sends 'c d' as $($language send 'c d')"
  done
  echo "from python to javascript: '$(javascript read "$(python send 'c d')")'"
)
printf '%s\n' "$seen"
[ "$seen" = "python reads k=c+d as 'c d', sends 'c d' as k=c+d
javascript reads k=c+d as 'c+d', sends 'c d' as k=c%20d
from python to javascript: 'c+d'" ] || { echo 'it has changed'; exit 1; }
