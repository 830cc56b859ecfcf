#!/usr/bin/env bash
# proxy-protocol-js (npm): what stands behind the addresses is given as the client's first bytes.
#
# A header of version 2 tells its length, and behind its addresses there may be further fields,
# which a receiver may skip or read (HAProxy's proxy-protocol.txt, section 2.2). HAProxy sends some
# with `send-proxy-v2-ssl` and `proxy-v2-options`. The parser goes by the length of the addresses
# alone, so that its "data", which is to be what the client sent, begins with those fields, and no
# error is raised. Without them it is right.
# Seen with proxy-protocol-js 4.0.6.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-fund --no-audit proxy-protocol-js@4.0.6 >said 2>&1 || {
  cat said
  exit 1
}
cat >seen.js <<'END'
const { V2ProxyProtocol } = require("proxy-protocol-js");

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n");
const ADDRESSES = Buffer.from([192, 0, 2, 1, 192, 0, 2, 2, 0x1f, 0x90, 0, 80]);
const ALPN = Buffer.from("\x01\0\x02h2"); // PP2_TYPE_ALPN, of 2 bytes

function parsed(fields) {
  const start = Buffer.from([0x21, 0x11, 0, ADDRESSES.length + fields.length]); // PROXY, TCP4
  const header = Buffer.concat([SIGNATURE, start, ADDRESSES, fields]);
  const found = V2ProxyProtocol.parse(Buffer.concat([header, Buffer.from("GET /")]));
  return JSON.stringify(Buffer.from(found.data).toString());
}

console.log(`addresses alone: ${parsed(Buffer.alloc(0))}`);
console.log(`and ALPN: ${parsed(ALPN)}`);
END
seen=$(node seen.js)
printf '%s\n' "$seen"
[ "$seen" = 'addresses alone: "GET /"
and ALPN: "\u0001\u0000\u0002h2GET /"' ] || { echo 'it has changed'; exit 1; }
