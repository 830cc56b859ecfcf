// Asks https://URL 400 times, 20 at once, with bodies of some sizes: says what failed.
// node http2_client.mjs URL AUTHORITY: Node's own client, another session when one ends.
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';

const [url, ca] = process.argv.slice(2);
const { origin, pathname } = new URL(url);
const sizes = [0, 5, 70000, 5, 300000];
let session;

function connect() {
  session = http2.connect(origin, { ca: readFileSync(ca) });
  const own = session;
  own.on('goaway', () => { if (session === own) session = undefined; });
  own.on('close', () => { if (session === own) session = undefined; });
  own.on('error', (error) => console.log('session', error.message));
  return session;
}

function ask(size) {
  return new Promise((done) => {
    const stream = (session ?? connect()).request({
      ':method': size ? 'POST' : 'GET', ':path': pathname,
    });
    const pieces = [];
    let status;
    stream.on('response', (head) => { status = head[':status']; });
    stream.on('data', (piece) => pieces.push(piece));
    stream.on('error', (error) => console.log(size, error.message));
    stream.on('close', () => {
      const got = Buffer.concat(pieces);
      const wanted = size ? Buffer.alloc(size, 'x') : Buffer.from('OK');
      if (status !== 200 || !got.equals(wanted)) console.log(size, status, got.length);
      done();
    });
    stream.end(size ? Buffer.alloc(size, 'x') : undefined);
  });
}

let next = 0;
async function worker() {
  while (next < 400) await ask(sizes[next++ % sizes.length]);
}
await Promise.all(Array.from({ length: 20 }, worker));
session?.close();
console.log('done');
