# Sourced by scripts/fuzz, scripts/oracle, loadtest/handshake and loadtest/replay: compiles single modules with one set of
# compiler options, for programs that SwiftPM cannot link (libFuzzer brings its own main) or that need a few of a module's files
# only.
# Expects $root (the project) and $objects (a folder); options in the arrays module_options and link_options.
# shellcheck shell=bash disable=SC2154

compile_module() { # NAME FILE…: $objects/NAME.swiftmodule and NAME.o
    local name=$1
    shift
    swiftc -swift-version 6 -parse-as-library -wmo -package-name gatepost -module-name "$name" -I "$objects" \
        -I "$root/Sources/COpenSSL" -I "$root/Sources/CLinux" -I "$root/Sources/CNghttp2" \
        -enable-upcoming-feature InternalImportsByDefault \
        -enable-upcoming-feature MemberImportVisibility -enable-upcoming-feature ExistentialAny \
        "${module_options[@]}" -emit-module -emit-module-path "$objects/$name.swiftmodule" \
        -c -o "$objects/$name.o" "$@"
}

compile_signatures() { # JSON and Signatures
    mapfile -t files < <(find "$root/Sources/JSON" -name '*.swift')
    compile_module JSON "${files[@]}"
    mapfile -t files < <(find "$root/Sources/Signatures" -name '*.swift')
    compile_module Signatures "${files[@]}"
}

# The files of the gateway's verifier, without the service around it. What they import beside these modules but do not use
# is there as an empty module.
verifier_files() {
    find "$root/Sources/Posture/Handshake" -name '*.swift'
    printf '%s\n' "$root/Sources/Posture/PostureRefusal.swift" "$root/Sources/Posture/PostureSettings.swift" \
        "$root/Sources/Posture/Devices/StatementFacts.swift" "$root/Sources/Posture/Devices/DeviceKey.swift" \
        "$root/Sources/Posture/Verdicts/CertificateNames.swift"
}
# Of these only a few small functions run here: optimising all that decides would take minutes.
compile_plainly() { # MODULE…
    local module_options=(-Onone) name
    for name in "$@"; do
        mapfile -t files < <(find "$root/Sources/$name" -name '*.swift')
        compile_module "$name" "${files[@]}" || return 1
    done
}

compile_verifier_imports() {
    compile_plainly Access
    local module_options=(-Onone) name
    for name in Store Fetch; do
        : >"$objects/$name-empty.swift"
        compile_module "$name" "$objects/$name-empty.swift"
    done
}

link_program() { # PROGRAM OBJECT…
    local program=$1
    shift
    # The sanitizer's own symbols make a linker talk for a page; what else it says stays.
    swiftc "${module_options[@]}" -o "$program" "$@" -lssl -lcrypto "${link_options[@]}" \
        2> >(grep -v "Cannot export local symbol '__asan_" >&2 || true)
}
