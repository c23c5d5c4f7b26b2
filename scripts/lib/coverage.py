"""Prints region coverage per file of one module and fails below a threshold.

usage: coverage.py CODECOV.JSON MODULE-FOLDER PERCENT

The threshold holds for the decision files: everything of the module but what only words explain records and what
analyses policies before they are used.
"""

import json
import os
import sys

# Texts for people, and analysis, whose own law tests compare it with the evaluator.
NOT_DECIDING = ("Analysis/", "DeviceRuleText.swift", "Explain.swift", "ContentText")


def main() -> int:
    path, module, threshold = sys.argv[1], sys.argv[2].rstrip("/") + "/", float(sys.argv[3])
    with open(path, encoding="utf-8") as file:
        files = json.load(file)["data"][0]["files"]
    rows = []
    for entry in files:
        name = entry["filename"]
        if module not in name:
            continue
        short = name.split(module, 1)[1]
        regions = entry["summary"]["regions"]
        missed = sorted({s[0] for s in entry["segments"] if s[2] == 0 and s[3] and s[4] and not s[5]})
        decides = not any(part in short for part in NOT_DECIDING)
        rows.append((short, regions["covered"], regions["count"], decides, missed))
    if not rows:
        print(f"coverage: no file of {module} in {os.path.basename(path)}", file=sys.stderr)
        return 1
    total = [0, 0]
    for short, covered, count, decides, missed in sorted(rows):
        if decides:
            total[0] += covered
            total[1] += count
        mark = "" if decides else "  (not a decision file)"
        lines = f"  lines {', '.join(map(str, missed))}" if missed and decides else ""
        print(f"{100 * covered / max(count, 1):6.1f} % {covered:4}/{count:<4} {short}{mark}{lines}")
    share = 100 * total[0] / max(total[1], 1)
    print(f"coverage: {share:.2f} % of {total[1]} regions of the decision files; threshold {threshold} %")
    return 0 if share >= threshold else 1


if __name__ == "__main__":
    sys.exit(main())
