#!/usr/bin/env bash
# etcd3gw: behind a proxy a watch ends at its first larger event, and nobody is told.
#
# A watch of etcd's JSON gateway is one answer that goes on, a line of JSON for each message, sent
# in chunks. Where a chunk ends means nothing, and whoever passes chunks on may cut them anew (RFC
# 9112, section 7.1). etcd3gw takes each chunk for a line. Of etcd itself they are that; behind
# HAProxy an event of some kilobytes comes in pieces, and json's error ends the thread that reads,
# in a future that is never looked at: no callback is called again, for no event, and the program
# waits on.
# Seen with etcd3gw 2.7.0, etcd 3.4.23 and HAProxy 2.6.12 (Debian 12's packages).
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" "${proxy:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
chmod 755 "$folder"
cd "$folder"
apt-get download -q etcd-server=3.4.23-4+b4 haproxy=2.6.12-1+deb12u4 liblua5.3-0=5.3.6-2 \
  libopentracing-c-wrapper0=1.1.3-3+b1 libopentracing1=1.6.0-4 >/dev/null 2>&1
for package in ./*.deb; do dpkg-deb -x "$package" .; done
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check etcd3gw==2.7.0
port() {
  python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])'
}
direct=$(port) peer=http://127.0.0.1:$(port) proxied=$(port)
usr/bin/etcd --data-dir=data --listen-client-urls="http://127.0.0.1:$direct" \
  --advertise-client-urls="http://127.0.0.1:$direct" --listen-peer-urls="$peer" \
  --initial-advertise-peer-urls="$peer" --initial-cluster="default=$peer" >log 2>&1 &
server=$!
cat >proxy.cfg <<END
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen etcd
  bind 127.0.0.1:$proxied
  server one 127.0.0.1:$direct
END
libraries=$(dirname "$PWD"/usr/lib/*/liblua5.3.so.0)
LD_LIBRARY_PATH=$libraries usr/sbin/haproxy -f proxy.cfg >>log 2>&1 &
proxy=$!
cat >seen.py <<'END'
import sys
import time

from etcd3gw.client import Etcd3Client
from etcd3gw.watch import Watcher

direct, proxied = (Etcd3Client(port=int(port), api_path="/v3/") for port in sys.argv[1:])
for _ in range(300):
    try:
        direct.status()
        break
    except Exception:
        time.sleep(0.1)
for name, client in (("etcd", direct), ("behind HAProxy", proxied)):
    sizes = []
    watcher = Watcher(client, "k", lambda event: sizes.append(len(event["kv"]["value"])))
    time.sleep(0.5)
    for size in (10, 20000, 10, 10):
        direct.put("k", "x" * size)
        time.sleep(0.5)
    print(f"{name}: events of", ", ".join(map(str, sizes)), flush=True)
    watcher.stop()
END
seen=$(timeout 90 v/bin/python seen.py "$direct" "$proxied")
printf '%s\n' "$seen"
[ "$seen" = 'etcd: events of 10, 20000, 10, 10
behind HAProxy: events of 10' ] || { echo 'it has changed'; exit 1; }
