# Sourced by scripts/bootstrap, test and run: long work is never silent.
# shellcheck shell=bash

# How often something is said, in seconds.
progress_every=10
# How long a line is waited for before the clock is looked at again, in seconds.
progress_wait=1

# progress_clock: seconds that only grow, in `now`. Tests put a clock of their own in its place.
progress_clock() { now=$SECONDS; }

# next_line: the next line of standard input in `line`, waited for `progress_wait` at most.
# 0: it came whole; 1: no more comes; 2: none came, or only its beginning, which is kept for the next call.
# What the reader keeps between calls is in `line_begun`, which its caller has made.
next_line() {
    local status=0
    IFS= read -r -t "$progress_wait" line || status=$?
    if [ $status -gt 128 ]; then
        line_begun+=$line
        return 2
    fi
    line=$line_begun$line
    line_begun=
    # The last line may have no end.
    [ $status -eq 0 ] || [ -n "$line" ]
}

# heartbeat WHAT: of the lines that come in, errors, and every ten seconds the last one; in silence, how long it takes.
heartbeat() {
    local what=$1 line line_begun='' last='' status now begun said
    progress_clock
    begun=$now said=$now
    while true; do
        status=0
        next_line || status=$?
        [ $status -ne 1 ] || break
        if [ $status -eq 0 ]; then
            last=$line
            case $line in *error:* | E:* | ERROR:*) printf '%s\n' "$line" ;; esac
        fi
        progress_clock
        [ $((now - said)) -ge $progress_every ] || continue
        said=$now
        printf '%s: %d s%s\n' "$what" $((now - begun)) "${last:+: ${last:0:100}}"
    done
}

# progress WHAT LOG COMMAND…: runs it, with all that it says added to LOG. When it fails, the end of that is shown.
progress() {
    local what=$1 log=$2 status=0
    shift 2
    "$@" 2>&1 | tee -a "$log" | heartbeat "$what" || status=1
    [ $status -eq 0 ] && return
    echo "$what: failed; the end of $log:" >&2
    tail -n 20 "$log" >&2
    return 1
}

# show_tests [each]: of Swift Testing's lines failures, totals, and at least every ten seconds how many passed and what
# began last; each: also every test that begins. Read line by line here: Debian's awk would hold lines back until its
# buffer is full.
show_tests() {
    local each=${1:-} line line_begun='' running='' passed=0 status now said
    progress_clock
    said=$now
    while true; do
        status=0
        next_line || status=$?
        [ $status -ne 1 ] || break
        [ $status -eq 0 ] || line=
        case $line in
            "◇ Test "*" started.")
                # "Test run" and "Test case" are no tests.
                case $line in "◇ Test run "* | "◇ Test case "*) continue ;; esac
                running=${line#"◇ Test "}
                running=${running%" started."}
                if [ "$each" = each ]; then
                    echo "test: $(date +%H:%M:%S) ${running:0:110}"
                    progress_clock
                    said=$now
                fi
                ;;
            *"Test run "* | "measured: "*) printf '%s\n' "$line" ;;
            "✔ Test "*) ((++passed)) ;;
            ✘* | *"WARNING: ThreadSanitizer"* | *"ERROR: AddressSanitizer"* | *"recorded an issue"* | *"recorded a known issue"* | *error:* | *"Fatal error"* | "↳"*) printf '%s\n' "$line" ;;
        esac
        progress_clock
        [ $((now - said)) -ge $progress_every ] || continue
        said=$now
        echo "test: $(date +%H:%M:%S) $passed passed so far${running:+; began last: ${running:0:90}}"
    done
}
