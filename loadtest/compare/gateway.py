"""The gateway as one more peer: it runs already, signed in, and can be asked to change."""
import os
import signal
import subprocess
import time

import load
from peers import Peer, START_SECONDS


class Gateway(Peer):
    name = "gatepost"

    def __init__(self, bench, port, pid):
        super().__init__(bench, port)
        self.pid = pid
        self.configuration = f"{bench.run}/gateway.yaml"
        with open(self.configuration, encoding="utf-8") as file:
            self.first_text = file.read()

    def text_with(self, key, value):
        lines = self.first_text.splitlines(keepends=True)
        matching = [at for at, line in enumerate(lines) if line.strip().startswith(f"{key}:")]
        if len(matching) != 1:
            load.fail(f"{self.configuration} names {key} {len(matching)} times")
        indent = lines[matching[0]][:len(lines[matching[0]]) - len(lines[matching[0]].lstrip())]
        lines[matching[0]] = f"{indent}{key}: {value}\n"
        return "".join(lines)

    def write_configuration(self, text):
        with open(self.configuration, "w", encoding="utf-8") as file:
            file.write(text)

    def log_lines(self):
        with open(f"{self.bench.run}/gateway.log", "rb") as file:
            return file.read().count(b"\n")

    def set_access_log(self, is_on):
        """Reloads, and waits until a request shows that it is so."""
        self.write_configuration(self.text_with("access-log", "json" if is_on else "off"))
        os.kill(self.pid, signal.SIGHUP)
        deadline = time.monotonic() + START_SECONDS
        while True:
            time.sleep(0.5)
            before, client = self.log_lines(), load.Client(self.bench, self.port)
            with client.connect() as connection:
                for _ in range(20):
                    client.ask(connection)
            time.sleep(0.5)
            if (self.log_lines() - before >= 20) == is_on:
                return
            if time.monotonic() > deadline:
                load.fail(f"the access log did not turn {'on' if is_on else 'off'}")

    def restart(self, workers, cores):
        """The same state with another number of reactors. The client's session outlives it."""
        self.stop_running()
        self.start_again(workers, cores)

    def begin_anew(self):
        self.restart(1, str(self.bench.proxy_core))

    def multiply_sessions(self, count):
        """Stops, copies the client's session, starts, and asks once with each, so that all of them are known."""
        self.stop_running()
        cookies = f"{self.bench.run}/cookies"
        made = subprocess.run(
            [f"{self.bench.bin}/gatepost-lab", "sessions", "--store", f"{self.bench.run}/state", "--like",
             self.bench.first_cookie, "--count", str(count), "--cookies", cookies],
            capture_output=True, text=True, check=False)
        if made.returncode != 0:
            load.fail("no sessions could be made", made.stdout + made.stderr)
        self.start_again(1, str(self.bench.proxy_core))
        self.bench.cookie = cookies
        load.ask_with_each(self.bench, self.port)

    def forget_sessions(self):
        self.bench.cookie = self.bench.first_cookie

    def start_again(self, workers, cores):
        self.write_configuration(self.text_with("workers", str(workers)))
        with open(f"{self.bench.run}/gateway.log", "ab") as log:
            self.process = subprocess.Popen(
                ["taskset", "-c", cores, f"{self.bench.bin}/gatepost", "serve", "--config", self.configuration],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.pid = self.process.pid
        self.wait_until_open()
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                client = load.Client(self.bench, self.port)
                with client.connect() as connection:
                    client.ask(connection)
                return
            except (OSError, SystemExit):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def stop_running(self):
        if self.process is not None:
            self.stop()
            return
        os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + START_SECONDS
        while os.path.exists(f"/proc/{self.pid}"):
            # A child of the calling script stays as a zombie until that ends.
            with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return
            if time.monotonic() > deadline:
                load.fail("the gateway did not stop")
            time.sleep(0.1)
