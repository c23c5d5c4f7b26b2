// An upstream that says how Node's HTTP/2 parser (over nghttp2's frames) understood each request; without TLS.
//   node echo2.js PORT
const http2 = require('http2');

const hex = (text) => Buffer.from(text, 'latin1').toString('hex');
const server = http2.createServer({ maxHeaderListPairs: 1000, settings: { maxHeaderListSize: 1 << 18 } });
server.on('stream', (stream, headers, flags, raw) => {
  const parts = [];
  let trailers = 0;
  stream.on('data', (part) => parts.push(part));
  stream.on('trailers', (last) => { trailers = Object.keys(last).length; });
  stream.on('error', () => {});
  stream.on('end', () => {
    const fields = [];
    for (let index = 0; index < raw.length; index += 2) {
      const name = raw[index] === ':authority' ? 'host' : raw[index];
      if (!name.startsWith(':')) fields.push([name, hex(raw[index + 1])]);
    }
    const body = Buffer.concat(parts).toString('hex');
    const seen = {
      parser: 'node2', method: headers[':method'], target: headers[':path'], scheme: headers[':scheme'], fields, body, trailers,
    };
    stream.respond({ ':status': 200, 'content-type': 'application/json' });
    stream.end(JSON.stringify(seen));
  });
});
server.on('sessionError', () => {});
server.listen(Number(process.argv[2]), '127.0.0.1');
