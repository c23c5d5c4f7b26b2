#!/usr/bin/env python3
"""Plays browsers and agents for loadtest/handshake: many enrolled devices, many sessions, handshakes at a steady rate.

    handshakes.py prepare GATEWAY-PORT CA-FILE TOKENS-FILE STATE-FILE SESSIONS
    handshakes.py run     GATEWAY-PORT CA-FILE STATE-FILE RATE
    handshakes.py busy    RATE COUNT MICROSECONDS

`prepare` enrols one device for each token of the file and signs SESSIONS sessions in through the provider's form, each with four
device checks begun. `run` answers every one of them once: a challenge fetched, an assertion signed
with the device's key, the verdict read. Real requests throughout; only page and agent are these lines. `busy` uses
as much processor time for each as `run` said that it took, at the same pace, and asks nobody: the control.
"""
import base64
import hashlib
import http.client
import json
import queue
import resource
import secrets
import ssl
import sys
import threading
import time
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

import sign_in

# One less than a session may have: another page of the same browser must not push the first out.
CHECKS_PER_SESSION = 4
WORKERS = 24


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


class Device:
    """A software key and its certificate. The counter is one for all who use the key."""

    def __init__(self, pem, device_id, certificates, counter=0):
        self.key = serialization.load_pem_private_key(pem.encode(), None)
        self.pem, self.device_id, self.certificates, self.counter = pem, device_id, certificates, counter
        self.lock = threading.Lock()
        numbers = self.key.public_key().public_numbers()
        x, y = (b64(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        members = {"crv": "P-256", "kty": "EC", "x": x, "y": y}
        self.thumbprint = b64(hashlib.sha256(compact(members)).digest())
        header = {"alg": "ES256", "typ": "posture+jwt", "x5c": certificates}
        self.header = b64(compact(header))

    def answer(self, challenge):
        claims = json.loads(base64.urlsafe_b64decode(challenge.split(".")[1] + "=="))
        now = int(time.time())
        with self.lock:
            self.counter += 1
            counter = self.counter
        payload = {
            "sub": self.device_id, "aud": claims["iss"], "iat": now, "exp": now + 60, "jti": secrets.token_urlsafe(16),
            "eat_nonce": claims["nonce"], "chh": b64(hashlib.sha256(challenge.encode()).digest()),
            "origin": claims["origin"], "transport": "fetch", "version": 1, "cnf": {"jkt": self.thumbprint},
            "key": "software", "counter": counter, "swname": "loadtest", "swversion": "0.1.0",
            "posture": {"platform": "linux", "os_name": "debian", "os_version": "12"},
        }
        text = self.header + "." + b64(compact(payload))
        r, s = decode_dss_signature(self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return text + "." + b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


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
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    return {"pem": pem, "device_id": value["device_id"], "certificates": value["certificates"]}


class CheckBegun(Exception):
    """The sign-in came to the device check, which is as far as it should go."""


def stop_at_check(_browser, transaction, _gateway_port, _agent_port):
    raise CheckBegun(transaction)


def session(port, authorities):
    """Cookies of a signed-in browser, and its device checks."""
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
    return {"cookie": browser.cookies[sign_in.AUTH][sign_in.COOKIE], "checks": found}


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
        json.dump({"devices": devices, "sessions": made}, file)


class Page:
    """One kept connection to the auth host."""

    def __init__(self, port, context):
        self.connection = sign_in.Loopback(sign_in.AUTH, port, timeout=15, context=context)
        self.origin = f"https://{sign_in.AUTH}:{port}"

    def post(self, path, value, held):
        fields = {
            "Origin": self.origin, "Content-Type": "application/json", "X-Gatepost-Request": "1",
            "Cookie": f"{sign_in.COOKIE}={held['cookie']}"}
        self.connection.request("POST", "/.gatepost/posture/" + path, compact(value), fields)
        answer = self.connection.getresponse()
        text = answer.read()
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, _, rest = line.partition("=")
            if name == sign_in.COOKIE:
                held["cookie"] = rest.split(";", 1)[0]
        return answer.status, json.loads(text)


def run(port, authorities, state_file, rate):
    with open(state_file, encoding="ascii") as file:
        state = json.load(file)
    devices = [Device(**entry) for entry in state["devices"]]
    context = ssl.create_default_context(cafile=authorities)
    work, times, late, failures, lock = queue.Queue(), [], [], {}, threading.Lock()
    # One check of each session after the other, so that no two of one session are under way together.
    for turn in range(CHECKS_PER_SESSION):
        for index, held in enumerate(state["sessions"]):
            # A session belongs to the device that it proved first.
            work.put((held, held["checks"][turn], devices[index % len(devices)]))
    for held in state["sessions"]:
        # A page that is late waits for its session's page before: two at once would outrun each other's cookie.
        held["turn"] = threading.Lock()
    total = work.qsize()
    used = own_seconds()
    began = time.monotonic() + 0.5
    order = iter(range(total))

    def serve():
        page = Page(port, context)
        while True:
            with lock:
                number = next(order, None)
                if number is None:
                    return
                held, check, device = work.get()
            due = began + number / rate
            pause = due - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            with held["turn"]:
                start = time.monotonic()
                status, offer = page.post("challenge", {"tx": check}, held)
                word = offer.get("reason")
                if status == 200:
                    status, verdict = page.post(
                        "assert", {"tx": check, "assertion": device.answer(offer["challenge"])}, held)
                    word = verdict.get("reason")
            with lock:
                if status == 200:
                    times.append(time.monotonic() - start)
                    late.append(start - due)
                else:
                    failures[word] = failures.get(word, 0) + 1

    threads = [threading.Thread(target=serve) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.monotonic() - began
    times.sort()
    late.sort()

    def at(values, share):
        return values[min(len(values) - 1, int(len(values) * share))] * 1000 if values else float("nan")

    print(f"HANDSHAKES {len(times)} of {total}, {len(times) / elapsed:.0f}/s (asked {rate}/s), "
          f"p50 {at(times, 0.5):.1f} ms, p99 {at(times, 0.99):.1f} ms, started late p99 {at(late, 0.99):.1f} ms, "
          f"refused {failures or 0}", flush=True)
    print(f"PLAYER {(own_seconds() - used) / total * 1e6:.0f}", flush=True)
    if failures:
        sys.exit(1)


def own_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def busy(rate, count, microseconds):
    began = time.monotonic() + 0.5
    for number in range(count):
        pause = began + number / rate - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        end = time.thread_time() + microseconds / 1e6
        while time.thread_time() < end:
            hashlib.sha256(b"as much as a handshake takes").digest()


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        prepare(int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5], int(sys.argv[6]))
    elif sys.argv[1] == "busy":
        busy(int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        run(int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5]))
