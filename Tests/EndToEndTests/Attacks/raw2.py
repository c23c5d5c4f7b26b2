"""Sends field sections as they are over HTTP/2, and tells what came back and what reached the upstream meanwhile.

raw2.py JOB: as raw.py, but each case is {"name", "host", "fields": [[name, value]…], "data": [hex…], "trailers": [[name,
value]…]}: names and values are hex, pseudo-fields included, in the order in which they are sent. Nothing is checked or
made good on this side. Prints the array that raw.py prints; a stream that was reset has no answer, and `end` is
`reset CODE`. With "keep" cases of one host share a connection as long as the gateway lets them.
"""

import itertools
import json
import socket
import ssl
import sys

import h2.config
import h2.connection
import h2.events
import h2.exceptions

job = json.load(open(sys.argv[1]))
context = ssl.create_default_context(cafile=job["authority"])
context.set_alpn_protocols(["h2"])


def lines():
    try:
        return open(job["record"]).read().splitlines() if job.get("record") else []
    except FileNotFoundError:
        return []


sources = ("127.1.%d.%d" % divmod(number, 256) for number in itertools.count(1))


class Connection:
    def __init__(self, host):
        plain = socket.create_connection(
            (job["address"], job["port"]), timeout=10, source_address=(next(sources), 0))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(plain, server_hostname=host)
        if self.socket.selected_alpn_protocol() != "h2":
            raise OSError("no HTTP/2")
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=True, header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False,
            validate_inbound_headers=True))
        self.connection.initiate_connection()
        self.is_over = False
        self.flush()

    def flush(self):
        self.socket.sendall(self.connection.data_to_send())

    def ask(self, case):
        """Returns the answer, or None, and how the stream or the connection stood then."""
        number = self.connection.get_next_available_stream_id()
        fields = [(bytes.fromhex(name), bytes.fromhex(value)) for name, value in case["fields"]]
        data, trailers = [bytes.fromhex(piece) for piece in case.get("data", [])], case.get("trailers", [])
        has_more = bool(data) or bool(trailers)
        self.connection.send_headers(number, fields, end_stream=not has_more)
        for index, piece in enumerate(data):
            self.connection.send_data(number, piece, end_stream=not trailers and index == len(data) - 1)
        if trailers:
            pairs = [(bytes.fromhex(name), bytes.fromhex(value)) for name, value in trailers]
            self.connection.send_headers(number, pairs, end_stream=True)
        self.flush()
        answer = {"status": 0, "fields": [], "body": b""}
        while True:
            received = self.socket.recv(65536)
            if not received:
                self.is_over = True
                return None, "closed"
            for event in self.connection.receive_data(received):
                if isinstance(event, h2.events.ConnectionTerminated):
                    self.is_over = True
                    return None, "goaway %d" % event.error_code
                if getattr(event, "stream_id", 0) != number:
                    continue
                if isinstance(event, h2.events.ResponseReceived):
                    named = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in event.headers]
                    answer["status"] = int(dict(named)[":status"])
                    answer["fields"] = [pair for pair in named if pair[0] != ":status"]
                elif isinstance(event, h2.events.DataReceived):
                    answer["body"] += event.data
                    self.connection.acknowledge_received_data(event.flow_controlled_length, number)
                elif isinstance(event, h2.events.StreamReset) and (not answer["status"] or event.error_code):
                    self.flush()
                    return None, "reset %d" % event.error_code
                elif isinstance(event, h2.events.StreamEnded):
                    self.flush()
                    answer["body"] = answer["body"].decode("latin-1")
                    return answer, "open"
            self.flush()


kept = {}


def play(case):
    before = len(lines())
    answers, end, source = [], "open", ""
    try:
        connection = kept.pop(case["host"], None) or Connection(case["host"])
        source = connection.socket.getsockname()[0]
        answer, end = connection.ask(case)
        if answer:
            answers.append(answer)
        if job.get("keep") and not connection.is_over:
            kept[case["host"]] = connection
        else:
            connection.socket.close()
    except socket.timeout:
        end = "timeout"
    except (OSError, ValueError, h2.exceptions.H2Error) as error:
        end = "broken: %s %s" % (type(error).__name__, error)
    reached = lines()[before:]
    return {"name": case["name"], "source": source, "answers": answers, "end": end,
            "reached": [json.loads(line) for line in reached]}


json.dump([play(case) for case in job["cases"]], sys.stdout)
