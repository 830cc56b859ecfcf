// The same answer of 13 bytes from Node: `node hello.js PATH` listens on a UNIX socket.
'use strict';

require('http').createServer((request, response) => {
  response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': '13' });
  response.end('Hello, World!');
}).listen(process.argv[2]);
