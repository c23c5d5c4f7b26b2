"""Serves Canaille, a real OpenID Provider, for the end-to-end suite: people and clients of one JSON file, over TLS.

    CANAILLE_CONFIG=config.toml python real-provider.py seed.json ADDRESS:PORT chain.pem key.pem KEEP-ALIVE-SECONDS

Canaille's own command line takes seconds for each person, so this adds them in the process that then serves.
"""

import asyncio
import json
import sys

from asgiref.wsgi import WsgiToAsgi
from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from hypercorn.asyncio import serve
from hypercorn.config import Config
from joserfc.jwk import KeySet, RSAKey


def public_keys(entry):
    """The key set of a client that signs its own assertions; None for one with a secret."""
    if "public_key" not in entry:
        return None
    with open(entry["public_key"], encoding="ascii") as file:
        key = RSAKey.import_key(file.read(), {"kid": entry["key_id"], "use": "sig"})
    return json.dumps(KeySet([key]).as_dict(private=False))


def seed(wanted):
    people = {}
    for person in wanted["people"]:
        user = models.User(
            user_name=person["user"], formatted_name=person["name"], family_name=person["name"].split()[-1],
            emails=[person["email"]], password=person["password"])
        Backend.instance.save(user)
        people[person["user"]] = user
    for name in sorted({group for person in wanted["people"] for group in person["groups"]}):
        members = [people[person["user"]] for person in wanted["people"] if name in person["groups"]]
        Backend.instance.save(models.Group(display_name=name, members=members))
    for entry in wanted["clients"]:
        client = models.Client(
            client_id=entry["id"], client_secret=entry.get("secret"), jwks=public_keys(entry), client_name=entry["name"],
            client_uri=entry["uri"], redirect_uris=[entry["redirect"]],
            post_logout_redirect_uris=[entry["signed_out"]], grant_types=["authorization_code", "refresh_token"],
            response_types=["code"], scope=["openid", "profile", "email", "groups"],
            token_endpoint_auth_method=entry["auth_method"], id_token_signed_response_alg=entry["algorithm"])
        Backend.instance.save(client)
        # Without an audience of its own Canaille writes "aud": [] into the id_token, which nobody may accept.
        client.audience = [client]
        Backend.instance.save(client)


def main(seed_file, bind, chain, key, keep_alive):
    app = create_app()
    with app.app_context(), open(seed_file, encoding="utf-8") as file:
        seed(json.load(file))
    asyncio.run(serve(WsgiToAsgi(app), Config.from_mapping(
        bind=[bind], certfile=chain, keyfile=key, accesslog="-", errorlog="-", keep_alive_timeout=int(keep_alive))))


if __name__ == "__main__":
    main(*sys.argv[1:])
