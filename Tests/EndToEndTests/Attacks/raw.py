"""Sends bytes as they are over TLS, and tells what came back and what reached the upstream meanwhile.

raw.py JOB: a JSON file {"address", "port", "authority", "record", "cases": [{"name", "host", "parts": [hex…],
"answers": 1, "heads": false}]}. Prints one JSON array. Each case has a connection of its own, unless "keep" is true: then
they follow each other on one as long as the gateway lets them; `parts` are sent one by
one, and `answers` says how many responses are waited for (fewer when the gateway closes). `record` is the upstream's
list of what reached it: each case gets the lines that were added while it ran. Every connection comes from an address of
its own in 127.1.0.0/16, `source`: what one address may do in a second is another test's subject.
"""

import itertools
import json
import socket
import ssl
import sys

job = json.load(open(sys.argv[1]))
context = ssl.create_default_context(cafile=job["authority"])
context.set_alpn_protocols(["http/1.1"])


def lines():
    try:
        return open(job["record"]).read().splitlines() if job.get("record") else []
    except FileNotFoundError:
        return []


def read_answer(stream, is_head):
    """One response, or None at the end."""
    line = stream.readline()
    if not line:
        return None
    status, fields = int(line.split(b" ")[1]), []
    while True:
        line = stream.readline().rstrip(b"\r\n")
        if not line:
            break
        name, _, value = line.partition(b":")
        fields.append([name.decode("latin-1").lower(), value.strip().decode("latin-1")])
    named = dict(fields)
    body = b""
    if is_head or status in (204, 304) or status < 200:
        pass
    elif named.get("transfer-encoding") == "chunked":
        while True:
            size = int(stream.readline().split(b";")[0], 16)
            body += stream.read(size)
            stream.readline()
            if size == 0:
                break
    elif "content-length" in named:
        body = stream.read(int(named["content-length"]))
    else:
        body = stream.read()
    return {"status": status, "fields": fields, "body": body.decode("latin-1")}


kept = {}
sources = ("127.1.%d.%d" % divmod(number, 256) for number in itertools.count(1))


def connection(host):
    if host in kept:
        return kept.pop(host)
    plain = socket.create_connection((job["address"], job["port"]), timeout=10, source_address=(next(sources), 0))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    secure = context.wrap_socket(plain, server_hostname=host)
    return secure, secure.makefile("rb")


def play(case):
    before = len(lines())
    answers, end, source = [], "open", ""
    try:
        secure, stream = connection(case["host"])
        source = secure.getsockname()[0]
        for part in case["parts"]:
            secure.sendall(bytes.fromhex(part))
        while len(answers) < case.get("answers", 1):
            answer = read_answer(stream, case.get("heads", False))
            if answer is None:
                end = "closed"
                break
            if answer["status"] >= 200:
                answers.append(answer)
        if end == "open" and job.get("keep") and ["connection", "close"] not in answers[-1]["fields"]:
            kept[case["host"]] = secure, stream
        else:
            stream.close()
            secure.close()
    except socket.timeout:
        end = "timeout"
    except (OSError, ValueError, IndexError) as error:
        end = "broken: " + str(error)
    reached = lines()[before:]
    return {"name": case["name"], "source": source, "answers": answers, "end": end,
            "reached": [json.loads(line) for line in reached]}


json.dump([play(case) for case in job["cases"]], sys.stdout)
