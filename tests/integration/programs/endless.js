// A program of which no answer has an end, and which does not end at Ctrl-C.
require('http')
  .createServer((request, response) => response.write('x'))
  .listen(Number(process.argv[2]), '127.0.0.1');
process.on('SIGINT', () => {});
