#!/usr/bin/env python3
"""Makes the files of vectors beside this file.

    generate.py            writes them
    generate.py --check    says whether the files are exactly what this program makes

Python 3 with `cryptography` (scripts/bootstrap clients installs it into .build/vendor-clients). Signatures are deterministic
(RFC 6979), so the files are the same on every machine.
"""
import hashlib
import json
import pathlib
import sys

from enrolment_vectors import attestations, renewals, successions
from statement_vectors import statements
from vectorlib import *

HERE = pathlib.Path(__file__).parent
GATEWAY, NEXT, STRANGER = key("gateway"), key("gateway, next"), key("stranger")
ROOT, ROOT_NEXT = key("root"), key("root, next")
AUTHORITY, OTHER_AUTHORITY, MIDDLE = key("authority"), key("other authority"), key("middle authority")
DEVICE, COPY = key("device"), key("other device")
DEVICE_ID = "6f9619ff-8b86-d011-b42d-00c04fc964ff"


def named(entries) -> dict:
    return {"keys": [{**jwk(private.public_key()), "kid": kid} for kid, private in entries]}


# Challenges -----------------------------------------------------------------------------------------------

def challenge_payload(**changes) -> dict:
    payload = {
        "iss": ORIGIN, "aud": AUDIENCE, "iat": NOW, "nbf": NOW, "exp": NOW + 60, "jti": b64(seeded("jti", 16)),
        "nonce": b64(seeded("nonce")), "origin": ORIGIN, "app": "wiki", "txh": b64(seeded("txh")),
        "rtn": ORIGIN + "/.gatepost/posture/return", "req": ["platform", "os-name", "device-ids"],
        "profiles": ["x5c"], "versions": {"min": 1, "max": 1}, "key_seq": 2,
    }
    payload.update(changes)
    return {member: value for member, value in payload.items() if value is not None}


CHALLENGE_HEADER = {"typ": "posture-challenge+jwt", "kid": "challenge-1"}


def challenge(header=None, signer=GATEWAY, alg="ES256", **changes) -> str:
    return token({**CHALLENGE_HEADER, **(header or {})}, challenge_payload(**changes), signer, alg)


def doubled_member() -> str:
    body = dump(challenge_payload())[:-1] + b',"origin":"https://evil.example"}'
    return token(CHALLENGE_HEADER, body, GATEWAY)


def reencoded(text: str, part: int, change) -> str:
    parts = text.split(".")
    parts[part] = change(parts[part])
    return ".".join(parts)


def unsigned(alg: str, signature: bytes) -> str:
    return b64(dump({**CHALLENGE_HEADER, "alg": alg})) + "." + b64(dump(challenge_payload())) + "." + b64(signature)


def challenges() -> dict:
    cases = []

    def case(name, clause, text, expected, now=NOW):
        cases.append({"name": name, "section": clause, "now": now, "challenge": text, "expected": expected})

    def refused(name, word, header=None, now=NOW, **changes):
        case(name, "6", challenge(header, **changes), word, now)

    def untrusted(name, text):
        case(name, "7.7", text, "gateway-not-trusted")

    good = challenge()
    case("good", "6", good, "accepted")
    case("by the next key", "5", challenge({"kid": "challenge-2"}, NEXT), "accepted")
    case("without optional claims", "6.1",
         challenge(app=None, txh=None, req=None, key_seq=None), "accepted")
    case("with claims that nobody knows", "13", challenge(future={"a": [1]}), "accepted")
    case("for devices with a statement only", "6.1", challenge(profiles=["stmt"]), "accepted")
    case("another profile beside the known one", "6.1", challenge(profiles=["x5c", "unknown"]), "accepted")
    case("a wider range of versions", "13", challenge(versions={"min": 1, "max": 7}), "accepted")
    for offset, word in ((-121, "clock-skew"), (-120, "accepted"), (180, "clock-skew"), (120, "accepted"),
                         (121, "clock-skew"), (181, "challenge-expired")):
        case(f"read {offset} s after it was made", "6.2", good, word, NOW + offset)
    case("made to live exactly 60 s", "6.1", challenge(exp=NOW + 60), "accepted")
    refused("made to live 61 s", "request-malformed", exp=NOW + 61)
    refused("made to end when it begins", "request-malformed", exp=NOW)
    refused("begins 121 s from now", "clock-skew", iat=NOW + 100, nbf=NOW + 121, exp=NOW + 130)
    refused("begins after its end", "request-malformed", nbf=NOW + 61)
    refused("times whose difference no machine word holds", "request-malformed",
            iat=-(2 ** 63) + 1, nbf=0, exp=2 ** 63 - 1)
    refused("a time that is a text", "request-malformed", iat=str(NOW))
    refused("a time with a fraction", "request-malformed", iat=NOW + 0.5)
    for member in ("iat", "nbf", "exp", "jti", "nonce", "rtn", "profiles", "versions"):
        refused(f"without {member}", "request-malformed", **{member: None})
    refused("without aud", "audience-mismatch", aud=None)
    refused("for other agents", "audience-mismatch", aud="urn:gatepost:agents:other")
    refused("for a list of agents", "audience-mismatch", aud=[AUDIENCE])
    refused("for an audience in another case", "audience-mismatch", aud=AUDIENCE.upper())
    refused("a nonce of 31 bytes", "request-malformed", nonce=b64(seeded("nonce", 31)))
    refused("a nonce of 33 bytes", "request-malformed", nonce=b64(seeded("nonce") + b"x"))
    refused("a jti of 129 bytes", "request-malformed", jti="j" * 129)
    case("a jti of 128 bytes", "6.1", challenge(jti="j" * 128), "accepted")
    refused("an empty jti", "request-malformed", jti="")
    refused("a way back to another site", "request-malformed", rtn="https://evil.example/")
    refused("a way back to a host that begins alike", "request-malformed", rtn=ORIGIN + ".evil.example/")
    refused("a way back with user information", "request-malformed", rtn=ORIGIN + "@evil.example/")
    refused("only unknown profiles", "request-malformed", profiles=["unknown"])
    refused("only newer versions", "request-malformed", versions={"min": 2, "max": 3})
    refused("made for another origin", "origin-not-allowed", origin="https://evil.example")
    refused("made for the origin in another case", "origin-not-allowed", origin=ORIGIN.upper())
    refused("made for no origin", "origin-not-allowed", origin=None)

    untrusted("by a key that is not pinned, under a pinned name", challenge(signer=STRANGER))
    untrusted("by a pinned key under the other's name", challenge({"kid": "challenge-2"}))
    untrusted("under an unknown name", challenge({"kid": "challenge-9"}))
    untrusted("under the name in another case", challenge({"kid": "CHALLENGE-1"}))
    untrusted("with its key in the header",
              challenge({"kid": "challenge-9", "jwk": jwk(STRANGER.public_key())}, STRANGER))
    untrusted("of another type", challenge({"typ": "JWT"}))
    untrusted("from another gateway", challenge(iss="https://other.example"))
    untrusted("from the issuer in another case", challenge(iss=ORIGIN.upper()))
    untrusted("with an extension that must be understood", challenge({"crit": ["exp"], "exp": 1}))
    untrusted("with an unencoded payload", challenge({"b64": False, "crit": ["b64"]}))
    untrusted("with alg none and no signature", unsigned("none", b""))
    untrusted("with alg HS256 over the public key", unsigned("HS256", hashlib.sha256(b"x").digest()))
    untrusted("with alg ES384 over a right signature", challenge(alg="ES384"))
    untrusted("with alg in another case", challenge(alg="es256"))
    untrusted("with a signature of zeros", unsigned("ES256", bytes(64)))
    untrusted("with a signature in DER", reencoded(good, 2, lambda part: b64(
        encode_dss_signature(int.from_bytes(unb64(part)[:32], "big"), int.from_bytes(unb64(part)[32:], "big")))))
    untrusted("with a signature that lacks its end", good[:-4])
    untrusted("with a changed payload", reencoded(good, 1, lambda _: b64(dump(challenge_payload(app="other")))))
    untrusted("with a fourth part", good + ".x")
    untrusted("with two parts", good.rsplit(".", 1)[0])
    untrusted("with padding", good + "=")
    untrusted("with white space", good[:10] + "\n" + good[10:])
    untrusted("with a member twice", doubled_member())
    untrusted("with a payload that is no object", token(CHALLENGE_HEADER, b"[]", GATEWAY))
    untrusted("larger than 8 KiB", challenge(app="a" * 8192))
    untrusted("empty", "")
    return {
        "about": "What an agent with these pins says to each challenge at each time. See README.md.",
        "auth_origin": ORIGIN, "audience": AUDIENCE,
        "gateway_keys": named([("challenge-1", GATEWAY), ("challenge-2", NEXT)]), "cases": cases,
    }


# Assertions -----------------------------------------------------------------------------------------------

def authority_der(private=AUTHORITY, subject="Vector devices") -> bytes:
    return certificate(subject, private.public_key(), subject, private,
                       begins=NOW - 86_400, ends=NOW + 3_650 * 86_400, authority=1)


def leaf(private=DEVICE, signer=AUTHORITY, issuer="Vector devices", **changes) -> bytes:
    settings = {"begins": NOW - 3_600, "ends": NOW + 14 * 86_400, "uris": ("urn:device:" + DEVICE_ID,)}
    settings.update(changes)
    return certificate(DEVICE_ID, private.public_key(), issuer, signer, **settings)


CHALLENGE = challenge()


def assertion(header=None, signer=DEVICE, chain=None, alg="ES256", **changes) -> str:
    payload = {
        "eat_profile": "urn:gatepost:posture:1", "iss": "urn:device:" + DEVICE_ID, "sub": DEVICE_ID, "aud": ORIGIN,
        "iat": NOW, "exp": NOW + 60, "jti": b64(seeded("assertion jti", 16)), "eat_nonce": b64(seeded("nonce")),
        "chh": b64(hashlib.sha256(CHALLENGE.encode()).digest()), "origin": ORIGIN, "transport": "fetch", "version": 1,
        "ueid": DEVICE_ID, "swname": "vector-agent", "swversion": "1.0",
        "cnf": {"jkt": thumbprint(DEVICE.public_key())}, "key": "software", "counter": 1, "last_seen": NOW - 3_600,
        "collected_at": NOW - 5, "posture": {"platform": "linux", "os_name": "debian"},
    }
    payload.update(changes)
    payload = {member: value for member, value in payload.items() if value is not ...}
    entries = [std64(der) for der in (chain or [leaf()])]
    return token({"typ": "posture+jwt", "x5c": entries, **(header or {})}, payload, signer, alg)


def assertions() -> dict:
    cases = []

    def case(name, text, expected, now=NOW):
        cases.append({"name": name, "now": now, "assertion": text, "expected": expected})

    middle = certificate("Vector middle", MIDDLE.public_key(), "Vector devices", AUTHORITY,
                         begins=NOW - 86_400, ends=NOW + 365 * 86_400, authority=0)
    good = assertion()
    case("good", good, "accepted")
    case("with the authority's certificate beside it", assertion(chain=[leaf(), authority_der()]), "accepted")
    case("through an authority in the middle",
         assertion(chain=[leaf(signer=MIDDLE, issuer="Vector middle"), middle]), "accepted")
    case("without optional claims", assertion(
        eat_profile=..., iss=..., ueid=..., last_seen=..., collected_at=...), "accepted")
    case("with claims that nobody knows", assertion(future=[1]), "accepted")
    case("with a key that the agent calls hardware", assertion(key="claimed"), "accepted")
    for offset, word in ((-121, "clock-skew"), (-120, "accepted"), (120, "accepted"), (121, "clock-skew")):
        case(f"made {offset} s from the gateway's time", assertion(iat=NOW + offset, exp=NOW + offset + 60), word)
    case("living 61 s", assertion(exp=NOW + 61), "statement-invalid")
    case("ending when it begins", assertion(exp=NOW), "statement-invalid")
    case("a time whose difference no machine word holds", assertion(iat=-(2 ** 63) + 1, exp=2 ** 63 - 1), "statement-invalid")
    case("a time that is a text", assertion(iat=str(NOW)), "statement-invalid")
    for member in ("sub", "aud", "iat", "exp", "chh", "transport", "version", "cnf", "key", "counter", "swname",
                   "swversion", "posture"):
        case(f"without {member}", assertion(**{member: ...}), "statement-invalid")
    case("without a nonce", assertion(eat_nonce=...), "statement-invalid")
    case("with another nonce", assertion(eat_nonce=b64(seeded("another nonce"))), "nonce-unknown")
    case("with the nonce in padded base64", assertion(eat_nonce=b64(seeded("nonce")) + "="), "statement-invalid")
    case("for another challenge", assertion(chh=b64(seeded("another challenge"))), "statement-invalid")
    case("for another gateway", assertion(aud="https://other.example"), "audience-mismatch")
    case("for a list of gateways", assertion(aud=[ORIGIN]), "audience-mismatch")
    case("seen from another origin", assertion(origin="https://evil.example"), "origin-mismatch")
    case("seen from the origin in another case", assertion(origin=ORIGIN.upper()), "origin-mismatch")
    case("over fetch without an origin", assertion(origin=None), "origin-mismatch")
    case("over a transport that nobody offers", assertion(transport="carrier-pigeon"), "statement-invalid")
    case("in a version that is not spoken", assertion(version=2), "statement-invalid")
    case("with a key level that does not exist", assertion(key="golden"), "statement-invalid")
    case("with a negative counter", assertion(counter=-1), "statement-invalid")
    case("with a posture that is a list", assertion(posture=[]), "statement-invalid")
    case("naming another device", assertion(sub="another-device"), "signature-invalid")
    case("naming another key", assertion(cnf={"jkt": thumbprint(COPY.public_key())}), "signature-invalid")
    case("signed by another key than the certificate's", assertion(signer=COPY), "signature-invalid")
    case("of another type", assertion({"typ": "JWT"}), "signature-invalid")
    case("of a challenge's type", assertion({"typ": "posture-challenge+jwt"}), "signature-invalid")
    case("with alg ES384 over a right signature", assertion(alg="ES384"), "signature-invalid")
    case("with alg in another case", assertion(alg="es256"), "signature-invalid")
    case("with alg none and no signature",
         reencoded(reencoded(good, 0, lambda part: b64(unb64(part).replace(b"ES256", b"none"))), 2, lambda _: ""),
         "signature-invalid")
    case("with an extension that must be understood", assertion({"crit": ["exp"], "exp": 1}), "signature-invalid")
    for member, value in (("jwk", jwk(DEVICE.public_key())), ("jku", "https://evil.example/"), ("x5u", "https://evil.example/")):
        case(f"with {member} in the header", assertion({member: value}), "signature-invalid")
    case("with a changed payload", reencoded(good, 1, lambda part: b64(unb64(part).replace(b"debian", b"ubuntu"))),
         "signature-invalid")
    case("with a signature of zeros", reencoded(good, 2, lambda _: b64(bytes(64))), "signature-invalid")
    case("with a signature in DER", reencoded(good, 2, lambda part: b64(
        encode_dss_signature(int.from_bytes(unb64(part)[:32], "big"), int.from_bytes(unb64(part)[32:], "big")))),
        "signature-invalid")
    case("without certificates", assertion({"x5c": []}), "certificate-untrusted")
    case("with a certificate that is no base64", assertion({"x5c": ["?"]}), "certificate-untrusted")
    case("with five certificates", assertion(chain=[leaf()] * 5), "certificate-untrusted")
    case("by another authority", assertion(
        chain=[leaf(signer=OTHER_AUTHORITY, issuer="Others"), authority_der(OTHER_AUTHORITY, "Others")]),
        "certificate-untrusted")
    case("by another authority of the same name", assertion(chain=[leaf(signer=OTHER_AUTHORITY)]),
         "certificate-untrusted")
    case("with its own certificate as authority", assertion(chain=[leaf(signer=DEVICE, issuer=DEVICE_ID)]),
         "certificate-untrusted")
    case("with a certificate that ended", assertion(chain=[leaf(ends=NOW - 1)]), "certificate-expired")
    case("with a certificate that has not begun", assertion(chain=[leaf(begins=NOW + 300)]), "certificate-untrusted")
    case("with a certificate for servers", assertion(chain=[leaf(usage="1.3.6.1.5.5.7.3.1")]), "certificate-untrusted")
    case("with a certificate for nothing", assertion(chain=[leaf(usage=None)]), "certificate-untrusted")
    case("with a certificate that may not sign", assertion(chain=[leaf(signs=False)]), "certificate-untrusted")
    case("with a certificate without a device", assertion(chain=[leaf(uris=())]), "certificate-untrusted")
    case("with a certificate of two devices",
         assertion(chain=[leaf(uris=("urn:device:a", "urn:device:b"))]), "certificate-untrusted")
    case("with the authority itself as device", assertion(signer=AUTHORITY, chain=[authority_der()]), "certificate-untrusted")
    case("of a revoked device", assertion(
        sub="revoked-device", chain=[leaf(uris=("urn:device:revoked-device",))]), "certificate-revoked")
    return {
        "about": "What a gateway of this authority says to each assertion for this challenge. See README.md.",
        "auth_origin": ORIGIN, "authority": std64(authority_der()), "challenge": CHALLENGE,
        "revoked": ["revoked-device"], "cases": cases,
    }


# Announcements of keys --------------------------------------------------------------------------------------

def announcement(signers=(("root-1", ROOT),), **changes) -> list:
    payload = {
        "iss": ORIGIN, "aud": AUDIENCE, "seq": 5,
        "keys": named([("challenge-1", GATEWAY), ("challenge-2", NEXT)]), "roots": named([("root-1", ROOT), ("root-2", ROOT_NEXT)]),
    }
    payload.update(changes)
    payload = {member: value for member, value in payload.items() if value is not None}
    return [token({"typ": "gateway-keys+jwt", "kid": kid}, payload, private) for kid, private in signers]


def announcements() -> dict:
    pinned = {"seq": 5, "roots": named([("root-1", ROOT)])}
    cases = []

    def case(name, texts, expected):
        cases.append({"name": name, "texts": texts, "expected": expected})

    case("the next one", announcement(seq=6), "accepted")
    case("by two roots, one of them pinned", announcement((("root-2", ROOT_NEXT), ("root-1", ROOT)), seq=6), "accepted")
    case("the newest root alone", announcement((("root-2", ROOT_NEXT),), seq=6), "refused")
    case("by a stranger under the pinned name", announcement((("root-1", STRANGER),), seq=6), "refused")
    case("by a challenge key", announcement((("challenge-1", GATEWAY),), seq=6), "refused")
    case("none", [], "refused")
    case("five texts", announcement(seq=6) * 5, "refused")
    case("without a number", announcement(seq=None), "refused")
    case("with number 0", announcement(seq=0), "refused")
    case("without challenge keys", announcement(seq=6, keys={"keys": []}), "refused")
    case("without roots", announcement(seq=6, roots=None), "refused")
    case("with two keys of one name", announcement(seq=6, keys=named([("a", GATEWAY), ("a", NEXT)])), "refused")
    case("with nine keys", announcement(seq=6, keys=named([(f"k{n}", GATEWAY) for n in range(9)])), "refused")
    case("with a key without a name", announcement(seq=6, keys={"keys": [jwk(GATEWAY.public_key())]}), "refused")
    case("of another type", [token({"typ": "JWT", "kid": "root-1"}, {"seq": 6}, ROOT)], "refused")
    return {"about": "Which announcements an agent with this pinned root follows. See README.md.",
            "pinned": pinned, "cases": cases}


def main() -> int:
    problems = 0
    for file, value in (("challenges.json", challenges()), ("assertions.json", assertions()),
                        ("announcements.json", announcements()), ("statements.json", statements(CHALLENGE)),
                        ("renewals.json", renewals(authority_der, leaf)), ("successions.json", successions()),
                        ("attestations.json", attestations())):
        text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
        path = HERE / file
        if "--check" in sys.argv:
            if not path.exists() or path.read_text() != text:
                print(f"{file}: differs from what generate.py makes; next: generate.py")
                problems = 1
        else:
            path.write_text(text)
            print(f"{file}: {len(value['cases'])} cases")
    return problems


if __name__ == "__main__":
    sys.exit(main())
