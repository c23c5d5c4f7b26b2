"""Judges answers of profile `stmt` as PROTOCOL.md section 9 says; part of judge.py."""
import re

from judge import *

STATED = ("ES256", "EdDSA", "RS256")


def device_key(members, word):
    """A device's own key: P-256 or Ed25519."""
    try:
        if not isinstance(members, dict) or "d" in members:
            raise ValueError
        if (members.get("kty"), members.get("crv")) == ("OKP", "Ed25519"):
            return jwt.algorithms.OKPAlgorithm.from_jwk(json.dumps(members))
        if (members.get("kty"), members.get("crv")) == ("EC", "P-256"):
            return public_of(members)
    except (ValueError, jwt.InvalidKeyError):
        pass
    refuse(word)


def named(public) -> str:
    if isinstance(public, ec.EllipticCurvePublicKey):
        return thumbprint(public)
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return b64(hashlib.sha256(dump({"crv": "Ed25519", "kty": "OKP", "x": b64(raw)})).digest())


def judge_signer(text: str, now: int, trust: dict):
    """The configured certificate that signed, good now."""
    ended = False
    for entry in trust["certificates"]:
        one = x509.load_der_x509_certificate(base64.b64decode(entry))
        if signed_by(text, one.public_key()):
            if one.not_valid_before_utc <= moment(now) < one.not_valid_after_utc:
                return one.public_key()
            ended = True
    refuse("certificate-expired" if ended else "certificate-untrusted")


def judge_members(payload: dict):
    """What every answer of this profile says of its device, wherever it stands."""
    subject, owner = payload.get("sub"), payload.get("owner")
    if not isinstance(subject, str) or not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", subject):
        refuse("statement-invalid")
    if not isinstance(payload.get("managed"), bool) or not integer(payload.get("last_seen")):
        refuse("statement-invalid")
    if owner is not None:
        texts = {name for name in ("iss", "sub", "email") if isinstance(owner.get(name), str) and 1 <= len(owner[name].encode()) <= 512}
        if texts not in ({"iss", "sub"}, {"email"}):
            refuse("statement-invalid")


def judge_statement(text: str, now: int, trust: dict) -> dict:
    # The algorithm is the certificate's: which it must be is found out with the signature.
    header, payload = open_token(text, "device-statement+jwt", 8 << 10, "signature-invalid", STATED + ("ES384", "ES512"))
    if any(name in header for name in ("jwk", "jku", "x5u", "x5c")):
        refuse("signature-invalid")
    judge_signer(text, now, trust)
    if payload.get("iss") != trust["issuer"] or payload.get("tenant") != trust["tenant"]:
        refuse("certificate-untrusted")
    issued, expires = payload.get("iat"), payload.get("exp")
    if not integer(issued) or not integer(expires):
        refuse("statement-invalid")
    if issued > now + 120:
        refuse("clock-skew")
    if not 0 < expires - issued <= 86_400:
        refuse("statement-invalid")
    if now >= expires:
        refuse("statement-expired")
    judge_members(payload)
    confirmation = payload.get("cnf")
    if not isinstance(confirmation, dict) or ("jwk" in confirmation) == ("jkt" in confirmation):
        refuse("statement-invalid")
    if "jkt" in confirmation and not re.fullmatch(r"[A-Za-z0-9_-]{43}", str(confirmation["jkt"])):
        refuse("statement-invalid")
    return payload


def judge_answer(case: dict, trust: dict):
    text, now = case["assertion"], case["now"]
    judge_nonce(text, trust)
    header, payload = open_token(text, "posture+jwt", 16 << 10, "signature-invalid", ("ES256", "EdDSA"))
    if any(name in header for name in ("jku", "x5u")):
        refuse("signature-invalid")
    if case["statement"] is None:
        if not case.get("shared_key"):
            refuse("certificate-untrusted")
        if "jwk" in header:
            refuse("signature-invalid")
        public, stated = judge_signer(text, now, trust), payload
        if payload.get("tenant") != trust["tenant"]:
            refuse("certificate-untrusted")
        judge_members(payload)
    else:
        if "x5c" in header:
            refuse("statement-invalid")
        stated = judge_statement(case["statement"], now, trust)
        public = judge_key(header, stated["cnf"])
    if stated["sub"] in trust["revoked"]:
        refuse("certificate-revoked")
    if not signed_by(text, public):
        refuse("signature-invalid")
    judge_claims(payload, stated["sub"], named(public), now, trust)
    if "newest" in case and stated["iat"] < case["newest"]:
        refuse("statement-expired")
    if not stated["managed"]:
        refuse("device-not-managed")
    if stated["last_seen"] > now + 120 or now - stated["last_seen"] > 7 * 86_400:
        refuse("last-seen-stale")


def judge_key(header: dict, confirmation: dict):
    if "jwk" in confirmation:
        if "jwk" in header:
            refuse("signature-invalid")
        return device_key(confirmation["jwk"], "statement-invalid")
    public = device_key(header.get("jwk"), "signature-invalid")
    if named(public) != confirmation["jkt"]:
        refuse("signature-invalid")
    return public
