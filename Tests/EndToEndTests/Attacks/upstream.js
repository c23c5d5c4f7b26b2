// An application behind the gateway, for the clients of scripts/lib/http-clients.py and loadtest/lib/steady.py.
//   node upstream.js http|h2c PORT        node upstream.js h2 PORT CHAIN KEY
// Answers on every protocol the same: /echo says the request as text, /count how long a body is, /stream is a mebibyte,
// /events are events without end, /slow waits a little, and /ws repeats what it hears (over HTTP/2 by extended CONNECT).
const [kind, port, chain, key] = process.argv.slice(2);
const http = require('http');
const http2 = require('http2');
const fs = require('fs');
const crypto = require('crypto');

const answer = (request, response) => {
  const path = request.url.split('?')[0];
  const parts = [];
  request.on('error', () => {});
  response.on('error', () => {});
  request.on('data', (part) => parts.push(part));
  if (path === '/events') {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: 1\n\n');
    const tick = setInterval(() => response.write('data: 2\n\n'), 200);
    response.on('close', () => clearInterval(tick));
    return;
  }
  request.on('end', () => {
    const count = Buffer.concat(parts).length;
    if (path === '/count') return response.end(String(count));
    if (path === '/slow') return setTimeout(() => response.end('slow'), 20);
    if (path === '/stream') {
      for (let index = 0; index < 16; index++) response.write(Buffer.alloc(65536, 121));
      return response.end();
    }
    const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`];
    const raw = request.rawHeaders;
    for (let index = 0; index < raw.length; index += 2) lines.push(`${raw[index]}: ${raw[index + 1]}`);
    const text = lines.join('\r\n') + '\r\n\r\n';
    response.setHeader('content-length', Buffer.byteLength(text));
    response.end(request.method === 'HEAD' ? undefined : text);
  });
};

// Frames of a client that come whole and are short, unmasked on their way back (RFC 6455 5.2).
const repeat = (stream) => {
  let waiting = Buffer.alloc(0);
  stream.on('error', () => {});
  stream.on('data', (part) => {
    waiting = Buffer.concat([waiting, part]);
    while (waiting.length >= 6 && waiting.length >= 6 + (waiting[1] & 127)) {
      const count = waiting[1] & 127;
      const text = Buffer.from(waiting.subarray(6, 6 + count)).map((byte, index) => byte ^ waiting[2 + (index % 4)]);
      stream.write(Buffer.concat([Buffer.from([waiting[0], count]), text]));
      const isClose = waiting[0] === 0x88;
      waiting = waiting.subarray(6 + count);
      if (isClose) stream.end();
    }
  });
  stream.on('end', () => stream.end());
};

let server;
if (kind === 'http') {
  server = http.createServer(answer);
  server.keepAliveTimeout = 60000;
  server.on('upgrade', (request, socket) => {
    const digest = crypto.createHash('sha1');
    const accept = digest.update(request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    repeat(socket);
  });
} else {
  const settings = { enableConnectProtocol: true };
  server = kind === 'h2'
    ? http2.createSecureServer({ settings, cert: fs.readFileSync(chain), key: fs.readFileSync(key) })
    : http2.createServer({ settings });
  server.on('sessionError', () => {});
  server.on('request', (request, response) => {
    if (request.method !== 'CONNECT') answer(request, response);
  });
  server.on('stream', (stream, headers) => {
    if (headers[':method'] !== 'CONNECT') return;
    // Whoever sends a key here has not understood RFC 8441.
    const isRight = headers[':protocol'] === 'websocket' && headers['sec-websocket-key'] === undefined;
    stream.respond({ ':status': isRight ? 200 : 400 }, { endStream: !isRight });
    if (isRight) repeat(stream);
  });
  // Node would answer a CONNECT by itself where nobody listens.
  server.on('connect', () => {});
}
server.listen(Number(port), '127.0.0.1');
