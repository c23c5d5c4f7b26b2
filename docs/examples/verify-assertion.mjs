// Checks Gatepost-Assertion in an application behind Gatepost. Node.js 18 or newer, no packages.
//
//     node verify-assertion.mjs https://auth.corp.example wiki < token
//
// prints the claims, or why the token is refused (exit status 1). With a port it answers nginx's auth_request:
//
//     node verify-assertion.mjs https://auth.corp.example wiki https://auth.corp.example/.gatepost/jwks.json 9600
import { createPublicKey, verify } from 'node:crypto';
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const leewaySeconds = 5;
const keysSeconds = 300;
const pauseSeconds = 5;

export class AssertionVerifier {
  constructor(issuer, application, keysURL = `${issuer}/.gatepost/jwks.json`) {
    Object.assign(this, { issuer, application, keysURL, keys: new Map(), readAt: -Infinity });
  }

  // The claims; throws for a token that does not count.
  async verify(token) {
    const parts = token.split('.');
    if (parts.length !== 3) throw new Error('not a token');
    const [header, claims] = parts.slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url')));
    // Never what the token says.
    if (header.alg !== 'ES256') throw new Error('not signed with ES256');
    if (header.typ !== 'gatepost-assertion+jwt') throw new Error('not an assertion');
    const key = await this.key(header.kid);
    const signed = Buffer.from(`${parts[0]}.${parts[1]}`);
    const signature = Buffer.from(parts[2], 'base64url');
    if (!verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, signature)) throw new Error('wrong signature');
    const now = Date.now() / 1000;
    if (claims.iss !== this.issuer) throw new Error('from another gateway');
    // A token for another application is worth nothing here.
    if (claims.aud !== this.application) throw new Error('for another application');
    if (!(claims.exp > now - leewaySeconds)) throw new Error('expired');
    if (!(claims.iat <= now + leewaySeconds)) throw new Error('from the future');
    if (typeof claims.sub !== 'string') throw new Error('about nobody');
    return claims;
  }

  // Keys are kept for five minutes; one that is not known is asked for, but not with every token.
  async key(kid) {
    const age = Date.now() / 1000 - this.readAt;
    if (age > keysSeconds || (!this.keys.has(kid) && age > pauseSeconds)) {
      const answer = await fetch(this.keysURL, { signal: AbortSignal.timeout(5000), redirect: 'error' });
      if (!answer.ok) throw new Error(`the keys cannot be read: ${answer.status}`);
      const { keys } = await answer.json();
      this.keys = new Map(keys.map((jwk) => [jwk.kid, createPublicKey({ key: jwk, format: 'jwk' })]));
      this.readAt = Date.now() / 1000;
    }
    if (!this.keys.has(kid)) throw new Error('signed by a key that is not the gateway\'s');
    return this.keys.get(kid);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [issuer, application, keysURL, port] = process.argv.slice(2);
  const verifier = new AssertionVerifier(issuer, application, keysURL);
  if (port === undefined) {
    try {
      console.log(JSON.stringify(await verifier.verify(readFileSync(0, 'utf8').trim())));
    } catch (error) {
      console.error(`refused: ${error.message}`);
      process.exit(1);
    }
  } else {
    const server = createServer(async (request, response) => {
      try {
        const claims = await verifier.verify(request.headers['gatepost-assertion'] ?? '');
        response.writeHead(204, { 'X-Subject': encodeURIComponent(claims.sub), 'X-Email': encodeURIComponent(claims.email ?? '') });
      } catch (error) {
        console.error(`refused: ${error.message}`);
        response.writeHead(401);
      }
      response.end();
    });
    server.listen(Number(port), '127.0.0.1', () => console.log(`listening on ${server.address().port}`));
  }
}
