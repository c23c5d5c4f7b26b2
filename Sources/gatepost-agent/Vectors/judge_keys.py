"""Judges what an agent proves about its key as PROTOCOL.md sections 3, 3.1 and 4 say; part of judge.py.

Nothing of enrolment_vectors.py is used: structures of a TPM are read here, not written.
"""
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from judge import *

POLICY_A = "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa"
THREE = {1, 4, 5}


def request_key(data: bytes, word="request-malformed"):
    """The key of a certificate request that it signed itself."""
    try:
        made = x509.load_der_x509_csr(data)
        if not made.is_signature_valid or made.public_bytes(serialization.Encoding.DER) != data:
            raise ValueError
        return made.public_key()
    except (ValueError, TypeError):
        refuse(word)


def decoded(value, most: int, word: str) -> bytes:
    try:
        data = base64.b64decode(value, validate=True)
    except (ValueError, TypeError):
        refuse(word)
    if not 1 <= len(data) <= most:
        refuse(word)
    return data


def judge_renewal(text: str, now: int, trust: dict):
    header, payload = open_token(text, "renewal+jwt", 16 << 10, "signature-invalid")
    leaf = judge_chain(header.get("x5c"), base64.b64decode(trust["authority"]), now)
    if not signed_by(text, leaf.public_key()):
        refuse("signature-invalid")
    if payload.get("aud") != trust["auth_origin"]:
        refuse("audience-mismatch")
    if not integer(payload.get("iat")) or abs(payload["iat"] - now) > 120:
        refuse("clock-skew")
    try:
        if len(unb64(payload.get("jti"))) != 16:
            raise ValueError
    except (ValueError, TypeError):
        refuse("request-malformed")
    if thumbprint(request_key(decoded(payload.get("csr"), 4096, "request-malformed"))) != thumbprint(leaf.public_key()):
        refuse("signature-invalid")


def judge_succession(text: str, trust: dict):
    bad = "signature-invalid"
    header, payload = open_token(text, "succession+jwt", 4 << 10, bad)
    members = header.get("jwk")
    if not isinstance(members, dict) or set(members) - {"kty", "crv", "x", "y", "kid", "use", "alg"}:
        refuse(bad)
    public = public_of(members)
    if not signed_by(text, public):
        refuse(bad)
    if payload.get("aud") != trust["auth_origin"]:
        refuse("audience-mismatch")
    digests = (hashlib.sha256(base64.b64decode(trust["csr"])), hashlib.sha256(trust["token"].encode()))
    if [payload.get("csr"), payload.get("token")] != [b64(one.digest()) for one in digests]:
        refuse(bad)
    if payload.get("sub") != trust["device"] or thumbprint(public) != trust["thumbprint"]:
        refuse(bad)


# Structures of the TPM 2.0 Library, Part 2 -------------------------------------------------------------------------

class Reader:
    def __init__(self, data: bytes):
        self.data = data

    def take(self, count: int) -> bytes:
        if count > len(self.data):
            refuse("attestation-invalid")
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def sized(self, most: int) -> bytes:
        count = self.number(2)
        return self.take(count) if count <= most else refuse("attestation-invalid")

    def end(self):
        if self.data:
            refuse("attestation-invalid")


def demand(condition: bool):
    if not condition:
        refuse("attestation-invalid")


def public_area(data: bytes) -> dict:
    reader = Reader(data)
    kind = reader.number(2)
    demand(reader.number(2) == 0x0B)
    bits = reader.number(4)
    area = {"bits": {bit for bit in range(32) if bits >> bit & 1}, "policy": reader.sized(64).hex(),
            "name": b"\x00\x0b" + hashlib.sha256(data).digest()}
    symmetric = reader.number(2)
    area["guards"] = symmetric != 0x10
    if area["guards"]:
        demand((symmetric, reader.number(2), reader.number(2)) == (6, 128, 0x43))
    scheme = reader.number(2)
    area["signs"] = scheme != 0x10
    if area["signs"]:
        demand((scheme, reader.number(2)) == (0x18, 0x0B))
    if kind == 0x23:
        demand((reader.number(2), reader.number(2)) == (3, 0x10))
        x, y = (int.from_bytes(reader.sized(32), "big") for _ in range(2))
        area["public"] = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    else:
        demand(kind == 1 and reader.number(2) == 2048 and reader.number(4) in (0, 65_537))
        modulus = reader.sized(256)
        demand(len(modulus) == 256 and modulus[0] >= 0x80)
    reader.end()
    return area


def judge_role(area: dict, role: str):
    bits = area["bits"]
    demand(THREE <= bits and 11 not in bits)
    if role == "ek":
        demand(bits == THREE | {7, 16, 17} and area["policy"] == POLICY_A and area["guards"] and not area["signs"])
        return
    demand("public" in area and area["signs"] and not area["guards"] and 18 in bits and 17 not in bits)
    demand(16 in bits if role == "ak" else 16 not in bits and 2 not in bits)


def judge_attestation(members: dict, file: dict):
    """Either step; the second one belongs to the file's attempt."""
    bad = "attestation-invalid"
    if "ek" in members or "ak" in members:
        for role in ("ek", "ak"):
            judge_role(public_area(decoded(members.get(role), 1024, bad)), role)
        return
    sizes = {"attempt": 16, "activated": 32, "device": 1024, "certify": 512, "signature": 128}
    part = {name: decoded(members.get(name), most, bad) for name, most in sizes.items()}
    attempt = {name: base64.b64decode(value) for name, value in file["attempt"].items()}
    demand(part["activated"] == attempt["secret"])
    reader = Reader(part["certify"])
    demand(reader.number(4) == 0xFF544347 and reader.number(2) == 0x8017)
    reader.sized(68)
    nonce = reader.sized(64)
    reader.take(25)
    certified = reader.sized(68)
    reader.sized(68)
    reader.end()
    reader = Reader(part["signature"])
    demand((reader.number(2), reader.number(2)) == (0x18, 0x0B))
    raw = b"".join(reader.sized(32).rjust(32, b"\0") for _ in range(2))
    reader.end()
    demand(raw_verify(public_area(attempt["ak"])["public"], raw, part["certify"]))
    device = public_area(part["device"])
    demand(nonce == attempt["nonce"] and certified == device["name"])
    judge_role(device, "device")
    demand(thumbprint(device["public"]) == thumbprint(request_key(attempt["csr"])))


def opened(credential: bytes, seed: bytes, name: bytes) -> bytes:
    """TPM2_ActivateCredential (Part 1, 24) with the vectors' endorsement key."""
    private, reader = key("endorsement"), Reader(seed)
    x, y = reader.sized(32), reader.sized(32)
    reader.end()
    other = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1()).public_key()
    own = private.public_key().public_numbers().x.to_bytes(32, "big")
    shared = private.exchange(ec.ECDH(), other)
    secret = hashlib.sha256(b"\0\0\0\1" + shared + b"IDENTITY\0" + x + own).digest()

    def derived(label: bytes, context: bytes, count: int) -> bytes:
        text = b"\0\0\0\1" + label + b"\0" + context + (count * 8).to_bytes(4, "big")
        return hmac.new(secret, text, hashlib.sha256).digest()[:count]

    reader = Reader(credential)
    integrity, identity = reader.sized(32), reader.data
    demand(hmac.compare_digest(integrity, hmac.new(derived(b"INTEGRITY", b"", 32), identity + name, hashlib.sha256).digest()))
    plain, before, aes = b"", bytes(16), algorithms.AES(derived(b"STORAGE", name, 16))
    for start in range(0, len(identity), 16):
        block = identity[start:start + 16]
        mask = Cipher(aes, modes.ECB()).encryptor().update(before)
        plain, before = plain + bytes(a ^ b for a, b in zip(block, mask)), block
    inner = Reader(plain)
    return inner.sized(32)
