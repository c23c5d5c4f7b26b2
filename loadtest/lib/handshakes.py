#!/usr/bin/env python3
"""Makes what the players of loadtest/handshake (handshakes.c) need: enrolled devices, and sessions with device checks.

    handshakes.py GATEWAY-PORT CA-FILE TOKENS-FILE STATE-FILE SESSIONS

Enrols one device for each token of the file and signs SESSIONS sessions in through the provider's form, each with four
device checks begun. Real requests throughout. The state file has a line for each: `origin URL`, `device ID THUMBPRINT
HEADER KEY`, `session COOKIE CHECK CHECK CHECK CHECK`.
"""
import base64
import hashlib
import json
import sys
import threading
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import sign_in

# One less than a session may have: another page of the same browser must not push the first out.
CHECKS_PER_SESSION = 4


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


def enroll(port, authorities, token):
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    der = base64.b64encode(request.public_bytes(serialization.Encoding.DER)).decode()
    browser = sign_in.Browser(authorities)
    answer, text = browser.send(
        "POST", f"https://{sign_in.AUTH}:{port}/.gatepost/enroll", {"Content-Type": "application/json"},
        json.dumps({"token": token, "csr": der, "facts": {"platform": "linux"}}))
    if answer.status != 200:
        sys.exit(f"handshakes: enrolment answered {answer.status} {text[:200]}")
    value = json.loads(text)
    numbers = key.public_key().public_numbers()
    x, y = (b64(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
    thumbprint = b64(hashlib.sha256(compact({"crv": "P-256", "kty": "EC", "x": x, "y": y})).digest())
    header = b64(compact({"alg": "ES256", "typ": "posture+jwt", "x5c": value["certificates"]}))
    der = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return " ".join(["device", value["device_id"], thumbprint, header, b64(der)])


class CheckBegun(Exception):
    """The sign-in came to the device check, which is as far as it should go."""


def stop_at_check(_browser, transaction, _gateway_port, _agent_port):
    raise CheckBegun(transaction)


def session(port, authorities):
    """The line of a signed-in browser: its cookie and its device checks."""
    browser = sign_in.Browser(authorities)
    found = []
    try:
        sign_in.sign_in(browser, port, 0)
    except CheckBegun as begun:
        found.append(str(begun))
    while len(found) < CHECKS_PER_SESSION:
        answer, _ = browser.send("GET", f"https://{sign_in.APPLICATION}:{port}/bench?page={len(found)}")
        target = urllib.parse.urlsplit(answer.headers.get("Location") or "")
        if answer.status not in (302, 303) or not target.path.endswith("/posture/start"):
            sys.exit(f"handshakes: the application answered {answer.status} instead of a device check")
        found.append(urllib.parse.parse_qs(target.query)["tx"][0])
    return " ".join(["session", browser.cookies[sign_in.AUTH][sign_in.COOKIE], *found])


def prepare(port, authorities, tokens_file, state_file, count):
    with open(tokens_file, encoding="ascii") as file:
        devices = [enroll(port, authorities, line.strip()) for line in file if line.strip()]
    # One function for all threads: each sign-in hears of its own check through the exception.
    sign_in.prove_device = stop_at_check
    wanted, made, lock = list(range(count)), [], threading.Lock()

    def work():
        while True:
            with lock:
                if not wanted:
                    return
                wanted.pop()
            one = session(port, authorities)
            with lock:
                made.append(one)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(made) < count:
        sys.exit("handshakes: not every session was signed in")
    with open(state_file, "w", encoding="ascii") as file:
        print(f"origin https://{sign_in.AUTH}:{port}", *devices, *made, sep="\n", file=file)


if __name__ == "__main__":
    prepare(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
