// Asks https://URL 400 times, 20 at once, with bodies of some sizes: says what failed.
// node undici_client.mjs URL AUTHORITY: undici, which repeats nothing that a server may have seen.
import { readFileSync } from 'node:fs';
import { Agent, request } from 'undici';

const [url, ca] = process.argv.slice(2);
const sizes = [0, 5, 70000, 5, 300000];
const dispatcher = new Agent({
  allowH2: true, connections: 1, pipelining: 20, connect: { ca: readFileSync(ca) },
});

async function ask(size) {
  const sent = Buffer.alloc(size, 'x');
  try {
    const answer = await request(url, {
      dispatcher, method: size ? 'POST' : 'GET', body: size ? sent : undefined,
    });
    const got = Buffer.from(await answer.body.arrayBuffer());
    const wanted = size ? sent : Buffer.from('OK');
    if (answer.statusCode !== 200 || !got.equals(wanted)) {
      console.log(size, answer.statusCode, got.length);
    }
  } catch (error) {
    console.log(size, error.code, error.message);
  }
}

let next = 0;
async function worker() {
  while (next < 400) await ask(sizes[next++ % sizes.length]);
}
await Promise.all(Array.from({ length: 20 }, worker));
await dispatcher.close();
console.log('done');
