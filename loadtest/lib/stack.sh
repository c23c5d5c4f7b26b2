# Sourced by loadtest/run and loadtest/gates: upstream, nginx, lab, gateway, agent, and a session of Alice.
# Expects $root (the project) and $run (a folder of this run); needs children.sh and demo-config.sh.
# shellcheck shell=bash disable=SC2154,SC2034

port=${GATEPOST_PORT:-10443}            # the gateway; the other proxies have those from ten after it
agent_port=${GATEPOST_AGENT_PORT:-18472}
plain_port=$((port + 2))                # upstream of the other proxies: 500 without X-Forwarded-Proto
asserted_port=$((port + 3))             # upstream of the gateway: 500 without Gatepost-Assertion
lab_options=()                          # further ones, for `start_lab`
# One address is all clients here.
limits="    connections-per-address-max: 0
    handshakes-per-address-per-second-max: 0
    handshakes-per-second-max: 0
    memory-per-address-max: 0
    sessions-cached-max: 250000"
processes=${LOADTEST_PROCESSES:-two}    # as by default; what looks into one process sets `one`
proxy_core=0
load_core=1

# build_programs: release builds, or what GATEPOST_BIN names. Sets $bin.
build_programs() {
    if [ -n "${GATEPOST_BIN:-}" ]; then
        bin=$(realpath "$GATEPOST_BIN")
    else
        echo "loadtest: release build (the first takes some minutes)"
        local program
        for program in gatepost gatepost-agent gatepost-lab; do
            (cd "$root" && swift build -c release --product "$program")
        done
        bin=$(cd "$root" && swift build -c release --show-bin-path)
    fi
    # A copy, so that somebody else's build does not change the program in the middle of a run.
    mkdir -p "$run/bin"
    cp "$bin"/gatepost "$bin"/gatepost-agent "$bin"/gatepost-lab "$run/bin/"
    bin=$run/bin
}

check_ports() {
    local taken
    for taken in "$port" "$plain_port" "$asserted_port" "$agent_port"; do
        (exec 3<>"/dev/tcp/127.0.0.1/$taken") 2>/dev/null || continue
        echo "loadtest: port $taken is in use; set GATEPOST_PORT or GATEPOST_AGENT_PORT" >&2
        exit 1
    done
}

gateway_conf() { # metrics and stream index have no switch: they are always on
    cat <<YAML
version: 1
gateway:
  auth-host: auth.localhost
  public-port: $port
  listeners:
    - address: "127.0.0.1:$port"
      certificates: [ { chain: certs/server.pem, key: certs/server.key } ]
  workers: 1
  access-log: off
  limits:
$limits
  processes: $processes
  store: sqlite:state
identity-providers:
  staff:
    issuer: "http://127.0.0.1:$(lab_value openid)"
    client-id: gatepost
    client-secret: { file: secrets/staff }
    display-name: Corp staff
    unsafe-allow-http: true
integrations:
  intune:
    provider: intune
    tenant: $(lab_value tenant)
    client-id: $(lab_value graphClient)
    client-secret: { file: secrets/intune }
    login-url: "http://127.0.0.1:$(lab_value graph)"
    graph-url: "http://127.0.0.1:$(lab_value graph)"
    unsafe-allow-http: true
    refresh: 1h
  agents:
    provider: endpoint-agent
    port: $agent_port
    max-age: 8h
    enrollment-ca: { certificate: certs/device-ca.pem, key: { file: certs/device-ca.key } }
device-policies:
  - name: healthy-linux
    platform: linux
    priority: 10
    result: compliant
    rules:
      - { intune: intune, tags: { matches-any: [ compliant ] } }
      - { agent: agents, managed: true }
applications:
  wiki:
    host: wiki.localhost
    upstreams: [ "http://127.0.0.1:$asserted_port" ]
    identity-providers: [ staff ]
    agent: agents
    posture: { max-age: 8h }
    fields: { X-Remote-User: email, X-Remote-Groups: groups }
    policies:
      - name: staff
        action: allow
        include: [ { email-domain: corp.example } ]
        require: [ { device: compliant }, { network: 127.0.0.0/8 } ]
        session: 8h
  open:
    host: open.localhost
    upstreams: [ "http://127.0.0.1:$plain_port" ]
    identity-providers: [ staff ]
    policies:
      - { name: everybody, action: bypass, include: [ { everyone: true } ] }
YAML
}

start_upstreams() { # one program that does the same for each request on either port
    cc -O2 -o "$run/upstream" "$root/loadtest/lib/upstream.c"
    start upstream taskset -c $load_core "$run/upstream" $plain_port X-Forwarded-Proto $asserted_port Gatepost-Assertion
    wait_for "the upstream" 10 curl -s -o /dev/null "http://127.0.0.1:$plain_port/served"
}

start_lab() {
    start lab taskset -c $load_core "$bin/gatepost-lab" serve --folder "$run" --quiet \
        --auth-origin "https://auth.localhost:$port" --device-name "$(uname -n)" "${lab_options[@]}"
    wait_for "the lab" 20 test -s "$run/lab.json"
    mkdir -p "$run/secrets" "$run/agent"
    chmod 700 "$run/secrets" "$run/agent"
    (
        umask 077
        printf %s gatepost-demo-secret >"$run/secrets/staff"
        printf %s intune-demo-secret >"$run/secrets/intune"
        write_device_ids "$run/agent/device-ids.json"
        gateway_conf >"$run/gateway.yaml"
    )
    "$bin/gatepost" check --config "$run/gateway.yaml"
}

# shellcheck disable=SC2120 # the command is optional
# start_gateway [COMMAND …]: under the command, when one is given. Sets $gateway_pid.
start_gateway() {
    start gateway taskset -c $proxy_core "$@" "$bin/gatepost" serve --config "$run/gateway.yaml"
    gateway_pid=${children[-1]}
    wait_for "the gateway" "${gateway_seconds:-30}" gateway_answers
}
gateway_answers() { # HTTP, not only TCP: the listener is there before the control plane
    curl -sS -o /dev/null --max-time 5 --cacert "$run/certs/dev-ca.pem" \
        --resolve "wiki.localhost:$port:127.0.0.1" "https://wiki.localhost:$port/" 2>/dev/null
}

enroll_and_sign_in() {
    local token
    token=$("$bin/gatepost" enroll-token --config "$run/gateway.yaml" --email alice@corp.example \
        --identity-provider staff --subject lab-0001)
    enroll_agent "$bin" "$run" "$port" "$token"
    start_agent "$bin" "$run" "$agent_port"
    taskset -apc $load_core "${children[-1]}" >/dev/null
    wait_for "the agent" 20 agent_answers
    python3 "$root/loadtest/lib/sign_in.py" "$port" "$agent_port" "$run/certs/dev-ca.pem" "$run/cookie"
    # Once in detail: a token of three parts, the identity field, and of the cookies only the application's own.
    python3 "$root/loadtest/lib/fetch.py" "$port" "$run/certs/dev-ca.pem" 1 /identity
    echo "signed in as alice, device proven; the upstream gets assertion and identity field"
}
agent_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$agent_port") 2>/dev/null; }

# What wrk and the other clients read: one TLS suite and group for both sides, the fields, the cookie.
write_client_files() {
    cat >"$run/openssl.cnf" <<CNF
openssl_conf = load
[load]
ssl_conf = tls
[tls]
system_default = pinned
[pinned]
MinProtocol = TLSv1.3
Ciphersuites = TLS_AES_128_GCM_SHA256
Groups = X25519
CNF
    export LOADTEST_FIELDS=$root/loadtest/request-fields LOADTEST_COOKIE=$run/cookie
}
