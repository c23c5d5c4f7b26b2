#!/usr/bin/env python3
"""Prints where the instructions of one callgrind dump went: by object and by function, per request.

    callgrind.py DUMP REQUESTS                  by object and by function
    callgrind.py --allocations DUMP REQUESTS    the last line: allocations per request, OpenSSL's own left out

callgrind_annotate 3.19 charges a dump that was taken in the middle of a thread's life to `clone` as a whole.
"""
import collections
import os
import re
import subprocess
import sys

ROWS = 30
NAMED = re.compile(r"(c?)(ob|fn|fl|fi|fe|fi)=\((\d+)\)(?: (.*))?$")
COST = re.compile(r"[+\-*\d]\S* (\d+)$")


def parse(path):
    names, own, calls = {}, collections.Counter(), collections.Counter()
    # By who called whom.
    callers = collections.Counter()
    # Instructions of a function together with those it called; recursive ones count more than once.
    whole = collections.Counter()
    place, callee, pending = {"ob": "?", "fn": "?"}, None, None
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if (found := NAMED.match(line)):
                called, kind, number, name = found.groups()
                table = "ob" if kind == "ob" else "fn" if kind == "fn" else "file"
                if name is not None:
                    names[table, number] = name.strip()
                if table == "file":
                    continue
                value = names.get((table, number), "?")
                if not called:
                    place[table] = value
                elif table == "fn":
                    callee = value
            elif line.startswith("calls="):
                pending = int(line[6:].split()[0])
            elif (found := COST.match(line)):
                cost, key = int(found.group(1)), (os.path.basename(place["ob"]), place["fn"])
                whole[key] += cost
                if pending is None:
                    own[key] += cost
                else:
                    calls[callee] += pending
                    callers[key, callee] += pending
                    pending = None
    return own, whole, calls, callers


def demangled(names):
    done = subprocess.run(
        ["swift", "demangle", "--compact", "--simplified"], input="\n".join(names), capture_output=True,
        text=True, timeout=60, check=False)
    lines = done.stdout.splitlines()
    return lines if done.returncode == 0 and len(lines) == len(names) else names


def show(title, counter, calls, requests):
    rows = counter.most_common(ROWS)
    print(f"{title}: instructions and calls per request")
    for ((library, name), cost), text in zip(rows, demangled([key[1] for key, _ in rows])):
        print(f"  {cost / requests:9,.0f} {calls[name] / requests:7.1f}  {library}  {text[:110]}")


# libc's, and what Swift and libc have in front of them: each is counted where it is asked from outside of these. Between
# two of these callgrind counts the calls of all threads, also of those whose cost it leaves out.
ALLOCATORS = {"malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign", "mmap"}
RUNTIME = {"swift_allocObject", "swift_slowAlloc", "swift_slowAllocTyped", "_swift_allocObject_", "_mid_memalign"}
OPENSSL = ("libcrypto", "libssl")


def show_allocations(path, requests):
    count = collections.Counter()
    for (caller, callee), times in parse(path)[3].items():
        name = callee.split("@", 1)[0].split("'", 1)[0]
        if name in ALLOCATORS | RUNTIME and caller[1].split(".", 1)[0] not in ALLOCATORS | RUNTIME:
            count[caller, name] += times
    ours = {key: times for key, times in count.items() if not key[0][0].startswith(OPENSSL) and times > 0}
    for ((library, function), name), times in sorted(ours.items(), key=lambda item: -item[1])[:ROWS]:
        print(f"  {times / requests:9.3f}  {name} by {library} {demangled([function])[0][:100]}")
    theirs = sum(times for (caller, _), times in count.items() if caller[0].startswith(OPENSSL))
    print(f"  {theirs / requests:9.3f}  by OpenSSL, not counted")
    print(f"{sum(ours.values()) / requests:.2f}")


def main():
    if sys.argv[1] == "--allocations":
        return show_allocations(sys.argv[2], int(sys.argv[3]))
    path, requests = sys.argv[1], int(sys.argv[2])
    own, whole, calls, _ = parse(path)
    libraries = collections.Counter()
    for (library, _), cost in own.items():
        libraries[library] += cost
    print("by object: instructions per request")
    for library, cost in libraries.most_common(8):
        print(f"  {cost / requests:9,.0f}  {library}")
    show("by function", own, calls, requests)
    show("with what they called", whole, calls, requests)


main()
