#!/usr/bin/env python3
"""Makes jose.json and certificates.json beside this file with other implementations than the gateway's.

Needs the Python packages `cryptography` (keys, certificates) and `joserfc` (tokens). Private keys live only while
this runs: what is written are public keys, tokens, certificates and requests, all of them test data.

    python3 generate.py
"""

import base64
import datetime
import json
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

HERE = pathlib.Path(__file__).parent
NOW = 1_800_000_000
DAY = 86_400
DEVICE_USAGE = ObjectIdentifier("1.3.6.1.4.1.58270.1.1")


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def url_text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def write(name: str, value) -> None:
    (HERE / name).write_text(json.dumps(value, indent=1) + "\n")


# --- tokens -------------------------------------------------------------------------------------------------------


def token_row(algorithm: str, key) -> dict:
    payload = json.dumps({"iss": "https://idp.example", "alg-under-test": algorithm}).encode()
    token = jws.serialize_compact({"alg": algorithm, "kid": "k-" + algorithm}, payload, key, algorithms=[algorithm])
    public = key.as_dict(private=False)
    public.pop("kid", None)
    return {
        "alg": algorithm,
        "jwk": public | {"alg": algorithm, "kid": "k-" + algorithm},
        "token": token,
        "thumbprint": key.thumbprint(),
        "public_key_pem": key.as_pem(private=False).decode(),
    }


def jose() -> dict:
    rsa_key = RSAKey.generate_key(2048)
    accepted = [
        token_row("ES256", ECKey.generate_key("P-256")),
        token_row("ES384", ECKey.generate_key("P-384")),
        token_row("EdDSA", OKPKey.generate_key("Ed25519")),
    ] + [token_row(name, rsa_key) for name in ["RS256", "RS384", "RS512", "PS256"]]
    # Signatures whose r or s starts with zero bytes show wrong widths, which random ones do only once in 128.
    key = ECKey.generate_key("P-256")
    short = []
    while len(short) < 4:
        row = token_row("ES256", key)
        signature = base64.urlsafe_b64decode(row["token"].split(".")[2] + "==")
        if signature[0] == 0 or signature[32] == 0:
            short.append(row)
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key().public_numbers()
    p521 = ECKey.generate_key("P-521").as_dict(private=False)
    return {
        "accepted": accepted,
        "short_signatures": short,
        "weak_rsa": {"kty": "RSA", "n": url_text(weak.n.to_bytes(128, "big")), "e": "AQAB"},
        "p521": p521,
    }


# --- certificates -------------------------------------------------------------------------------------------------


def time(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)


def name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


class Authority:
    """A key with a certificate that may sign others."""

    def __init__(self, common_name: str, parent=None, path_length=None, key_usage=True):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = name(common_name)
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(parent.name if parent else self.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(time(NOW - 100 * DAY))
            .not_valid_after(time(NOW + 100 * DAY))
            .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        )
        if key_usage:
            builder = builder.add_extension(usage(certificates=True), critical=True)
        self.certificate = builder.sign(parent.key if parent else self.key, hashes.SHA256())
        self.der = self.certificate.public_bytes(serialization.Encoding.DER)


def usage(signatures=False, certificates=False, agreement=False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signatures, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=agreement, key_cert_sign=certificates, crl_sign=False, encipher_only=False, decipher_only=False,
    )


DEFAULT = object()


def leaf(
    issuer, key=None, ca=False, usages=(DEVICE_USAGE,), key_usage=DEFAULT, uris=("urn:device:laptop-7",), before=-DAY,
    after=DAY, unknown_critical=False, subject="laptop-7",
) -> bytes:
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(issuer.name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(time(NOW + before))
        .not_valid_after(time(NOW + after))
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    key_usage = usage(signatures=True) if key_usage is DEFAULT else key_usage
    if key_usage:
        builder = builder.add_extension(key_usage, critical=True)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(usages)), critical=False)
    if uris:
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if unknown_critical:
        extension = x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.58270.99"), b"\x05\x00")
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def request(key, common_name="laptop-7") -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(name(common_name))
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(serialization.Encoding.DER)


def certificates() -> dict:
    root = Authority("Device Root")
    other = Authority("Device Root")  # The same name, another key.
    middle = Authority("Device Middle", root)
    lower = Authority("Device Lower", middle)
    narrow = Authority("Narrow Root", path_length=0)
    below_narrow = Authority("Below Narrow", narrow)
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    good = leaf(root)
    # A device that signs for another device: its certificate is valid, but no authority's.
    device = Authority.__new__(Authority)
    device.key, device.name = ec.generate_private_key(ec.SECP256R1()), name("laptop-7")
    device_der = leaf(root, key=device.key)

    def row(title, chain, expected=None):
        return {"title": title, "chain": [text(der) for der in chain], "device_id": expected}

    accepted = [
        row("directly below the authority", [good], "laptop-7"),
        row("with the authority's own certificate", [good, root.der], "laptop-7"),
        row("below one intermediate", [leaf(middle), middle.der], "laptop-7"),
        row("intermediate and root, in the other order", [leaf(middle), root.der, middle.der], "laptop-7"),
        row("an unrelated certificate beside it", [good, other.der], "laptop-7"),
        row("an RSA device", [leaf(root, key=rsa_key)], "laptop-7"),
        row("without basic constraints", [leaf(root, ca=None)], "laptop-7"),
        row("also for TLS clients", [leaf(root, usages=(ExtendedKeyUsageOID.CLIENT_AUTH, DEVICE_USAGE))], "laptop-7"),
        row("another kind of name beside it", [leaf(root, uris=("https://x.example/", "urn:device:a_B.9"))], "a_B.9"),
    ]
    refused = [
        row("no certificate", []),
        row("another authority of the same name", [leaf(other)]),
        row("another authority sent along", [leaf(other), other.der]),
        row("the intermediate is missing", [leaf(middle)]),
        row("two intermediates: path of four", [leaf(lower), lower.der, middle.der]),
        row("five certificates", [good, root.der, root.der, root.der, root.der]),
        row("the authority itself", [root.der]),
        row("an authority below it", [middle.der]),
        row("CA:TRUE on a device", [leaf(root, ca=True, key_usage=usage(signatures=True, certificates=True))]),
        row("signed by another device", [leaf(device, subject="laptop-8"), device_der]),
        row("no extended key usage", [leaf(root, usages=())]),
        row("only TLS client", [leaf(root, usages=(ExtendedKeyUsageOID.CLIENT_AUTH,))]),
        row("any extended key usage", [leaf(root, usages=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,))]),
        row("no key usage", [leaf(root, key_usage=None)]),
        row("key usage without signatures", [leaf(root, key_usage=usage(agreement=True))]),
        row("no name", [leaf(root, uris=())]),
        row("another name", [leaf(root, uris=("urn:user:laptop-7",))]),
        row("an empty id", [leaf(root, uris=("urn:device:",))]),
        row("an id with a slash", [leaf(root, uris=("urn:device:a/b",))]),
        row("two device names", [leaf(root, uris=("urn:device:a", "urn:device:b"))]),
        row("not valid yet", [leaf(root, before=1)]),
        row("expired", [leaf(root, before=-2 * DAY, after=-1)]),
        row("a critical extension that nobody knows", [leaf(root, unknown_critical=True)]),
        row("SHA-1", [sha1_leaf(root)]),
        row("the root sent as the device's", [root.der, good]),
    ]
    broken = bytearray(request(ec.generate_private_key(ec.SECP256R1())))
    broken[-3] ^= 0x01
    requests = {
        "good": text(request(ec.generate_private_key(ec.SECP256R1()))),
        "broken_signature": text(bytes(broken)),
        "rsa": text(request(rsa_key)),
        "p384": text(request(ec.generate_private_key(ec.SECP384R1()))),
        "ed25519": text(request(ed25519.Ed25519PrivateKey.generate())),
    }
    names = (
        x509.CertificateBuilder()
        .subject_name(name("J\u00fcrgen"))
        .issuer_name(root.name)
        .public_key(ec.generate_private_key(ec.SECP256R1()).public_key())
        .serial_number(0x00ABCDEF0123)
        .not_valid_before(time(NOW))
        .not_valid_after(time(4_102_444_800))  # 2100: beyond 2049 the encoding changes (RFC 5280 4.1.2.5).
        .add_extension(
            x509.SubjectAlternativeName([
                x509.DNSName("a.example"), x509.UniformResourceIdentifier("urn:x:1"), x509.DNSName("*.b.example"),
                x509.RFC822Name("p@a.example"),
            ]),
            critical=False,
        )
        .sign(root.key, hashes.SHA256())
    )
    return {
        "now_seconds": NOW,
        "root": text(root.der),
        "middle": text(middle.der),
        "narrow": {"root": text(narrow.der), "chain": [text(leaf(below_narrow)), text(below_narrow.der)]},
        "boundary": {"chain": [text(leaf(root, before=0, after=60))], "not_before": NOW, "not_after": NOW + 60},
        "accepted": accepted,
        "refused": refused,
        "requests": requests,
        "names": {
            "der": text(names.public_bytes(serialization.Encoding.DER)),
            "pem": names.public_bytes(serialization.Encoding.PEM).decode(),
            "sha256": names.fingerprint(hashes.SHA256()).hex(),
        },
    }


def sha1_leaf(issuer) -> bytes:
    """A device certificate signed with SHA-1, made by OpenSSL because `cryptography` no longer makes one."""
    import subprocess
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        at = pathlib.Path(folder)
        secret = issuer.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (at / "issuer.key").write_bytes(secret)
        (at / "issuer.crt").write_bytes(issuer.certificate.public_bytes(serialization.Encoding.PEM))
        (at / "ext").write_text(
            "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
            "extendedKeyUsage=1.3.6.1.4.1.58270.1.1\nsubjectAltName=URI:urn:device:laptop-7\n")

        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "leaf.key")
        openssl("req", "-new", "-key", "leaf.key", "-subj", "/CN=laptop-7", "-out", "leaf.csr")
        days = str((NOW - int(datetime.datetime.now().timestamp())) // DAY + 2)
        openssl("x509", "-req", "-sha1", "-in", "leaf.csr", "-CA", "issuer.crt", "-CAkey", "issuer.key", "-days", days,
                "-set_serial", "7", "-extfile", "ext", "-outform", "DER", "-out", "leaf.der")
        return (at / "leaf.der").read_bytes()


if __name__ == "__main__":
    write("jose.json", jose())
    write("certificates.json", certificates())
