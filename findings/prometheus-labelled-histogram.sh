#!/usr/bin/env bash
# parse-prometheus-text-format (npm): of a histogram with labels one label's buckets are left.
#
# A histogram of Prometheus's text format has a line for each bucket of each set of labels, and sums
# and counts beside them. The parser makes of a histogram one object that has no labels: where two
# sets have the same bucket the latter's number is there, and sums and counts are gone. What most
# histograms of servers are, with a route, a method or a status, is wrong, and no error is raised.
# A summary comes out so, too; counters and gauges keep their labels.
# Seen with parse-prometheus-text-format 1.1.1; prometheus-client 0.26.0 (PyPI) beside it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check prometheus-client==0.26.0
npm install --silent --no-fund --no-audit parse-prometheus-text-format@1.1.1 >said 2>&1 || {
  cat said
  exit 1
}
cat >metrics <<'END'
# TYPE seconds histogram
seconds_bucket{route="/a",le="1"} 3
seconds_bucket{route="/a",le="+Inf"} 4
seconds_sum{route="/a"} 5
seconds_count{route="/a"} 4
seconds_bucket{route="/b",le="1"} 60
seconds_bucket{route="/b",le="+Inf"} 70
seconds_sum{route="/b"} 80
seconds_count{route="/b"} 70
END
cat >seen.mjs <<'END'
import { readFileSync } from "node:fs";
import parse from "parse-prometheus-text-format";

const [family] = parse(readFileSync("metrics", "utf8"));
console.log("npm:", JSON.stringify(family.metrics));
END
cat >seen.py <<'END'
from prometheus_client.parser import text_string_to_metric_families

(family,) = text_string_to_metric_families(open("metrics").read())
for sample in family.samples:
    if sample.name == "seconds_bucket" and sample.labels["le"] == "1":
        print("Python:", sample.labels["route"], sample.value)
END
seen=$(venv/bin/python seen.py; node seen.mjs)
printf '%s\n' "$seen"
[ "$seen" = 'Python: /a 3
Python: /b 60
npm: [{"buckets":{"1":"60","+Inf":"70"}}]' ] || { echo 'it has changed'; exit 1; }
