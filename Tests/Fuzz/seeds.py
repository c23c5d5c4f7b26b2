#!/usr/bin/env python3
"""Makes the first inputs of the targets `agent` and `assertion` out of the protocol's vectors.

    Tests/Fuzz/seeds.py     writes Tests/Fuzz/Corpus/{agent,assertion}/vector-*

Each begins with the byte by which its target chooses (AgentInput.swift, Assertion.swift). Keys of vectors are not those of a
fuzzed program, so a signed token alone goes no further than its signature: what a right key signs is given as a payload, and
`$C` or `$K` stands where a challenge or a key's thumbprint of the running program has to be.
"""
import base64
import json
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VECTORS = ROOT / "Sources/gatepost-agent/Vectors"
HEAD = "Host: 127.0.0.1:17472\r\n"
PAGE = HEAD + "Origin: https://auth.corp.example\r\n"


def payload(token: str) -> bytes:
    part = token.split(".")[1]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def header(token: str) -> bytes:
    part = token.split(".")[0]
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def cases(name: str) -> list:
    return json.loads((VECTORS / name).read_text())["cases"]


def write(target: str, kind: int, name: str, data: bytes):
    folder = ROOT / "Tests/Fuzz/Corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"vector-{kind}-{name}").write_bytes(bytes([kind]) + data)


def request(method: str, target: str, fields: str, body: str = "") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {target} HTTP/1.1\r\n{fields}{length}\r\n{body}".encode()


def chosen(entries: list, wanted: tuple) -> list:
    found = [entry for entry in entries if entry["name"] in wanted]
    assert len(found) == len(wanted), [entry["name"] for entry in found]
    return found


def agent():
    good = cases("challenges.json")[0]["challenge"]
    write("agent", 1, "good", good.encode())
    # A gateway's audience in the fuzzed program.
    own = payload(good).replace(b"urn:gatepost:agents:agents", b"urn:gatepost:agents:fuzz")
    for kind in (2, 6):
        write("agent", kind, "good", own)
        write("agent", kind, "statement-first", own.replace(b'["x5c"]', b'["stmt","x5c"]'))
    write("agent", 6, "question", own.replace(b"posture/return", b"posture/return?x=1"))
    write("agent", 5, "good", b'{"challenge":"$C"}')
    write("agent", 5, "more", b' {"a":[1,{"b":null}],"challenge":"$C"} ')
    write("agent", 4, "nav", b"\0c=$C")
    write("agent", 4, "popup", b"\1c=$C")
    write("agent", 4, "probe", b"\2c=$C")
    json_type = "Content-Type: application/json\r\n"
    # The length counts the challenge that takes the place of $C: 2 characters become its own; only the fuzzer finds that.
    write("agent", 3, "attest", request("POST", "/v1/attest", PAGE + json_type, '{"challenge":"x"}'))
    write("agent", 3, "form", request("POST", "/v1/attest", PAGE + "Content-Type: text/plain\r\n", "challenge=x"))
    asks = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n"
    write("agent", 3, "preflight", request("OPTIONS", "/v1/attest", PAGE + asks))
    write("agent", 3, "private-network", request(
        "OPTIONS", "/v1/attest", PAGE + asks + "Access-Control-Request-Private-Network: true\r\n"))
    write("agent", 3, "stranger", request(
        "POST", "/v1/attest", HEAD + "Origin: https://evil.example\r\n" + json_type, '{"challenge":"x"}'))
    write("agent", 3, "rebound", request("GET", "/v1/nav?c=$C", "Host: evil.example:17472\r\n"))
    modes = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"
    for name, path, fields in (("nav", "/v1/nav", modes), ("popup", "/v1/popup", modes), (
            "probe", "/v1/p.gif", "Sec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n")):
        write("agent", 3, name, request("GET", path + "?c=$C", HEAD + fields))


def assertion():
    entries = cases("assertions.json")
    good = entries[0]["assertion"]
    write("assertion", 0, "good", good.encode())
    own = json.loads(payload(good))
    # As the fuzzed gateway asked.
    own.update(sub="fuzz", eat_nonce=base64.urlsafe_b64encode(bytes([7] * 32)).rstrip(b"=").decode(), chh="c")
    write("assertion", 1, "good", json.dumps(own).encode())
    write("assertion", 2, "good", header(good))
    write("assertion", 3, "certificate", base64.b64decode(json.loads(header(good))["x5c"][0]))
    stated = cases("statements.json")
    write("assertion", 4, "good", stated[0]["statement"].encode())
    wanted = (
        "good, the key named by its thumbprint and brought by the answer", "good, the whole key in the statement",
        "without optional claims", "owner by issuer and subject", "living a second more", "not managed",
        "with both kinds of key", "an owner with both names")
    for number, entry in enumerate(chosen(stated, wanted)):
        members = json.loads(payload(entry["statement"]))
        if "jkt" in members["cnf"]:
            members["cnf"]["jkt"] = "$K"
        write("assertion", 5, str(number), json.dumps(members, separators=(",", ":")).encode())
    write("assertion", 6, "good", header(stated[0]["statement"]))
    write("assertion", 6, "key", header(chosen(stated, ("with jwk in its header",))[0]["statement"]))


agent()
assertion()
