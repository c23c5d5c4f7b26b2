# The demo's configuration and secrets, and how the agent is enrolled and started. Sourced by scripts/run and loadtest;
# the end-to-end suite runs it by itself: bash scripts/lib/demo-config.sh FOLDER NAME=VALUE…
# shellcheck shell=bash

# lab_value NAME: a number or a word from .run/lab.json, which the lab wrote.
lab_value() { sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p" "$run/lab.json" | head -n 1; }

# write_demo_config FOLDER NAME=VALUE…: demo.yaml, secrets and device ids of the lab that runs in FOLDER. Each NAME is
# a word between two @ in scripts/lib/demo.yaml; port and agent_port must be given, the others have a default.
write_demo_config() {
    local run=$1 name text
    shift
    local -A values=(
        [domain]=localhost [address]=127.0.0.1 [openid]=$(lab_value openid) [graph]=$(lab_value graph)
        [echo]=$(lab_value echo) [tenant]=$(lab_value tenant) [graph_client]=$(lab_value graphClient)
        [staff_issuer]=http://127.0.0.1:$(lab_value openid) [staff_trust]="unsafe-allow-http: true"
    )
    for name in "$@"; do values[${name%%=*}]=${name#*=}; done
    text=$(cat "$(dirname "${BASH_SOURCE[0]}")/demo.yaml")
    for name in "${!values[@]}"; do text=${text//"@$name@"/"${values[$name]}"}; done
    if [[ $text =~ @([a-z_]+)@ ]]; then
        echo "demo-config: no value for ${BASH_REMATCH[1]}" >&2
        return 1
    fi
    mkdir -p "$run/secrets" "$run/agent"
    chmod 700 "$run/secrets" "$run/agent"
    (
        umask 077
        printf %s gatepost-demo-secret >"$run/secrets/staff"
        printf %s gatepost-hr-demo-secret >"$run/secrets/hr-staff"
        printf %s intune-demo-secret >"$run/secrets/intune"
        printf '%s\n' "$text" >"$run/demo.yaml"
        write_device_ids "$run/agent/device-ids.json"
    )
}

# What an administrator would put on the device: how its providers know it. The enrolment pins it to the device key.
write_device_ids() { # FILE
    printf '{"intune_device_id":"%s","entra_device_id":"%s","serial":"%s"}\n' \
        "$(lab_value device)" "$(lab_value directoryDevice)" "$(lab_value serial)" >"$1"
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

# Not sourced: the configuration alone.
if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    set -euo pipefail
    write_demo_config "$@"
fi
