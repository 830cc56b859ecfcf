#!/usr/bin/env bash
# prometheus-client (Python): OpenMetrics is sent to who prefers the text format, or refuses it.
#
# A scraper says in Accept which formats it takes, and by q how gladly; q=0 is "not acceptable" (RFC
# 9110, section 12.4.2). Prometheus makes these of its setting scrape_protocols, which is in order
# of preference. The Python library does not read q: where OpenMetrics 1.0.0 is named at all it is
# sent in the place of text/plain 0.0.4, so that of [PrometheusText0.0.4, OpenMetricsText1.0.0] it
# is the second. The Go library, of the same project, sends what is preferred.
# Seen with prometheus-client 0.26.0 (PyPI); github.com/prometheus/common 0.74.0 (Go 1.26.8) beside
# it.
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
export GOMODCACHE=$folder/modules GOFLAGS=-mod=mod GOTOOLCHAIN=local
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check prometheus-client==0.26.0
cat >accepts <<'END'
application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5
text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5
text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0
END
cat >seen.py <<'END'
import sys

from prometheus_client.exposition import choose_encoder

for line in sys.stdin:
    print(choose_encoder(line.strip())[1].split(";")[0])
END
cat >main.go <<'END'
package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/prometheus/common/expfmt"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		format := expfmt.NegotiateIncludingOpenMetrics(http.Header{"Accept": {lines.Text()}})
		fmt.Println(strings.Split(string(format), ";")[0])
	}
}
END
{
  go mod init finding
  go get github.com/prometheus/common/expfmt@v0.74.0
  go build -o negotiate .
} >said 2>&1 || { cat said; exit 1; }
seen=$(for way in 'v/bin/python seen.py' ./negotiate; do echo "$way:" $($way <accepts); done)
printf '%s\n' "$seen"
openmetrics=application/openmetrics-text
[ "$seen" = "v/bin/python seen.py: $openmetrics $openmetrics $openmetrics
./negotiate: $openmetrics text/plain text/plain" ] || { echo 'it has changed'; exit 1; }
