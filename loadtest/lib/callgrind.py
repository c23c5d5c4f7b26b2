#!/usr/bin/env python3
"""Prints where the instructions of one callgrind dump went: by object and by function, per request.

    callgrind.py DUMP REQUESTS

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
                    pending = None
    return own, whole, calls


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


def main():
    path, requests = sys.argv[1], int(sys.argv[2])
    own, whole, calls = parse(path)
    libraries = collections.Counter()
    for (library, _), cost in own.items():
        libraries[library] += cost
    print("by object: instructions per request")
    for library, cost in libraries.most_common(8):
        print(f"  {cost / requests:9,.0f}  {library}")
    show("by function", own, calls, requests)
    show("with what they called", whole, calls, requests)


main()
