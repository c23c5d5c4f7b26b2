"""What the vectors are made with: tokens, keys and certificates, independent of the product's code.

No private key is stored anywhere. Each is derived from a published sentence (see `key`), so anybody can compute it,
and none is worth anything: the vectors' authority is nobody's.
"""
import base64
import hashlib
import json
from datetime import datetime, timezone

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.x509.oid import NameOID, ObjectIdentifier

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
DEVICE_USAGE = "1.3.6.1.4.1.58270.1.1"
NOW = 1_900_000_000
ORIGIN = "https://auth.corp.example"
AUDIENCE = "urn:gatepost:agents:agents"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    if not set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") or len(text) % 4 == 1:
        raise ValueError("not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64(data) != text:
        raise ValueError("not canonical base64url")
    return data


def dump(value) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def seeded(label: str, count: int = 32) -> bytes:
    return hashlib.sha256(b"Gatepost agent protocol, test vectors, " + label.encode()).digest()[:count]


def key(name: str) -> ec.EllipticCurvePrivateKey:
    scalar = int.from_bytes(seeded("key " + name), "big") % (ORDER - 1) + 1
    return ec.derive_private_key(scalar, ec.SECP256R1())


def jwk(public) -> dict:
    numbers = public.public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": b64(numbers.x.to_bytes(32, "big")), "y": b64(numbers.y.to_bytes(32, "big"))}


def thumbprint(public) -> str:
    members = jwk(public)
    return b64(hashlib.sha256(dump({name: members[name] for name in ("crv", "kty", "x", "y")})).digest())


def raw_sign(private, data: bytes) -> bytes:
    der = private.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    r, s = decode_dss_signature(der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def raw_verify(public, signature: bytes, data: bytes) -> bool:
    if len(signature) != 64:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        public.verify(encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))
        return True
    except InvalidSignature:
        return False


def token(header: dict, payload, private, alg: str = "ES256") -> str:
    body = payload if isinstance(payload, bytes) else dump(payload)
    text = b64(dump({**header, "alg": alg})) + "." + b64(body)
    return text + "." + b64(raw_sign(private, text.encode()))


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate(subject, public, issuer, signer, *, begins, ends, authority=None, uris=(), usage=DEVICE_USAGE, signs=True):
    """DER; `authority`: the path length of a CA, None for a device."""
    builder = (
        x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer)).public_key(public)
        .serial_number(int.from_bytes(seeded(f"serial {subject} {issuer} {begins} {ends} {uris} {usage}", 16), "big") >> 1)
        .not_valid_before(moment(begins)).not_valid_after(moment(ends))
        .add_extension(x509.BasicConstraints(ca=authority is not None, path_length=authority), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=authority is None and signs, key_cert_sign=authority is not None,
                crl_sign=authority is not None, content_commitment=False, key_encipherment=not signs,
                data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False),
            critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False))
    if authority is None and usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ObjectIdentifier(usage)]), critical=False)
    if uris:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])
        builder = builder.add_extension(names, critical=False)
    made = builder.sign(signer, hashes.SHA256(), ecdsa_deterministic=True)
    return made.public_bytes(serialization.Encoding.DER)


def std64(data: bytes) -> str:
    return base64.b64encode(data).decode()
