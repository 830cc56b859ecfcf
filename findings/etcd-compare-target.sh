#!/usr/bin/env bash
# etcd: a comparison that names mod_revision, and no target, compares the version with 0.
#
# In a transaction a comparison has the value to compare with, and a target, which says what is
# compared. In JSON, as etcd's gateway takes it, the name of the value says that already; but where
# "target" is left out it is VERSION (proto3's first), and the version to compare with, which is not
# there, is 0. So "put this if the key is as I read it, of revision N" fails as long as it is so,
# and puts where the key is gone. etcd neither refuses a value of another kind than the target's,
# nor a field that it does not know.
# Seen with etcd 3.4.23 (Debian 12's package).
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
chmod 755 "$folder"
cd "$folder"
apt-get download -q etcd-server=3.4.23-4+b4 >/dev/null 2>&1
dpkg-deb -x etcd-server_*.deb .
port() {
  python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])'
}
client=http://127.0.0.1:$(port) peer=http://127.0.0.1:$(port)
usr/bin/etcd --data-dir=data --listen-client-urls="$client" --advertise-client-urls="$client" \
  --listen-peer-urls="$peer" --initial-advertise-peer-urls="$peer" \
  --initial-cluster="default=$peer" >log 2>&1 &
server=$!
ask() { curl -sf "$client/v3/kv/$1" -d "$2"; }
for _ in $(seq 300); do
  ask range '{"key": "YQ=="}' >/dev/null && break
  sleep 0.1
done
revision=$(ask put '{"key": "YQ==", "value": "MQ=="}' | sed 's/.*"revision":"\([0-9]*\)".*/\1/')
# The key is a, the value to put 2.
try() {
  local comparison='{"key": "YQ==", "mod_revision": "'$revision'"'$1'}'
  local put='{"request_put": {"key": "YQ==", "value": "Mg=="}}'
  ask txn '{"compare": ['"$comparison"'], "success": ['"$put"']}' |
    grep -q '"succeeded":true' && echo done || echo refused
}
echo "as it was read, no target: $(try '')" >seen
echo "as it was read, target MOD: $(try ', "target": "MOD"')" >>seen
ask deleterange '{"key": "YQ=="}' >/dev/null
echo "deleted since, target MOD: $(try ', "target": "MOD"')" >>seen
echo "deleted since, no target: $(try '')" >>seen
cat seen
[ "$(cat seen)" = 'as it was read, no target: refused
as it was read, target MOD: done
deleted since, target MOD: refused
deleted since, no target: done' ] || { echo 'it has changed'; exit 1; }
