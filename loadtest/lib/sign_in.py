#!/usr/bin/env python3
"""Signs in like a browser, device check included, and writes the application's Cookie field to a file.

    sign_in.py GATEWAY-PORT AGENT-PORT CA-FILE COOKIE-FILE

Every step is a real one: application, auth host, provider's form, callback, agent, proof, handoff. Names under
.localhost are reached on 127.0.0.1, because the C library does not resolve them.
"""
import html
import http.client
import json
import re
import socket
import ssl
import sys
import urllib.parse

APPLICATION = "wiki.localhost"
AUTH = "auth.localhost"
COOKIE = "__Host-gatepost"
STEPS_MAX = 24
TIMEOUT_SECONDS = 15
NAVIGATION = {
    "Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "User-Agent": "gatepost-loadtest",
}


class SignInFailed(Exception):
    pass


class Loopback(http.client.HTTPSConnection):
    """HTTPS to 127.0.0.1 under the name of the URL."""

    def connect(self):
        plain = socket.create_connection(("127.0.0.1", self.port), TIMEOUT_SECONDS)
        # Head and body leave apart: the second would wait for the receiver's delayed acknowledgement.
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self._context.wrap_socket(plain, server_hostname=self.host)


class Browser:
    """Keeps cookies per host, which is all that __Host- cookies need."""

    def __init__(self, authorities):
        self.context = ssl.create_default_context(cafile=authorities)
        self.cookies = {}

    def send(self, method, url, fields=None, body=None):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme == "https":
            connection = Loopback(parts.hostname, parts.port, timeout=TIMEOUT_SECONDS, context=self.context)
        else:
            connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_SECONDS)
        jar = self.cookies.setdefault(parts.hostname, {})
        sent = dict(NAVIGATION if fields is None else fields)
        if jar:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request(method, target, body, sent)
            answer = connection.getresponse()
            text = answer.read(1 << 20).decode("utf-8", "replace")
        finally:
            connection.close()
        for line in answer.headers.get_all("Set-Cookie") or []:
            pair, _, attributes = line.partition(";")
            name, _, value = pair.partition("=")
            if re.search(r"max-age=0\b", attributes, re.I):
                jar.pop(name, None)
            else:
                jar[name] = value
        return answer, text

    def post_json(self, url, origin, value):
        fields = {"Origin": origin, "Content-Type": "application/json", "X-Gatepost-Request": "1"}
        answer, text = self.send("POST", url, fields, json.dumps(value))
        if answer.status != 200:
            raise SignInFailed(f"POST {url}: {answer.status} {text[:300]}")
        return json.loads(text)


def prove_device(browser, transaction, gateway_port, agent_port):
    """The device-check page's script, in Python; returns where the page would go next."""
    origin = f"https://{AUTH}:{gateway_port}"
    offer = browser.post_json(f"{origin}/.gatepost/posture/challenge", origin, {"tx": transaction})
    if "challenge" not in offer:
        raise SignInFailed(f"no challenge: {offer}")
    connection = http.client.HTTPConnection("127.0.0.1", agent_port, timeout=TIMEOUT_SECONDS)
    fields = {"Origin": origin, "Content-Type": "application/json"}
    connection.request("POST", "/v1/attest", json.dumps({"challenge": offer["challenge"]}), fields)
    statement = json.loads(connection.getresponse().read(1 << 20))
    connection.close()
    if "assertion" not in statement:
        raise SignInFailed(f"the agent refused: {statement}")
    proof = {"tx": transaction, "assertion": statement["assertion"]}
    verdict = browser.post_json(f"{origin}/.gatepost/posture/assert", origin, proof)
    if "next" not in verdict:
        raise SignInFailed(f"not proven: {verdict}")
    return verdict["next"]


def sign_in(browser, gateway_port, agent_port, cookie=COOKIE):
    """Returns the value of the application's session cookie; another gateway's has another name."""
    url = f"https://{APPLICATION}:{gateway_port}/bench?page=1"
    method, fields, body = "GET", None, None
    for _ in range(STEPS_MAX):
        answer, text = browser.send(method, url, fields, body)
        here, method, fields, body = url, "GET", None, None
        parts = urllib.parse.urlsplit(here)
        form = re.search(r'name="transaction" value="([^"]+)"', text)
        # A page that keeps the address's fragment on its way; without scripts it goes on by itself.
        onward = re.search(r'<noscript><meta http-equiv="refresh" content="0;url=([^"]+)">', text)
        if answer.status in (301, 302, 303, 307):
            url = urllib.parse.urljoin(here, answer.headers["Location"])
        elif answer.status == 200 and onward:
            url = urllib.parse.urljoin(here, html.unescape(onward.group(1)))
        elif answer.status == 200 and form:
            url, method = urllib.parse.urljoin(here, "/sign-in"), "POST"
            fields = dict(NAVIGATION, **{"Content-Type": "application/x-www-form-urlencoded"})
            body = urllib.parse.urlencode(
                {"transaction": form.group(1), "user": "alice", "password": "alice-demo"})
        elif answer.status == 200 and parts.path == "/.gatepost/posture/start":
            transaction = urllib.parse.parse_qs(parts.query)["tx"][0]
            url = prove_device(browser, transaction, gateway_port, agent_port)
        elif answer.status == 200 and parts.hostname == APPLICATION and not parts.path.startswith("/.gatepost/"):
            return browser.cookies[APPLICATION][cookie]
        else:
            words = re.sub(r"<style.*?</style>|<script.*?</script>|<[^>]+>", " ", text, flags=re.S)
            raise SignInFailed(f"{here}: {answer.status} {' '.join(words.split())[:400]}")
    raise SignInFailed(f"still not signed in after {STEPS_MAX} steps, at {url}")


def cookie_field(secret):
    """With a second cookie, as every real application has one: the gateway takes its own out and leaves this."""
    return f"{COOKIE}={secret}; app_session=8f14e45fceea167a5a36dedd4bea2543; theme=dark"


def main():
    gateway_port, agent_port, authorities, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    try:
        secret = sign_in(Browser(authorities), gateway_port, agent_port)
    except (SignInFailed, OSError, http.client.HTTPException, ValueError) as failure:
        sys.exit(f"loadtest: signing in failed: {failure}")
    with open(path, "w", encoding="ascii") as file:
        file.write(cookie_field(secret) + "\n")


if __name__ == "__main__":
    main()
