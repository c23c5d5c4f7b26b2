# Sourced by scripts/run: the demo's configuration, its secrets, and how the agent is enrolled and started.

# lab_value NAME: a number or a word from .run/lab.json, which the lab wrote.
lab_value() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p" "$run/lab.json" | head -n 1; }

# write_demo_config FOLDER PORT AGENT-PORT
write_demo_config() {
    local run=$1 port=$2 agent_port=$3
    mkdir -p "$run/secrets" "$run/agent"
    chmod 700 "$run/secrets" "$run/agent"
    (
        umask 077
        printf %s gatepost-demo-secret >"$run/secrets/staff"
        printf %s gatepost-hr-demo-secret >"$run/secrets/hr-staff"
        printf %s intune-demo-secret >"$run/secrets/intune"
        # What an administrator would put on the device: how Intune knows it. The enrolment pins it to the device key.
        printf '{"intune_device_id":"%s"}\n' "$(lab_value device)" >"$run/agent/device-ids.json"
        demo_config "$port" "$agent_port" "$(lab_value openid)" "$(lab_value graph)" "$(lab_value echo)" \
            "$(lab_value tenant)" "$(lab_value graphClient)" >"$run/demo.yaml"
    )
}

demo_config() {
    local port=$1 agent_port=$2 openid=$3 graph=$4 echo=$5 tenant=$6 client=$7
    cat <<YAML
# Written by scripts/run; changes are lost at the next start. conf/gatepost.yaml is the sample to copy from.
version: 1
gateway:
  auth-host: auth.localhost
  public-port: $port
  listeners:
    - address: "127.0.0.1:$port"
      certificates: [ { chain: certs/server.pem, key: certs/server.key } ]
  access-log: json
  store: sqlite:state

identity-providers:
  # One provider, two registrations: a session of one does not count where only the other is accepted.
  staff:
    issuer: "http://127.0.0.1:$openid"
    client-id: gatepost
    client-secret: { file: secrets/staff }
    display-name: Corp staff
    unsafe-allow-http: true
  hr-staff:
    issuer: "http://127.0.0.1:$openid"
    client-id: gatepost-hr
    client-secret: { file: secrets/hr-staff }
    display-name: Corp people team
    unsafe-allow-http: true

integrations:
  intune:
    provider: intune
    tenant: $tenant
    client-id: $client
    client-secret: { file: secrets/intune }
    login-url: "http://127.0.0.1:$graph"
    graph-url: "http://127.0.0.1:$graph"
    unsafe-allow-http: true
    refresh: 5s
  agents:
    provider: endpoint-agent
    port: $agent_port
    enrollment-ca: { certificate: certs/device-ca.pem, key: { file: certs/device-ca.key } }

device-policies:
  - name: healthy-linux
    platform: linux
    priority: 10
    result: compliant
    rules:
      - { intune: intune, tags: { matches-any: [ compliant ] } }
      - { agent: agents, managed: true }
  - name: broken-linux
    platform: linux
    priority: 20
    result: denied
    rules:
      - { intune: intune, tags: { matches-any: [ noncompliant ] } }
    message: "Intune reports that this device breaks a compliance rule. Put it right, then wait a moment."

applications:
  wiki:
    host: wiki.localhost
    upstreams: [ "http://127.0.0.1:$echo" ]
    identity-providers: [ staff ]
    agent: agents
    policies:
      - name: staff
        action: allow
        include: [ { email-domain: corp.example } ]
        require: [ { device: compliant } ]
        session: 8h
      - name: staff-read-only
        action: allow
        include: [ { email-domain: corp.example } ]
        require: [ { device: partial } ]
        restrict: { methods: [ GET, HEAD ] }
  hr:
    host: hr.localhost
    upstreams: [ "http://127.0.0.1:$echo" ]
    identity-providers: [ hr-staff ]
    policies:
      - { name: people-team, action: allow, include: [ { group: staff } ], session: 1h }
YAML
}

# enroll_agent BIN FOLDER PORT TOKEN
enroll_agent() {
    "$1/gatepost-agent" enroll --state-dir "$2/agent" --device-ids "$2/agent/device-ids.json" --force \
        --url "https://auth.localhost:$3" --authorities "$2/certs/dev-ca.pem" "--token=$4"
}

# start_agent BIN FOLDER AGENT-PORT: for every local user, since the browser need not be of the one who started it.
start_agent() {
    start agent "$1/gatepost-agent" run --state-dir "$2/agent" --device-ids "$2/agent/device-ids.json" \
        --port "$3" --any-user
}
