"""Answers device checks as an agent on a Mac would, for the end-to-end suite: some providers know Macs only, and
Gatepost's own agent is for Linux. The key and its certificate were enrolled by `gatepost-agent enroll`; the statement
is signed as the handshake asks, by other people's cryptography.

    mac-agent.py STATE-FOLDER PORT DEVICE-IDS.json [SECONDS-SINCE-LAST-SEEN]
"""

import base64
import hashlib
import http.server
import json
import os
import pathlib
import secrets
import sys
import time
import urllib.parse

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

state, port, ids = pathlib.Path(sys.argv[1]), int(sys.argv[2]), json.loads(pathlib.Path(sys.argv[3]).read_text())
# The agent's state has one folder for each gateway; here there is one.
state = next((state / "gateways").iterdir())
enrolment = json.loads((state / "enrolment.json").read_text())
key = serialization.load_pem_private_key((state / "device-key.pem").read_bytes(), None)
origin = enrolment["auth_origin"]
count = int(time.time())
unseen = int(sys.argv[4]) if len(sys.argv) > 4 else 0


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def compact(header, payload):
    signed = ".".join(b64(json.dumps(part).encode()) for part in (header, payload))
    r, s = utils.decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return signed + "." + b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def thumbprint():
    numbers = key.public_key().public_numbers()
    jwk = {"crv": "P-256", "kty": "EC", "x": b64(numbers.x.to_bytes(32, "big")), "y": b64(numbers.y.to_bytes(32, "big"))}
    return b64(hashlib.sha256(json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode()).digest())


def assertion(challenge, transport="fetch"):
    global count
    count += 1
    asked = json.loads(unb64(challenge.split(".")[1]))
    now = int(time.time())
    facts = {"platform": "macos", "os_name": "macos", "os_version": "15.3", "managed": True, "device_ids": ids}
    return compact(
        {"alg": "ES256", "typ": "posture+jwt", "x5c": enrolment["certificates"]},
        {
            "eat_profile": "urn:gatepost:posture:1", "iss": "urn:device:" + enrolment["device_id"],
            "sub": enrolment["device_id"], "ueid": enrolment["device_id"], "aud": asked["iss"], "iat": now,
            "exp": now + 60, "jti": b64(os.urandom(16)), "eat_nonce": asked["nonce"],
            "chh": b64(hashlib.sha256(challenge.encode()).digest()), "origin": origin if transport == "fetch" else None, "transport": transport,
            "version": 1, "swname": "mac-agent", "swversion": "0.1.0", "cnf": {"jkt": thumbprint()},
            "key": "software", "counter": count, "last_seen": now - unseen, "collected_at": now,
            "os_user": b64(secrets.token_bytes(12)),
            "posture": {name: facts[name] for name in facts if name.replace("_", "-") in asked["req"]},
        },
    )


class Answers(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Access-Control-Allow-Origin", origin)
        self.send_header("Access-Control-Allow-Headers", "content-type")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_OPTIONS(self):
        self.answer(204)

    # Without a script: a picture that shows the agent, and a visit that is sent back with the answer.
    def do_GET(self):
        address = urllib.parse.urlsplit(self.path)
        challenge = urllib.parse.parse_qs(address.query).get("c", [""])[0]
        if address.path == "/v1/p.gif":
            self.send_response(200)
            self.send_header("Content-Type", "image/gif")
            self.end_headers()
            return self.wfile.write(base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw=="))
        if address.path != "/v1/nav" or challenge.count(".") != 2:
            return self.answer(403)
        back = json.loads(unb64(challenge.split(".")[1]))["rtn"]
        self.send_response(303)
        self.send_header("Location", back + ("&" if "?" in back else "?") + "a=" + assertion(challenge, "navigation"))
        self.end_headers()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Origin"] != origin:
            return self.answer(403)
        self.answer(200, json.dumps({"assertion": assertion(body["challenge"])}).encode())


http.server.ThreadingHTTPServer(("127.0.0.1", port), Answers).serve_forever()
