// A program for the sidecar: what Node's own server can do with HTTP/1.1.
const fs = require('fs');
const http = require('http');

const where = process.argv[2];
const began = Date.now();

const server = http.createServer((request, response) => {
  const [path] = request.url.split('?');
  if (path === '/hello') {
    response.end('hello\n');
  } else if (path === '/head') {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers }));
  } else if (path === '/echo') {
    request.pipe(response);
  } else if (path === '/trailers') {
    response.writeHead(200, { trailer: 'X-Digest' });
    response.write('body');
    response.addTrailers({ 'X-Digest': 'abc' });
    response.end();
  } else if (path === '/sent-trailers') {
    request.resume().on('end', () => response.end(JSON.stringify(request.trailers)));
  } else if (path === '/hints') {
    response.writeEarlyHints({ link: '</style.css>; rel=preload' });
    setTimeout(() => response.end('hinted'), 50);
  } else if (path === '/slowly') {
    let number = 0;
    const timer = setInterval(() => {
      response.write(`tick ${(number += 1)}\n`);
      if (number === 3) {
        clearInterval(timer);
        response.end();
      }
    }, 50);
    response.on('close', () => fs.appendFileSync(`${process.argv[3]}`, `closed ${response.writableFinished}\n`));
  } else if (path === '/too-large') {
    response.writeHead(413, { connection: 'close' });
    response.end('too large');
  } else if (path === '/breaks') {
    response.writeHead(200, { 'content-length': '100' });
    response.write('some');
    setTimeout(() => request.socket.destroy(), 50);
  } else if (path === '/gone') {
    request.socket.destroy();
  } else if (path === '/healthz') {
    response.statusCode = Date.now() - began < 500 ? 503 : 204;
    response.end();
  } else if (path === '/pid') {
    response.end(`${process.pid}`);
  } else if (path === '/crash') {
    process.exit(3);
  } else {
    response.statusCode = 404;
    response.end();
  }
});

// Any other protocol: what comes goes back, each half with its end.
server.on('upgrade', (request, socket, head) => {
  const { upgrade } = request.headers;
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${upgrade}\r\nConnection: Upgrade\r\n\r\n`);
  socket.write(`${request.method} ${request.url} ${upgrade}\n`);
  socket.write(head);
  socket.pipe(socket);
});
process.on('SIGHUP', () => fs.appendFileSync(`${process.argv[3]}`, 'hup\n'));
process.on('SIGTERM', () => {
  fs.appendFileSync(`${process.argv[3]}`, 'term\n');
  process.exit(7);
});
server.on('checkContinue', (request, response) => {
  if (request.url === '/too-large') {
    response.writeHead(413, { connection: 'close' });
    response.end('too large');
  } else {
    response.writeContinue();
    server.emit('request', request, response);
  }
});
server.listen(/^\d+$/.test(where) ? { port: Number(where), host: '127.0.0.1' } : { path: where });
