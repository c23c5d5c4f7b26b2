"""Checks Gatepost-Assertion in an application behind Gatepost. Needs PyJWT with cryptography.

    python verify-assertion.py https://auth.corp.example wiki < token

prints the claims, or why the token is refused (exit status 1).
"""

import json
import sys

import jwt


class AssertionVerifier:
    """Keeps the gateway's keys for five minutes and asks again for a key that it does not know."""

    def __init__(self, issuer, application, keys_url=None):
        self.issuer = issuer
        self.application = application
        self.keys = jwt.PyJWKClient(
            keys_url or issuer + "/.gatepost/jwks.json", cache_keys=False, lifespan=300, timeout=5
        )

    def verify(self, token):
        """Returns the claims; raises jwt.PyJWTError for a token that does not count."""
        if jwt.get_unverified_header(token).get("typ") != "gatepost-assertion+jwt":
            raise jwt.InvalidTokenError("not an assertion")
        return jwt.decode(
            token,
            self.keys.get_signing_key_from_jwt(token).key,
            algorithms=["ES256"],  # never what the token says
            audience=self.application,  # a token for another application is worth nothing here
            issuer=self.issuer,
            leeway=5,
            options={"require": ["exp", "iat", "aud", "iss", "sub"]},
        )


if __name__ == "__main__":
    verifier = AssertionVerifier(*sys.argv[1:])
    try:
        print(json.dumps(verifier.verify(sys.stdin.read().strip())))
    except jwt.PyJWTError as error:
        sys.exit(f"refused: {error}")
