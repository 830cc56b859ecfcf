#!/usr/bin/env bash
# OpenTelemetry in Go: of a tracestate in two lines the second is dropped.
#
# tracestate is a list, and may stand in several lines of a head, which a receiver joins (W3C Trace
# Context, level 1, section 3.3.1; RFC 9110, section 5.3). Go's propagator takes the first line, and
# passes that on: what another vendor's system wrote into the second is gone, and the trace goes on
# without it. Of baggage, a list too, the same package reads every line. Python's joins both.
# Seen with go.opentelemetry.io/otel 1.47.0; opentelemetry-api 1.45.2 (PyPI) beside it.
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
export GOMODCACHE=$folder/modules GOCACHE=$folder/cache GOFLAGS=-mod=mod GOTOOLCHAIN=local
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check opentelemetry-api==1.45.2
cat >main.go <<'END'
package main

import (
	"context"
	"fmt"
	"net/http"

	"go.opentelemetry.io/otel/propagation"
)

func main() {
	came, sent := http.Header{}, http.Header{}
	came.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	for _, name := range []string{"tracestate", "baggage"} {
		came.Add(name, "a=1")
		came.Add(name, "b=2")
	}
	for _, propagator := range []propagation.TextMapPropagator{
		propagation.TraceContext{}, propagation.Baggage{},
	} {
		found := propagator.Extract(context.Background(), propagation.HeaderCarrier(came))
		propagator.Inject(found, propagation.HeaderCarrier(sent))
	}
	fmt.Printf("Go: tracestate %s\n", sent["Tracestate"])
	fmt.Printf("Go: members of baggage %d\n", len(sent.Get("baggage"))/3)
}
END
cat >seen.py <<'END'
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

came, sent = {
    "traceparent": ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
    "tracestate": ["a=1", "b=2"],
}, {}
propagator = TraceContextTextMapPropagator()
propagator.inject(sent, propagator.extract(came))
print(f"Python: tracestate [{sent['tracestate']}]")
END
{
  go mod init finding
  go get go.opentelemetry.io/otel@v1.47.0
  go build -o propagate .
} >said 2>&1 || { cat said; exit 1; }
seen=$(./propagate && venv/bin/python seen.py)
printf '%s\n' "$seen"
[ "$seen" = 'Go: tracestate [a=1]
Go: members of baggage 2
Python: tracestate [a=1,b=2]' ] || { echo 'it has changed'; exit 1; }
