# Sourced by scripts/run: starts programs, waits for them with a deadline, and stops exactly those, by process id.

children=()
names=()

# Stops what was started, last first; each gets five seconds to end well.
stop_children() {
    trap - EXIT INT TERM
    local index deadline
    for ((index = ${#children[@]} - 1; index >= 0; index--)); do
        kill -TERM "${children[index]}" 2>/dev/null || true
    done
    deadline=$((SECONDS + 5))
    for pid in "${children[@]}"; do
        while kill -0 "$pid" 2>/dev/null && [ $SECONDS -lt $deadline ]; do sleep 0.1; done
        kill -KILL "$pid" 2>/dev/null || true
    done
    [ ${#children[@]} -eq 0 ] || echo "stopped: ${names[*]}"
}
trap stop_children EXIT
trap 'echo; exit 130' INT
trap 'exit 143' TERM

# start NAME COMMAND…: in the background, its output in $run/NAME.log.
start() {
    local name=$1
    shift
    # An own process group would need job control; ignoring SIGINT lets Ctrl-C reach us alone, and we stop in order.
    (trap '' INT; exec "$@") >"$run/$name.log" 2>&1 </dev/null 9>&- &
    children+=($!)
    names+=("$name")
}

# stop_child PID SECONDS: ends one program in time and forgets it.
stop_child() {
    kill -TERM "$1"
    local index deadline=$((SECONDS + $2))
    while kill -0 "$1" 2>/dev/null; do
        [ $SECONDS -lt $deadline ] || { echo "process $1 did not stop within $2 s" >&2; exit 1; }
        sleep 0.1
    done
    for index in "${!children[@]}"; do
        [ "${children[index]}" != "$1" ] || unset "children[index]" "names[index]"
    done
    children=("${children[@]}") names=("${names[@]}")
}

# wait_for WHAT SECONDS COMMAND…: polls until the command succeeds; gives up at the deadline or when a child died.
wait_for() {
    local what=$1 deadline=$((SECONDS + $2)) index
    shift 2
    printf 'waiting for %s ' "$what"
    until "$@"; do
        for index in "${!children[@]}"; do
            kill -0 "${children[index]}" 2>/dev/null || fail_with_log "${names[index]}" "ended"
        done
        [ $SECONDS -lt $deadline ] || fail_with_log "${names[-1]}" "did not answer in time"
        printf .
        sleep 0.25
    done
    echo ready
}

fail_with_log() {
    echo
    echo "$1 $2; the end of $run/$1.log:" >&2
    tail -n 15 "$run/$1.log" >&2
    exit 1
}

# Waits until one of the programs ends, which is an error: Ctrl-C is how the demo ends.
watch_children() {
    local index
    while true; do
        for index in "${!children[@]}"; do
            kill -0 "${children[index]}" 2>/dev/null || fail_with_log "${names[index]}" "ended"
        done
        sleep 1
    done
}

# A path below the project as one types it from there.
relative() { printf '%s' "${1#"$PWD"/}"; }
