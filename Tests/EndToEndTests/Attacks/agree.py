"""Do independent parsers understand what the gateway sends as the request that its policy judged?

agree.py JOB: a JSON file {"address", "port", "authority", "log", "seed", "count", "hosts": {"python", "node", "nginx",
"apache", "node2"}}. With "http2" the requests are sent over HTTP/2, by raw2.py and the Python that runs this. With "as_sent" it expects every path as the client spelt it, which must fail: the test of the test. Makes `count` odd but legal requests from the seed, sends each to every host, and holds what each upstream
says it got against what was meant and against the gateway's own log line. Prints one line per disagreement, and last
`agreed: N of M requests by P parsers`.
"""

import json
import os
import random
import subprocess
import sys
import time
import urllib.parse

job = json.load(open(sys.argv[1]))
dice = random.Random(job["seed"])
UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
# Methods that Node's parser knows; it refuses every other one, which is no disagreement about where a request ends.
METHODS = ["GET", "GET", "GET", "POST", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "REPORT", "SEARCH",
           "MKCOL", "LOCK", "UNLOCK", "COPY", "MOVE", "MKCALENDAR", "SUBSCRIBE"]
# Framing, connection and what the gateway writes itself: compared elsewhere, or by each parser's own understanding.
OWN = {"connection", "transfer-encoding", "content-length", "host", "x-forwarded-for", "x-real-ip",
       "x-forwarded-proto", "x-forwarded-host", "gatepost-request-id", "gatepost-hop", "traceparent",
       "x-parser-path", "x-parser-method", "via", "te"}


def segment():
    """One path segment as sent, and its canonical form."""
    sent, canonical = b"", b""
    for _ in range(dice.choice([1, 1, 2, 3, 5, 12])):
        kind = dice.randrange(10)
        if kind < 4:
            part = bytes([dice.choice(b"abcXYZ019-_~")])
            sent, canonical = sent + part, canonical + part
        elif kind < 6:
            # An escape of something that needs none: decoded once.
            byte = dice.choice(b"aZ09-_~")
            sent, canonical = sent + (b"%%%02x" % byte), canonical + bytes([byte])
        elif kind < 8:
            # One that stays, in whatever case it came: a space, quotes, brackets, UTF-8.
            for byte in dice.choice(["ü", "€", "😀", " ", '"', "<", "[", "?", "#", "&", "=", "+", ";", "@", ":"]).encode():
                escape = dice.choice([b"%%%02x", b"%%%02X"]) % byte
                sent, canonical = sent + escape, canonical + escape.upper()
        else:
            part = bytes([dice.choice(b"!$&'()*+,=:@")])
            sent, canonical = sent + part, canonical + part
    # A segment that is nothing but a parameter is refused: some servers take it for an empty one.
    return (b"s" + sent, b"s" + canonical) if canonical.startswith(b"%3B") else (sent, canonical)


def path():
    parts = [segment() for _ in range(dice.randrange(5))]
    end = dice.choice([b"", b"/"]) if parts else b""
    return tuple(b"/" + b"/".join(part[side] for part in parts) + end for side in (0, 1))


def query():
    if dice.randrange(3) == 0:
        return b""
    parts = [b"", b"a", b"a=", b"=b", b"a=b=c", b"x=%2F%2e%2e", b"p=%20+", b"u=%C3%BC", b"/..;/", b"a;b", b"?", b"q=?x",
             b"http://evil/%23"]
    return b"?" + b"&".join(dice.choice(parts) for _ in range(dice.randrange(5)))


def fields():
    names = ["X-Odd", "x-odd", "X_Under_Score", "X.Dot", "X!#$%&'*+-.^`|~", "Accept", "Range", "Referer", "Authorization", "If-Match",
             "Cache-Control", "X-Empty", "Accept-Encoding", "User-Agent", "Origin", "1", "X-" + "l" * 200]
    values = [b"", b"a", b"a, b,,c", b'"quoted, \\" text"', b"tab\tinside", b"two  spaces", "ümläut €".encode(), b"\xfc\xe4\xf6",
              b"\x80\x85\xa0\xff", b"a:b:c", b"GET / HTTP/1.1", b"%0d%0aX-Injected: 1", b"x" * dice.choice([300, 4000, 8000]), b"(comment; x)"]
    lines = []
    # nginx refuses a second one of the fields that it knows; twice is what the first three are for.
    for name in dice.sample(names + names[:3], dice.randrange(6)):
        padding = dice.choice([b" ", b"", b"\t", b"   "])
        lines.append((name.encode(), padding, dice.choice(values), dice.choice([b"", b" ", b"\t "])))
    if dice.randrange(3) == 0:
        pairs = [b"c%d=%s" % (number, dice.choice([b"", b"v", b'"q"', b"a=b", b"%00", b"\xc3\xbc", b"x" * 50]))
                 for number in range(dice.choice([1, 2, 40]))]
        lines.append((b"Cookie", b" ", b"; ".join(pairs), b""))
    return lines


def body(method):
    if method in ("GET", "DELETE", "OPTIONS") and dice.randrange(4):
        return None, b"", b""
    content = bytes(dice.randrange(256) for _ in range(dice.choice([0, 1, 10, 1000])))
    if dice.randrange(4) == 0:
        content = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    if dice.randrange(2):
        return b"Content-Length: %d" % len(content), content, content
    coded, rest = b"", content
    while rest:
        size = dice.randrange(1, len(rest) + 1)
        extension = dice.choice([b"", b"", b";a", b";a=b", b';a="b;c"', b";x=y"])
        coded += dice.choice([b"%x", b"%X", b"0%x", b"0000%x"]) % size + extension + b"\r\n" + rest[:size] + b"\r\n"
        rest = rest[size:]
    trailer = dice.choice([b"", b"", b"X-Trailer: late\r\n"])
    return b"Transfer-Encoding: chunked", coded + b"0" + dice.choice([b"", b";end"]) + b"\r\n" + trailer + b"\r\n", content


def request():
    method, (sent, canonical), asked, lines = dice.choice(METHODS), path(), query(), fields()
    framing, coded, content = body(method)
    absolute = dice.randrange(6) == 0
    return {"method": method, "sent": sent, "canonical": canonical, "query": asked, "lines": lines, "framing": framing,
            "coded": coded, "content": content, "absolute": absolute}


def write(made, host):
    target = made["sent"] + made["query"]
    if made["absolute"]:
        target = b"https://" + host.encode() + target
    head = made["method"].encode() + b" " + target + b" HTTP/1.1\r\nHost: " + host.encode() + b"\r\n"
    for name, before, value, after in made["lines"]:
        head += name + b":" + before + value + after + b"\r\n"
    if made["framing"]:
        head += made["framing"] + b"\r\n"
    return (head + b"\r\n" + made["coded"]).hex()


def write2(made, host, index):
    """The same request over HTTP/2: a case of raw2.py. Its own dice leave those of the request as they are."""
    own = random.Random("%s %s" % (job["seed"], index))
    authority = [(b":authority", host.encode())]
    pseudo = [(b":method", made["method"].encode()), (b":scheme", b"https"), (b":path", made["sent"] + made["query"])]
    kind = own.randrange(4)
    # The host by either name, or by both.
    lines = [(b"host", host.encode())] if kind < 2 else []
    pseudo += authority if kind > 0 else []
    own.shuffle(pseudo)
    for name, _, value, _ in made["lines"]:
        crumbs = value.split(b"; ") if name == b"Cookie" else [value]
        while len(crumbs) > 1 and own.randrange(3) == 0:
            at = own.randrange(len(crumbs) - 1)
            crumbs[at:at + 2] = [crumbs[at] + b"; " + crumbs[at + 1]]
        lines += [(name.lower(), crumb.strip(b" \t")) for crumb in crumbs]
    data, trailers, rest = [], [], made["content"]
    if made["framing"]:
        if made["framing"].startswith(b"Content-Length"):
            lines.append((b"content-length", b"%d" % len(rest)))
        elif own.randrange(3) == 0:
            trailers = [(b"x-trailer", b"late")]
        while rest:
            size = own.randrange(1, len(rest) + 1)
            data, rest = data + [rest[:size]], rest[size:]
        if not data and not trailers:
            data = [b""]
    return {"fields": [(a.hex(), b.hex()) for a, b in pseudo + lines], "data": [piece.hex() for piece in data],
            "trailers": [(a.hex(), b.hex()) for a, b in trailers]}


def merged(pairs):
    """Fields by folded name: whoever joins two of one name does so with a comma (RFC 9110 5.3)."""
    result = {}
    for name, value in pairs:
        name = name.lower()
        if name not in OWN:
            result[name] = result[name] + b", " + value if name in result else value
    return result


def logged():
    found = {}
    for line in open(job["log"], errors="replace"):
        if line.startswith("{") and '"request_id"' in line:
            entry = json.loads(line)
            found[entry["request_id"]] = entry
    return found


def compare(parser, host, made, result):
    if len(result["answers"]) != 1 or result["answers"][0]["status"] != 200:
        seen = [(answer["status"], answer["body"][:200]) for answer in result["answers"]]
        asked = made if job.get("http2") else bytes.fromhex(write(made, host))
        return ["was not accepted: %s %s; %r" % (seen, result["end"], asked)]
    answer = result["answers"][0]
    seen = json.loads(answer["body"])
    got = merged((name, bytes.fromhex(value)) for name, value in seen["fields"])
    named = {name.lower(): bytes.fromhex(value) for name, value in seen["fields"]}
    meant = made["sent"] if job.get("as_sent") else made["canonical"]
    wanted = merged((name.decode(), value.strip(b" \t")) for name, _, value, _ in made["lines"])
    problems = []

    def same(what, left, right):
        if left != right:
            problems.append("%s: got %r, meant %r" % (what, left, right))

    same("method", seen["method"], made["method"])
    same("target", seen["target"].encode("latin-1"), meant + made["query"])
    same("host", named["host"].decode(), host)
    for name in sorted(set(got) | set(wanted)):
        same("field " + name, got.get(name), wanted.get(name))
    same("body", bytes.fromhex(seen["body"]), made["content"])
    if "x-parser-method" in named:
        same("method inside of " + parser, named["x-parser-method"].decode(), made["method"])
        same("path inside of " + parser, named["x-parser-path"], urllib.parse.unquote_to_bytes(made["canonical"]))
    line = log.get(dict(answer["fields"])["gatepost-request-id"])
    if line is None:
        return problems + ["has no line in the gateway's log"]
    known = made["method"] if made["method"] in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "*"
    same("method judged", line["method"].lower(), known.lower())
    same("path judged", line["path"].encode(), meant[:1024])
    same("host judged", line["host"], host)
    return problems


made = [request() for _ in range(job["count"])]
running = {}
for parser, host in job["hosts"].items():
    file = "%s-%s.json" % (sys.argv[1], parser)
    is_http2 = job.get("http2", False)
    cases = [{"name": str(index), "host": host} | (write2(one, host, index) if is_http2 else {"parts": [write(one, host)]})
             for index, one in enumerate(made)]
    json.dump({key: job[key] for key in ("address", "port", "authority")} | {"cases": cases, "keep": True}, open(file, "w"))
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "raw2.py" if is_http2 else "raw.py")
    running[parser] = subprocess.Popen([sys.executable, "-B", program, file], stdout=subprocess.PIPE)
results = {parser: json.loads(process.communicate()[0]) for parser, process in running.items()}
ids = [dict(answer["fields"]).get("gatepost-request-id") for result in results.values() for one in result for answer in one["answers"]]
for _ in range(100):
    # A thread of the gateway writes the log some time after the answer.
    log = logged()
    if all(name in log for name in ids if name):
        break
    time.sleep(0.1)
agreed = 0
for index, one in enumerate(made):
    problems = []
    for parser, host in job["hosts"].items():
        problems += [(parser, problem) for problem in compare(parser, host, one, results[parser][index])]
    agreed += not problems
    for parser, problem in problems:
        print("seed %d request %d %s %s%s, %s: %s" % (
            job["seed"], index, one["method"], one["sent"].decode("latin-1"), one["query"].decode(), parser, problem))
print("agreed: %d of %d requests by %d parsers" % (agreed, len(made), len(results)))
