"""renewals.json, successions.json and attestations.json: what an agent proves about its key to be certified (PROTOCOL.md
sections 3, 3.1 and 4)."""
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from vectorlib import *

AUTHORITY, OTHER_AUTHORITY = key("authority"), key("other authority")
DEVICE, COPY = key("device"), key("other device")
DEVICE_ID = "6f9619ff-8b86-d011-b42d-00c04fc964ff"
CLIENT_USAGE = "1.3.6.1.5.5.7.3.2"


def kept(payload: dict) -> dict:
    return {member: value for member, value in payload.items() if value is not ...}


def request(private, subject="gatepost-agent") -> bytes:
    """A certificate request in DER."""
    made = x509.CertificateSigningRequestBuilder().subject_name(name(subject)).sign(
        private, hashes.SHA256(), ecdsa_deterministic=True)
    return made.public_bytes(serialization.Encoding.DER)


def stolen_request(private, thief) -> bytes:
    """One for a key whose owner did not sign it."""
    for number in range(64):
        made, theirs = (request(signer, f"x{number}") for signer in (private, thief))
        ours, others = (x509.load_der_x509_csr(der).signature for der in (made, theirs))
        # Of one length: the encoding around it stays as it is.
        if len(ours) == len(others):
            return made[:-len(ours)] + others
    raise AssertionError("no two signatures of one length")


# Renewals ---------------------------------------------------------------------------------------------------

def renewals(authority_der, leaf) -> dict:
    cases = []

    def proof(header=None, signer=DEVICE, chain=None, alg="ES256", **changes) -> str:
        payload = {"sub": DEVICE_ID, "aud": ORIGIN, "iat": NOW, "jti": b64(seeded("renewal jti", 16)),
                   "csr": std64(request(DEVICE, DEVICE_ID))}
        payload.update(changes)
        entries = [std64(der) for der in (chain or [leaf()])]
        return token({"typ": "renewal+jwt", "x5c": entries, **(header or {})}, kept(payload), signer, alg)

    def case(name, text, expected, now=NOW):
        cases.append({"name": name, "now": now, "proof": text, "expected": expected})

    good = proof()
    case("good", good, "accepted")
    case("with the authority's certificate beside it", proof(chain=[leaf(), authority_der()]), "accepted")
    case("with claims that nobody knows", proof(future=1), "accepted")
    for offset, word in ((-121, "clock-skew"), (-120, "accepted"), (120, "accepted"), (121, "clock-skew")):
        case(f"made {offset} s from the gateway's time", proof(iat=NOW + offset), word)
    case("a time that no machine word can be computed with", proof(iat=-(2 ** 63) + 1), "clock-skew")
    case("without a time", proof(iat=...), "clock-skew")
    case("for another gateway", proof(aud="https://other.example"), "audience-mismatch")
    case("for a list of gateways", proof(aud=[ORIGIN]), "audience-mismatch")
    for member in ("jti", "csr"):
        case(f"without {member}", proof(**{member: ...}), "request-malformed")
    case("a jti of 15 bytes", proof(jti=b64(seeded("renewal jti", 15))), "request-malformed")
    case("a jti of 17 bytes", proof(jti=b64(seeded("renewal jti", 17))), "request-malformed")
    case("a request of more than 4,096 bytes", proof(csr=std64(request(DEVICE) + bytes(4096))), "request-malformed")
    case("a request that is none", proof(csr="AAAA"), "request-malformed")
    case("a request in base64url without padding", proof(csr=b64(request(DEVICE, DEVICE_ID) + b"\xff\xfe")), "request-malformed")
    case("a request with bytes behind it", proof(csr=std64(request(DEVICE) + b"\x00")), "request-malformed")
    case("a request for another key", proof(csr=std64(request(COPY))), "signature-invalid")
    case("a request that another key signed", proof(csr=std64(stolen_request(DEVICE, COPY))), "request-malformed")
    case("by another key than the certificate's", proof(signer=COPY), "signature-invalid")
    case("of an assertion's type", proof({"typ": "posture+jwt"}), "signature-invalid")
    case("with alg in another case", proof(alg="es256"), "signature-invalid")
    case("with an extension that must be understood", proof({"crit": ["exp"], "exp": 1}), "signature-invalid")
    case("without certificates", proof({"x5c": []}), "certificate-untrusted")
    case("by another authority of the same name", proof(chain=[leaf(signer=OTHER_AUTHORITY)]), "certificate-untrusted")
    case("with a certificate for clients", proof(chain=[leaf(usage=CLIENT_USAGE)]), "certificate-untrusted")
    case("with a certificate that ended", proof(chain=[leaf(ends=NOW - 1)]), "certificate-expired")
    parts = good.split(".")
    case("with a changed payload", ".".join([parts[0], b64(unb64(parts[1]).replace(b'"iat"', b'"iaT"')), parts[2]]), "signature-invalid")
    case("empty", "", "signature-invalid")
    return {"about": "What a gateway of this authority says to each proof of a renewal, the first time. See README.md.",
            "auth_origin": ORIGIN, "authority": std64(authority_der()), "cases": cases}


# Successions ------------------------------------------------------------------------------------------------

def successions() -> dict:
    cases = []
    secret = b64(seeded("enrolment token"))
    new = request(COPY)

    def proof(header=None, signer=DEVICE, alg="ES256", **changes) -> str:
        payload = {"sub": DEVICE_ID, "aud": ORIGIN, "csr": b64(hashlib.sha256(new).digest()),
                   "token": b64(hashlib.sha256(secret.encode()).digest())}
        payload.update(changes)
        return token(kept({"typ": "succession+jwt", "jwk": jwk(DEVICE.public_key()), **(header or {})}), kept(payload), signer, alg)

    def case(name, text, expected):
        cases.append({"name": name, "predecessor": text, "expected": expected})

    case("good", proof(), "accepted")
    case("with claims that nobody knows", proof(future=1), "accepted")
    case("for another gateway", proof(aud="https://other.example"), "audience-mismatch")
    case("for another request", proof(csr=b64(hashlib.sha256(request(DEVICE)).digest())), "signature-invalid")
    case("for another token", proof(token=b64(hashlib.sha256(b"another").digest())), "signature-invalid")
    case("with the token's text in place of its digest", proof(token=secret), "signature-invalid")
    for member in ("csr", "token", "sub"):
        case(f"without {member}", proof(**{member: ...}), "signature-invalid")
    case("signed by the new key", proof(signer=COPY), "signature-invalid")
    case("without its key", proof({"jwk": ...}), "signature-invalid")
    case("with a private number in its key", proof({"jwk": {**jwk(DEVICE.public_key()), "d": b64(bytes(32))}}), "signature-invalid")
    case("of a renewal's type", proof({"typ": "renewal+jwt"}), "signature-invalid")
    case("with alg ES384 over a right signature", proof(alg="ES384"), "signature-invalid")
    case("longer than 4 KiB", proof(future="a" * 4096), "signature-invalid")
    case("empty", "", "signature-invalid")
    return {"about": "What a gateway says to each word of an old key, beside this token and request. See README.md.",
            "auth_origin": ORIGIN, "token": secret, "csr": std64(new), "device": DEVICE_ID,
            "thumbprint": thumbprint(DEVICE.public_key()), "cases": cases}


# Attestation (TPM 2.0 Library, Part 2) ------------------------------------------------------------------------

ECC, RSA, SHA256, NULL, ECDSA, AES, CFB, P256 = 0x23, 0x01, 0x0B, 0x10, 0x18, 0x06, 0x43, 0x03
FIXED_TPM, ST_CLEAR, FIXED_PARENT, BORN, USER, ADMIN, NO_DA, DUPLICATION = (1 << bit for bit in (1, 2, 4, 5, 6, 7, 10, 11))
RESTRICTED, DECRYPT, SIGN = 1 << 16, 1 << 17, 1 << 18
FIXED = FIXED_TPM | FIXED_PARENT | BORN
POLICY_A = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")
ENDORSEMENT, ATTESTATION, EPHEMERAL = key("endorsement"), key("attestation"), key("credential ephemeral")


def u16(value: int) -> bytes:
    return value.to_bytes(2, "big")


def sized(data: bytes) -> bytes:
    return u16(len(data)) + data


def point(public) -> tuple:
    numbers = public.public_numbers()
    return numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")


def area(public, attributes, policy=b"", guards=False, signs=True, digest=SHA256, curve=P256) -> bytes:
    """TPMT_PUBLIC of a key on P-256."""
    x, y = point(public)
    return (u16(ECC) + u16(digest) + attributes.to_bytes(4, "big") + sized(policy)
            + (u16(AES) + u16(128) + u16(CFB) if guards else u16(NULL))
            + (u16(ECDSA) + u16(SHA256) if signs else u16(NULL)) + u16(curve) + u16(NULL) + sized(x) + sized(y))


def rsa_area(modulus: bytes, exponent=0) -> bytes:
    return (u16(RSA) + u16(SHA256) + (FIXED | ADMIN | RESTRICTED | DECRYPT).to_bytes(4, "big") + sized(POLICY_A)
            + u16(AES) + u16(128) + u16(CFB) + u16(NULL) + u16(2048) + exponent.to_bytes(4, "big") + sized(modulus))


def tpm_name(public_area: bytes) -> bytes:
    return u16(SHA256) + hashlib.sha256(public_area).digest()


def tpm_signature(private, data: bytes) -> bytes:
    raw = raw_sign(private, data)
    return u16(ECDSA) + u16(SHA256) + sized(raw[:32]) + sized(raw[32:])


def attest(name: bytes, nonce: bytes, magic=0xFF544347, kind=0x8017) -> bytes:
    return (magic.to_bytes(4, "big") + u16(kind) + sized(u16(SHA256) + seeded("signer")) + sized(nonce) + bytes(17) + bytes(8)
            + sized(name) + sized(u16(SHA256) + seeded("qualified name")))


def kdfa(secret: bytes, label: bytes, context: bytes, bits: int) -> bytes:
    text = (1).to_bytes(4, "big") + label + b"\0" + context + bits.to_bytes(4, "big")
    return hmac.new(secret, text, hashlib.sha256).digest()[:bits // 8]


def credential_seed(shared: bytes, x_own: bytes, x_endorsement: bytes) -> bytes:
    return hashlib.sha256((1).to_bytes(4, "big") + shared + b"IDENTITY\0" + x_own + x_endorsement).digest()


def cfb(secret: bytes, data: bytes) -> bytes:
    """AES-128-CFB with a zero vector: encrypts."""
    block, made = bytes(16), b""
    for start in range(0, len(data), 16):
        cipher = Cipher(algorithms.AES(secret), modes.ECB()).encryptor()
        block = bytes(a ^ b for a, b in zip(data[start:start + 16], cipher.update(block)))
        made += block
    return made


def seal(secret: bytes, name: bytes) -> tuple:
    """TPM2_MakeCredential for the endorsement key on P-256 (Part 1, 24 and C.6.4)."""
    own_x, own_y = point(EPHEMERAL.public_key())
    shared = EPHEMERAL.exchange(ec.ECDH(), ENDORSEMENT.public_key())
    seed = credential_seed(shared, own_x, point(ENDORSEMENT.public_key())[0])
    identity = cfb(kdfa(seed, b"STORAGE", name, 128), sized(secret))
    integrity = hmac.new(kdfa(seed, b"INTEGRITY", b"", 256), identity + name, hashlib.sha256).digest()
    return sized(integrity) + identity, sized(own_x) + sized(own_y)


def attestations() -> dict:
    openings, proofs = [], []
    ek = area(ENDORSEMENT.public_key(), FIXED | ADMIN | RESTRICTED | DECRYPT, POLICY_A, guards=True, signs=False)
    ak = area(ATTESTATION.public_key(), FIXED | USER | NO_DA | RESTRICTED | SIGN)
    device = area(DEVICE.public_key(), FIXED | USER | NO_DA | SIGN)

    def opening(name, expected, **changes):
        members = {"ek": std64(ek), "ak": std64(ak), **changes}
        openings.append({"name": name, "attestation": kept(members), "expected": expected})

    opening("good, on P-256", "accepted")
    opening("good, on RSA", "accepted", ek=std64(rsa_area(b"\x80" + seeded("modulus") * 7 + seeded("modulus end", 31))))
    opening("with members that nobody knows", "accepted", future=1)
    bad = "attestation-invalid"
    opening("without ek", bad, ek=...)
    opening("without ak", bad, ak=...)
    opening("ek in base64url", bad, ek=b64(ek))
    opening("ek that is empty", bad, ek="")
    opening("ek with a byte behind it", bad, ek=std64(ek + b"\0"))
    opening("ek without its last byte", bad, ek=std64(ek[:-1]))
    opening("ek of more than 1,024 bytes", bad, ek=std64(ek + bytes(1024)))
    opening("ek with another policy", bad, ek=std64(
        area(ENDORSEMENT.public_key(), FIXED | ADMIN | RESTRICTED | DECRYPT, bytes(32), guards=True, signs=False)))
    opening("ek that anybody may use", bad, ek=std64(
        area(ENDORSEMENT.public_key(), FIXED | ADMIN | USER | RESTRICTED | DECRYPT, POLICY_A, guards=True, signs=False)))
    opening("ek with the attestation key's properties", bad, ek=std64(ak))
    opening("ek on RSA with exponent 3", bad, ek=std64(rsa_area(b"\x80" + bytes(255), 3)))
    opening("ek on RSA of fewer bits", bad, ek=std64(rsa_area(b"\x7f" + bytes(255))))
    opening("ek named by SHA-1", bad, ek=std64(
        area(ENDORSEMENT.public_key(), FIXED | ADMIN | RESTRICTED | DECRYPT, POLICY_A, guards=True, signs=False, digest=4)))
    for text, attributes in (
            ("that is not restricted", FIXED | USER | SIGN), ("that decrypts", FIXED | RESTRICTED | SIGN | DECRYPT),
            ("that was brought in", FIXED_TPM | FIXED_PARENT | RESTRICTED | SIGN), ("that can leave", BORN | RESTRICTED | SIGN),
            ("that is duplicated under encryption", FIXED | DUPLICATION | RESTRICTED | SIGN), ("that does not sign", FIXED | RESTRICTED)):
        opening(f"ak {text}", bad, ak=std64(area(ATTESTATION.public_key(), attributes)))
    opening("ak without a scheme", bad, ak=std64(area(ATTESTATION.public_key(), FIXED | RESTRICTED | SIGN, signs=False)))
    opening("ak on another curve", bad, ak=std64(area(ATTESTATION.public_key(), FIXED | RESTRICTED | SIGN, curve=4)))

    nonce, secret, csr = seeded("attestation nonce"), seeded("attestation secret"), request(DEVICE)

    def proof(name, expected, key_area=device, said=None, signer=ATTESTATION, **changes):
        said = said if said is not None else attest(tpm_name(key_area), nonce)
        members = {"attempt": std64(seeded("attempt", 16)), "activated": std64(secret), "device": std64(key_area),
                   "certify": std64(said), "signature": std64(tpm_signature(signer, said))}
        members.update(changes)
        proofs.append({"name": name, "attestation": kept(members), "expected": expected})

    proof("good", "accepted")
    for member in ("attempt", "activated", "device", "certify", "signature"):
        proof(f"without {member}", bad, **{member: ...})
    proof("another secret", bad, activated=std64(seeded("another secret")))
    proof("the secret and a byte more", bad, activated=std64(secret + b"\0"))
    proof("the beginning of the secret", bad, activated=std64(secret[:16]))
    proof("for another nonce", bad, said=attest(tpm_name(device), seeded("another nonce")))
    proof("about another key", bad, said=attest(tpm_name(ak), nonce))
    proof("signed by the device key", bad, signer=DEVICE)
    proof("a text that no chip wrote", bad, said=attest(tpm_name(device), nonce, magic=0xFF544348))
    proof("a quote in place of a certification", bad, said=attest(tpm_name(device), nonce, kind=0x8018))
    proof("a certification with a byte behind it", bad, said=attest(tpm_name(device), nonce) + b"\0")
    proof("a signature without its end", bad, signature=std64(tpm_signature(ATTESTATION, attest(tpm_name(device), nonce))[:-1]))
    for text, attributes in (
            ("that is restricted", FIXED | RESTRICTED | SIGN), ("that decrypts", FIXED | SIGN | DECRYPT),
            ("that was brought in", FIXED_TPM | FIXED_PARENT | SIGN), ("that can leave", BORN | SIGN),
            ("that ends with the restart", FIXED | ST_CLEAR | SIGN), ("that does not sign", FIXED | USER)):
        proof(f"a device key {text}", bad, key_area=area(DEVICE.public_key(), attributes))
    proof("a device key that is not the request's", bad, key_area=area(COPY.public_key(), FIXED | USER | SIGN))
    proof("a device key without a scheme", bad, key_area=area(DEVICE.public_key(), FIXED | USER | SIGN, signs=False))
    sealed, seed = seal(secret, tpm_name(ak))
    return {
        "about": "What a gateway says to both steps of an attestation. See README.md.",
        "attempt": {"ak": std64(ak), "nonce": std64(nonce), "secret": std64(secret), "csr": std64(csr)},
        "credential": {"ek": std64(ek), "name": std64(tpm_name(ak)), "secret": std64(secret),
                       "credential": std64(sealed), "seed": std64(seed)},
        "openings": openings, "cases": proofs,
    }
