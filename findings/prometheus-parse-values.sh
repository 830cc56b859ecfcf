#!/usr/bin/env bash
# prometheus-parse (crates.io): a comma in a label's value ends it, and a brace loses the sample.
#
# In Prometheus's text format the value of a label stands in quotes and may hold any characters;
# a backslash, a quote and a new line are escaped in it ("Text-based format", Line format). The
# crate splits labels at each comma and at each "=", and ends them at the first "}": of a value with
# a comma the rest becomes a label of its own, if it has a "=", and a sample whose value has a "}"
# is left out, and no error is returned. Paths and patterns, such as /items/{id} and [a-z]{2,3},
# are such values. Escapes are left as they are written.
# Seen with prometheus-parse 0.2.5 (Rust 1.95.0); prometheus-client 0.26.0 (PyPI) beside it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check prometheus-client==0.26.0
cat >metrics <<'END'
# TYPE requests_total counter
requests_total{path="/plain",code="200"} 1
requests_total{path="/a,b",code="200"} 2
requests_total{path="/a,b=c",code="200"} 3
requests_total{path="/items/{id}",code="200"} 4
requests_total{path="/a\\b",code="200"} 5
END
mkdir src
cat >Cargo.toml <<'END'
[package]
name = "finding"
version = "0.0.0"
edition = "2021"

[dependencies]
prometheus-parse = "=0.2.5"
END
cat >src/main.rs <<'END'
use std::io::{stdin, BufRead};

fn main() {
    let scrape = prometheus_parse::Scrape::parse(stdin().lock().lines()).unwrap();
    for sample in scrape.samples {
        let prometheus_parse::Value::Counter(value) = sample.value else { panic!() };
        let mut labels: Vec<_> = sample.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        labels.sort();
        println!("{value}: {}", labels.join(" "));
    }
}
END
cat >seen.py <<'END'
import sys

from prometheus_client.parser import text_fd_to_metric_families

for family in text_fd_to_metric_families(sys.stdin):
    for sample in family.samples:
        labels = " ".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
        print(f"{sample.value:g}: {labels}")
END
CARGO_TARGET_DIR=$folder/target cargo build -q >said 2>&1 || { cat said; exit 1; }
seen="prometheus-client
$(venv/bin/python seen.py <metrics)
prometheus-parse
$(target/debug/finding <metrics)"
printf '%s\n' "$seen"
[ "$seen" = 'prometheus-client
1: code=200 path=/plain
2: code=200 path=/a,b
3: code=200 path=/a,b=c
4: code=200 path=/items/{id}
5: code=200 path=/a\b
prometheus-parse
1: code=200 path=/plain
2: code=200 path=/a
3: b=c code=200 path=/a
5: code=200 path=/a\\b' ] || { echo 'it has changed'; exit 1; }
