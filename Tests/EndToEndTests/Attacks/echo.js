// An upstream that says how Node's HTTP parser understood each request.
//   node echo.js PORT
const http = require('http');

const hex = (text) => Buffer.from(text, 'latin1').toString('hex');
const server = http.createServer({ maxHeaderSize: 1 << 18 }, (request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    const raw = request.rawHeaders;
    const fields = [];
    for (let index = 0; index < raw.length; index += 2) fields.push([raw[index], hex(raw[index + 1])]);
    const body = Buffer.concat(parts).toString('hex');
    const trailers = request.rawTrailers.length;
    const seen = { parser: 'node', method: request.method, target: request.url, fields, body, trailers };
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(seen));
  });
});
server.on('clientError', (error, socket) => socket.end(`HTTP/1.1 400 ${error.code}\r\nContent-Length: 0\r\n\r\n`));
server.keepAliveTimeout = 60000;
server.listen(Number(process.argv[2]), '127.0.0.1');
