#!/usr/bin/env bash
# Makes the development certificates: a CA, a server certificate for the demo hosts, and the device enrolment CA.
#
#   certs/generate.sh [FOLDER [NAME-OR-ADDRESS …]]
#
# FOLDER is .run/certs when left out. Further arguments are added to the server certificate's names. What is there and
# still good for a week is kept, so that a CA trusted once stays trusted; delete FOLDER to begin anew.
# Nothing made here is ever committed.
set -euo pipefail
umask 077

folder=${1:-.run/certs}
[ $# -gt 0 ] && shift
mkdir -p "$folder"

hosts=(localhost {auth,wiki,handbook,people,desk,vault,open}.localhost '*.localhost')
names=""
for name in "${hosts[@]}" "$@" 127.0.0.1; do
    case $name in
        *[!A-Za-z0-9.:*_-]* | "") echo "certs/generate.sh: '$name' is no host name or address" >&2; exit 2 ;;
        *:* | [0-9]*.[0-9]*.[0-9]*.[0-9]*) names+="${names:+,}IP:$name" ;;
        *) names+="${names:+,}DNS:$name" ;;
    esac
done

week=$((7 * 86400))
is_good() { [ -s "$1.pem" ] && [ -s "$1.key" ] && openssl x509 -checkend $week -noout -in "$1.pem" >/dev/null 2>&1; }

new_key() { openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null \
    || openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }

new_authority() { # file, common name, path length
    new_key "$1.key"
    openssl req -x509 -new -sha256 -key "$1.key" -days 825 -subj "/CN=$2" -out "$1.pem" \
        -addext "basicConstraints=critical,CA:TRUE,pathlen:$3" -addext "keyUsage=critical,keyCertSign,cRLSign"
    echo "made $1.pem ($2)"
}

is_good "$folder/dev-ca" || { new_authority "$folder/dev-ca" "Gatepost development CA" 0; rm -f "$folder/server.pem"; }
is_good "$folder/device-ca" || new_authority "$folder/device-ca" "Gatepost device enrolment CA" 0

if ! is_good "$folder/server" || [ "$(cat "$folder/server.names" 2>/dev/null)" != "$names" ]; then
    new_key "$folder/server.key"
    openssl req -new -sha256 -key "$folder/server.key" -subj "/CN=wiki.localhost" -out "$folder/server.csr"
    # Browsers take at most 398 days from any CA; the leaf comes first in the chain file, then its issuer.
    openssl x509 -req -sha256 -in "$folder/server.csr" -CA "$folder/dev-ca.pem" -CAkey "$folder/dev-ca.key" \
        -days 397 -set_serial "0x$(openssl rand -hex 16)" -out "$folder/server-only.pem" -extfile <(
        printf '%s\n' "basicConstraints=critical,CA:FALSE" "keyUsage=critical,digitalSignature" \
            "extendedKeyUsage=serverAuth" "subjectAltName=$names" "authorityKeyIdentifier=keyid"
    ) 2>/dev/null
    cat "$folder/server-only.pem" "$folder/dev-ca.pem" >"$folder/server.pem"
    rm -f "$folder/server.csr" "$folder/server-only.pem"
    printf '%s' "$names" >"$folder/server.names"
    echo "made $folder/server.pem ($names)"
fi
chmod 600 "$folder"/*.key
chmod 644 "$folder"/*.pem
