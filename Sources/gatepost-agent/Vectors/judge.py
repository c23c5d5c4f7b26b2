#!/usr/bin/env python3
"""Judges the vectors as PROTOCOL.md says, without any of the product's code, and says where it disagrees.

    judge.py              all files
    judge.py --answer     reads {"challenge", "assertion", "authority", "now"} from standard input: an answer of a real agent
    judge.py --credential reads {"credential", "seed", "name"}: what a real gateway sealed for the vectors' endorsement key;
                          prints the secret in base64

A second reading of the document: generate.py writes what is expected, this file finds out. Signatures are checked by PyJWT,
certificates by `cryptography`.
"""
import json
import pathlib
import sys

import jwt
from cryptography.x509 import ExtensionOID

from vectorlib import *

HERE = pathlib.Path(__file__).parent
LARGEST = 2 ** 53


class Refused(Exception):
    pass


def refuse(word):
    raise Refused(word)


def strict_json(data: bytes):
    def pairs(items):
        names = [item[0] for item in items]
        if len(set(names)) != len(names):
            raise ValueError("a doubled member")
        return dict(items)

    return json.loads(data.decode("utf-8"), object_pairs_hook=pairs)


def integer(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST


def open_token(text: str, kind: str, limit: int, word: str, algorithms=("ES256",)):
    """Header and payload of a token whose form is right; nothing is verified yet."""
    try:
        if len(text.encode()) > limit:
            raise ValueError("too long")
        parts = text.split(".")
        if len(parts) != 3:
            raise ValueError("not three parts")
        header, payload = strict_json(unb64(parts[0])), strict_json(unb64(parts[1]))
        signature = unb64(parts[2])
        if not isinstance(header, dict) or not isinstance(payload, dict) or len(signature) != 64:
            raise ValueError("no object, or no signature of ES256 or EdDSA")
    except ValueError:
        refuse(word)
    if header.get("typ") != kind or header.get("alg") not in algorithms or "crit" in header or "b64" in header:
        refuse(word)
    return header, payload


def signed_by(text: str, public) -> bool:
    try:
        kind = "ES256" if isinstance(public, ec.EllipticCurvePublicKey) else "EdDSA"
        jwt.api_jws.PyJWS().decode(text, public, algorithms=[kind])
        return True
    except (jwt.InvalidTokenError, jwt.InvalidKeyError, TypeError, ValueError):
        return False


def public_of(members: dict):
    return jwt.algorithms.ECAlgorithm.from_jwk(json.dumps(members))


def judge_challenge(text: str, now: int, pins: dict) -> dict:
    header, payload = open_token(text, "posture-challenge+jwt", 8 << 10, "gateway-not-trusted")
    pinned = [entry for entry in pins["gateway_keys"]["keys"] if entry["kid"] == header.get("kid")]
    if not pinned or not signed_by(text, public_of(pinned[0])) or payload.get("iss") != pins["auth_origin"]:
        refuse("gateway-not-trusted")
    if payload.get("aud") != pins["audience"]:
        refuse("audience-mismatch")
    times = [payload.get(name) for name in ("iat", "nbf", "exp")]
    if not all(integer(value) for value in times):
        refuse("request-malformed")
    issued, begins, expires = times
    if not issued < expires <= issued + 60 or begins > expires:
        refuse("request-malformed")
    jti, nonce, back = payload.get("jti"), payload.get("nonce"), payload.get("rtn")
    if not isinstance(jti, str) or not 1 <= len(jti.encode()) <= 128 or not isinstance(back, str):
        refuse("request-malformed")
    try:
        if len(unb64(nonce)) != 32:
            raise ValueError
    except (ValueError, TypeError):
        refuse("request-malformed")
    versions, profiles = payload.get("versions"), payload.get("profiles")
    if not isinstance(versions, dict) or not integer(versions.get("min")) or not integer(versions.get("max")):
        refuse("request-malformed")
    if not versions["min"] <= 1 <= versions["max"] or not isinstance(profiles, list):
        refuse("request-malformed")
    if "x5c" not in profiles and "stmt" not in profiles:
        refuse("request-malformed")
    if not back.startswith(pins["auth_origin"] + "/") or len(back.encode()) > 2048:
        refuse("request-malformed")
    if any(not "!" <= letter <= "~" or letter in '#"<>\\^`{|}' for letter in back):
        refuse("request-malformed")
    if now > expires + 120:
        refuse("challenge-expired")
    if abs(now - issued) > 120 or begins > now + 120:
        refuse("clock-skew")
    if payload.get("origin") != pins["auth_origin"]:
        refuse("origin-not-allowed")
    return payload


def judge_chain(entries, authority: bytes, now: int):
    if not isinstance(entries, list) or not 1 <= len(entries) <= 4:
        refuse("certificate-untrusted")
    try:
        chain = [base64.b64decode(entry, validate=True) for entry in entries]
        parsed = [x509.load_der_x509_certificate(der) for der in chain]
    except (ValueError, TypeError):
        refuse("certificate-untrusted")
    anchor = x509.load_der_x509_certificate(authority)
    leaf, path = parsed[0], [parsed[0]]
    while path[-1] != anchor:
        found = [one for one in parsed[1:] + [anchor] if one.subject == path[-1].issuer and one not in path and issued_by(path[-1], one)]
        if not found or len(path) >= 3:
            refuse("certificate-untrusted")
        path.append(found[0])
    if len(path) == 1:
        refuse("certificate-untrusted")
    for depth, one in enumerate(path[1:]):
        constraints = one.extensions.get_extension_for_oid(ExtensionOID.BASIC_CONSTRAINTS).value
        if not constraints.ca or (constraints.path_length is not None and constraints.path_length < depth):
            refuse("certificate-untrusted")
    if not judge_purpose(leaf):
        refuse("certificate-untrusted")
    if any(moment(now) < one.not_valid_before_utc for one in path):
        refuse("certificate-untrusted")
    if any(moment(now) >= one.not_valid_after_utc for one in path):
        refuse("certificate-expired")
    return leaf


def issued_by(child, parent) -> bool:
    try:
        child.verify_directly_issued_by(parent)
        return True
    except (InvalidSignature, ValueError, TypeError):
        return False


def judge_purpose(leaf) -> bool:
    try:
        usage = leaf.extensions.get_extension_for_oid(ExtensionOID.KEY_USAGE).value
        extended = leaf.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE).value
        return (usage.digital_signature and DEVICE_USAGE in [one.dotted_string for one in extended]
                and len(device_names(leaf)) == 1)
    except x509.ExtensionNotFound:
        return False


def device_names(leaf) -> list:
    names = leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return [uri.removeprefix("urn:device:") for uri in uris if uri.startswith("urn:device:")]


def judge_nonce(text: str, trust: dict):
    asked = strict_json(unb64(trust["challenge"].split(".")[1]))
    try:
        nonce = strict_json(unb64(text.split(".")[1]))["eat_nonce"]
        if len(unb64(nonce)) != 32:
            raise ValueError
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        refuse("statement-invalid")
    if nonce != asked["nonce"]:
        refuse("nonce-unknown")


def judge_assertion(text: str, now: int, trust: dict) -> dict:
    judge_nonce(text, trust)
    header, payload = open_token(text, "posture+jwt", 16 << 10, "signature-invalid")
    if any(name in header for name in ("jwk", "jku", "x5u")):
        refuse("signature-invalid")
    leaf = judge_chain(header.get("x5c"), base64.b64decode(trust["authority"]), now)
    device = device_names(leaf)[0]
    if device in trust["revoked"]:
        refuse("certificate-revoked")
    if not signed_by(text, leaf.public_key()):
        refuse("signature-invalid")
    judge_claims(payload, device, thumbprint(leaf.public_key()), now, trust)
    return payload


def judge_claims(payload: dict, device: str, named: str, now: int, trust: dict):
    judge_form(payload)
    if payload["sub"] != device or payload["cnf"]["jkt"] != named:
        refuse("signature-invalid")
    if payload["aud"] != trust["auth_origin"]:
        refuse("audience-mismatch")
    if abs(payload["iat"] - now) > 120:
        refuse("clock-skew")
    if not 0 < payload["exp"] - payload["iat"] <= 60:
        refuse("statement-invalid")
    if payload["chh"] != b64(hashlib.sha256(trust["challenge"].encode()).digest()):
        refuse("statement-invalid")
    # Only fetch is judged here: visits carry no origin and are told apart by the transport.
    if payload["transport"] == "fetch" and payload.get("origin") != trust["auth_origin"]:
        refuse("origin-mismatch")
    if payload["transport"] != "fetch" or payload["version"] != 1:
        refuse("statement-invalid")


def judge_form(payload: dict):
    def text(name):
        value = payload.get(name)
        return isinstance(value, str) and 1 <= len(value.encode()) <= 512

    good = all(text(name) for name in ("sub", "chh", "transport", "key", "swname", "swversion"))
    good = good and "aud" in payload and all(integer(payload.get(name)) for name in ("iat", "exp", "version", "counter"))
    good = good and isinstance(payload.get("cnf"), dict) and isinstance(payload["cnf"].get("jkt"), str)
    good = good and payload["key"] in ("software", "claimed", "attested") and isinstance(payload.get("posture"), dict)
    if not good:
        refuse("statement-invalid")


def judge_announcement(texts: list, pins: dict):
    if not 1 <= len(texts) <= 4:
        refuse("refused")
    for text in texts:
        header, payload = open_token(text, "gateway-keys+jwt", 16 << 10, "refused")
        pinned = [entry for entry in pins["roots"]["keys"] if entry["kid"] == header.get("kid")]
        if not pinned or not signed_by(text, public_of(pinned[0])):
            continue
        if not integer(payload.get("seq")) or payload["seq"] < 1:
            refuse("refused")
        for name in ("keys", "roots"):
            keys = (payload.get(name) or {}).get("keys", [])
            kids = [entry.get("kid") for entry in keys]
            if not 1 <= len(keys) <= 8 or None in kids or len(set(kids)) != len(kids):
                refuse("refused")
        if payload["seq"] <= pins["seq"]:
            refuse("refused")
        return
    refuse("refused")


def verdict(judge, *arguments) -> str:
    try:
        judge(*arguments)
        return "accepted"
    except Refused as refusal:
        return str(refusal)


def main() -> int:
    if "--credential" in sys.argv:
        sealed = json.load(sys.stdin)
        print(std64(judge_keys.opened(*(base64.b64decode(sealed[part]) for part in ("credential", "seed", "name")))))
        return 0
    if "--answer" in sys.argv:
        answer = json.load(sys.stdin)
        trust = {**answer, "auth_origin": ORIGIN, "revoked": []}
        print(verdict(judge_assertion, answer["assertion"], answer["now"], trust))
        return 0
    count, problems = 0, []
    judges = {
        "challenges.json": lambda case, file: verdict(judge_challenge, case["challenge"], case["now"], file),
        "assertions.json": lambda case, file: verdict(judge_assertion, case["assertion"], case["now"], file),
        "announcements.json": lambda case, file: verdict(judge_announcement, case["texts"], file["pinned"]),
        "statements.json": lambda case, file: verdict(judge_statements.judge_answer, case, file),
        "renewals.json": lambda case, file: verdict(judge_keys.judge_renewal, case["proof"], case["now"], file),
        "successions.json": lambda case, file: verdict(judge_keys.judge_succession, case["predecessor"], file),
        "attestations.json": lambda case, file: verdict(judge_keys.judge_attestation, case["attestation"], file),
    }
    for name, judge in judges.items():
        file = json.loads((HERE / name).read_text())
        for case in file["cases"] + file.get("openings", []):
            count += 1
            said = judge(case, file)
            if said != case["expected"]:
                problems.append(f"{name}: {case['name']}: {said}, expected {case['expected']}")
    print("\n".join(problems + [f"{count} vectors judged, {len(problems)} disagree"]))
    return 1 if problems else 0


if __name__ == "__main__":
    # By its name, so that the others find this one and not a second copy.
    sys.modules["judge"] = sys.modules["__main__"]
    import judge_keys
    import judge_statements
    sys.exit(main())
