"""statements.json: answers of profile `stmt`, each with the statement beside it (PROTOCOL.md section 9)."""
from cryptography.hazmat.primitives.asymmetric import ed25519

from vectorlib import *

SERVER, SERVER_NEXT, SERVER_ENDED, STRANGER = key("management"), key("management, next"), key("management, ended"), key("stranger")
DEVICE, COPY = key("device"), key("other device")
CURVE_DEVICE = ed25519.Ed25519PrivateKey.from_private_bytes(seeded("key curve device"))
ISSUER, TENANT, SUBJECT = "https://management.corp.example", "corp", "laptop-7"
DAY = 86_400


def curve_jwk(private) -> dict:
    raw = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": b64(raw)}


def curve_thumbprint(private) -> str:
    members = curve_jwk(private)
    return b64(hashlib.sha256(dump({name: members[name] for name in ("crv", "kty", "x")})).digest())


def curve_token(header: dict, payload: dict, private) -> str:
    text = b64(dump({**header, "alg": "EdDSA"})) + "." + b64(dump(payload))
    return text + "." + b64(private.sign(text.encode()))


def kept(payload: dict) -> dict:
    return {member: value for member, value in payload.items() if value is not ...}


def server_der(private, ends=NOW + 3_650 * DAY) -> bytes:
    return certificate("Vector management", private.public_key(), "Vector management", private,
                       begins=NOW - 30 * DAY, ends=ends, usage=None)


def statement(header=None, signer=SERVER, alg="ES256", **changes) -> str:
    payload = {
        "iss": ISSUER, "tenant": TENANT, "sub": SUBJECT, "iat": NOW - 60, "exp": NOW + DAY - 60, "managed": True,
        "last_seen": NOW - 3_600, "cnf": {"jkt": thumbprint(DEVICE.public_key())},
        "owner": {"email": "alice@corp.example"}, "device_ids": {"serial": "C02XG0FD"},
    }
    payload.update(changes)
    return token({"typ": "device-statement+jwt", **(header or {})}, kept(payload), signer, alg)


def answer_payload(challenge: str, **changes) -> dict:
    payload = {
        "sub": SUBJECT, "aud": ORIGIN, "iat": NOW, "exp": NOW + 60, "jti": b64(seeded("answer jti", 16)),
        "eat_nonce": b64(seeded("nonce")), "chh": b64(hashlib.sha256(challenge.encode()).digest()), "origin": ORIGIN,
        "transport": "fetch", "version": 1, "swname": "vector-agent", "swversion": "1.0",
        "cnf": {"jkt": thumbprint(DEVICE.public_key())}, "key": "software", "counter": 1, "posture": {"platform": "linux"},
    }
    payload.update(changes)
    return kept(payload)


def statements(challenge: str) -> dict:
    cases = []
    own = {"jwk": jwk(DEVICE.public_key())}

    def answer(header=own, signer=DEVICE, **changes) -> str:
        return token({"typ": "posture+jwt", **header}, answer_payload(challenge, **changes), signer)

    def case(name, stated, expected, said=None, now=NOW, **more):
        cases.append({"name": name, "now": now, "statement": stated, "assertion": said or answer(), "expected": expected, **more})

    def refused(name, expected, **changes):
        case(name, statement(**changes), expected)

    good, by_key = statement(), statement(cnf={"jwk": jwk(DEVICE.public_key())})
    case("good, the key named by its thumbprint and brought by the answer", good, "accepted")
    case("good, the whole key in the statement", by_key, "accepted", answer({}))
    case("by the next certificate", statement(signer=SERVER_NEXT), "accepted")
    case("without optional claims", statement(owner=..., device_ids=...), "accepted")
    case("with claims that nobody knows", statement(future={"a": 1}), "accepted")
    case("owner by issuer and subject", statement(owner={"iss": "https://idp.example", "sub": "alice"}), "accepted")
    case("a device key on Ed25519", statement(cnf={"jwk": curve_jwk(CURVE_DEVICE)}), "accepted", curve_token(
        {"typ": "posture+jwt"}, answer_payload(challenge, cnf={"jkt": curve_thumbprint(CURVE_DEVICE)}), CURVE_DEVICE))
    case("the same statement again", good, "accepted", newest=NOW - 60)
    case("newer than the newest one seen", good, "accepted", newest=NOW - 61)
    case("older than the newest one seen", good, "statement-expired", newest=NOW - 59)

    refused("living exactly 24 hours", "accepted", iat=NOW - 60, exp=NOW - 60 + DAY)
    refused("living a second more", "statement-invalid", iat=NOW - 60, exp=NOW - 59 + DAY)
    refused("ending when it begins", "statement-invalid", iat=NOW, exp=NOW)
    case("in its last second", good, "accepted", answer(iat=NOW + DAY - 61, exp=NOW + DAY - 1), NOW + DAY - 61)
    case("at its end", good, "statement-expired", answer(iat=NOW + DAY - 60, exp=NOW + DAY), NOW + DAY - 60)
    refused("made 120 s from now", "accepted", iat=NOW + 120, exp=NOW + 3_600)
    refused("made 121 s from now", "clock-skew", iat=NOW + 121, exp=NOW + 3_600)
    refused("times whose difference no machine word holds", "statement-invalid", iat=-(2 ** 63) + 1, exp=2 ** 63 - 1)
    for member in ("sub", "iat", "exp", "managed", "last_seen", "cnf"):
        refused(f"without {member}", "statement-invalid", **{member: ...})
    refused("without an issuer", "certificate-untrusted", iss=...)
    refused("of another issuer", "certificate-untrusted", iss="https://other.example")
    refused("of another tenant", "certificate-untrusted", tenant="other")
    refused("without the tenant", "certificate-untrusted", tenant=...)
    refused("managed as a text", "statement-invalid", managed="true")
    refused("not managed", "device-not-managed", managed=False)
    refused("seen exactly 7 days ago", "accepted", last_seen=NOW - 7 * DAY)
    refused("seen a second before that", "last-seen-stale", last_seen=NOW - 7 * DAY - 1)
    refused("seen 121 s from now", "last-seen-stale", last_seen=NOW + 121)
    refused("with both kinds of key", "statement-invalid",
            cnf={"jwk": jwk(DEVICE.public_key()), "jkt": thumbprint(DEVICE.public_key())})
    refused("with no key in cnf", "statement-invalid", cnf={"x5t#S256": thumbprint(DEVICE.public_key())})
    refused("with a thumbprint that is too short", "statement-invalid", cnf={"jkt": "AAAA"})
    refused("a name that is no device id", "statement-invalid", sub="laptop 7")
    refused("an owner with both names", "statement-invalid", owner={"email": "a@b", "iss": "i", "sub": "s"})

    refused("by a stranger", "certificate-untrusted", signer=STRANGER)
    refused("by a certificate that ended", "certificate-expired", signer=SERVER_ENDED)
    refused("by the device itself", "certificate-untrusted", signer=DEVICE)
    refused("of another type", "signature-invalid", header={"typ": "JWT"})
    refused("of an assertion's type", "signature-invalid", header={"typ": "posture+jwt"})
    for member, value in (("jwk", jwk(SERVER.public_key())), ("jku", "https://evil.example/"), ("x5u", "https://evil.example/"),
                          ("x5c", [std64(server_der(SERVER))])):
        refused(f"with {member} in its header", "signature-invalid", header={member: value})
    refused("with an extension that must be understood", "signature-invalid", header={"crit": ["exp"], "exp": 1})
    refused("with alg ES384 over a right signature", "certificate-untrusted", alg="ES384")
    changed = good.split(".")
    changed[1] = b64(unb64(changed[1]).replace(b"laptop-7", b"laptop-8"))
    case("with a changed payload", ".".join(changed), "certificate-untrusted")
    case("larger than 8 KiB", statement(filler="a" * 8192), "signature-invalid")
    case("empty", "", "signature-invalid")

    case("an answer by another key than the statement's", good, "signature-invalid", answer(signer=COPY))
    case("an answer that brings another key", good, "signature-invalid", answer({"jwk": jwk(COPY.public_key())}, COPY))
    case("an answer that brings no key for a thumbprint", good, "signature-invalid", answer({}))
    case("an answer that brings a key beside the statement's", by_key, "signature-invalid")
    case("an answer with the stated key's name and another one's signature", by_key, "signature-invalid", answer({}, COPY))
    case("an answer that names another key", good, "signature-invalid", answer(cnf={"jkt": thumbprint(COPY.public_key())}))
    case("an answer that names another device", good, "signature-invalid", answer(sub="laptop-8"))
    case("an answer with a certificate, too", good, "statement-invalid", answer({**own, "x5c": [std64(server_der(SERVER))]}))
    case("an answer for another challenge", good, "statement-invalid", answer(chh=b64(seeded("another challenge"))))
    case("of a revoked device", statement(sub="revoked-device"), "certificate-revoked", answer(sub="revoked-device"))

    shared = {"tenant": TENANT, "managed": True, "last_seen": NOW - 60, "cnf": {"jkt": thumbprint(SERVER.public_key())}}
    alone = token({"typ": "posture+jwt"}, answer_payload(challenge, **shared), SERVER)
    case("the server's own key alone, where that is allowed", None, "accepted", alone, shared_key=True)
    case("the server's own key alone, where it is not", None, "certificate-untrusted", alone)
    case("a stranger's key alone, where the shared one is allowed", None, "certificate-untrusted",
         token({"typ": "posture+jwt"}, answer_payload(challenge, **shared), STRANGER), shared_key=True)
    case("the shared key with a key in the header", None, "signature-invalid",
         token({"typ": "posture+jwt", **own}, answer_payload(challenge, **shared), SERVER), shared_key=True)
    case("the shared key for another tenant", None, "certificate-untrusted",
         token({"typ": "posture+jwt"}, answer_payload(challenge, **{**shared, "tenant": "other"}), SERVER), shared_key=True)
    return {
        "about": "What a gateway that trusts this management server says to each answer for this challenge. See README.md.",
        "auth_origin": ORIGIN, "challenge": challenge, "issuer": ISSUER, "tenant": TENANT,
        "certificates": [std64(server_der(SERVER)), std64(server_der(SERVER_NEXT)), std64(server_der(SERVER_ENDED, NOW - 1))],
        "revoked": ["revoked-device"], "cases": cases,
    }
