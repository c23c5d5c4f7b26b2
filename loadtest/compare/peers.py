"""The proxies that are compared: a configuration and a command for each, all doing the same plain TLS proxying.

Every peer listens on 127.0.0.1, has one worker on the proxy's core, the same certificate, keep-alive on both sides, no
access log, and adds `X-Forwarded-Proto`, without which the upstream answers 500.
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import time

import sign_in

HOST = "wiki.localhost"
START_SECONDS = 20
STOP_SECONDS = 10


class Peer:
    """One proxy. `write` returns its command; a peer whose program is missing is left out with a word."""

    name = ""
    program = ""
    speaks_h2 = True
    environment = {}

    def __init__(self, bench, port):
        self.bench, self.port, self.process, self.pid, self.lab = bench, port, None, None, None
        # Only who makes sessions of its own has a cookie of its own.
        self.cookie = None

    @property
    def is_there(self):
        return shutil.which(self.program) is not None

    def path(self, suffix):
        return os.path.join(self.bench.run, f"{self.name}{suffix}")

    def put(self, suffix, text):
        with open(self.path(suffix), "w", encoding="ascii") as file:
            file.write(text)
        return self.path(suffix)

    def write(self):
        raise NotImplementedError

    def start(self):
        command = ["taskset", "-c", str(self.bench.proxy_core), *self.write()]
        with open(self.path(".log"), "wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **self.environment})
        self.pid = self.process.pid
        self.wait_until_open()

    def wait_until_open(self):
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError as error:
                ended = self.process is not None and self.process.poll() is not None
                if ended or time.monotonic() > deadline:
                    raise SystemExit(f"loadtest: {self.name} does not listen ({error}); see {self.path('.log')}")
                time.sleep(0.1)

    def begin_anew(self):
        """What it holds of earlier connections is gone."""
        self.stop()
        self.start()

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


class Nginx(Peer):
    name = "nginx"
    program = "nginx"
    h2 = ""
    check = ""
    further = ""

    def write(self):
        bench = self.bench
        user = "user root;" if os.getuid() == 0 else ""
        folders = " ".join(
            f"{kind}_temp_path {self.path('-' + kind)};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        configuration = f"""{user} daemon off; worker_processes 1; pid {self.path('.pid')};
error_log {self.path('-error.log')} warn;
events {{ worker_connections 10000; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; server_tokens off; {folders}
  client_max_body_size 0; proxy_request_buffering off; proxy_buffering on; proxy_max_temp_file_size 0;
  ssl_certificate {bench.chain}; ssl_certificate_key {bench.key}; ssl_protocols TLSv1.2 TLSv1.3;
  upstream app {{ server 127.0.0.1:{bench.plain_port}; keepalive 1024; keepalive_requests 1000000000;
    keepalive_timeout 1h; }}
  server {{ listen 127.0.0.1:{self.port} ssl {self.h2} reuseport; {self.further}
    location / {{ {self.check}
      proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto https; }} }}
}}
"""
        return ["nginx", "-e", self.path("-error.log"), "-c", self.put(".conf", configuration)]


class NginxH2(Nginx):
    """A server of its own, because offering h2 is an option of the listening socket."""

    name = "nginx-h2"
    h2 = "http2"


class NginxAuthRequest(Nginx):
    """A question to a local service before every request, as oauth2-proxy and its like are used."""

    name = "nginx-authrequest"
    check = "auth_request /verify;"

    @property
    def further(self):
        return f"""location = /verify {{ internal; proxy_pass http://127.0.0.1:{self.bench.plain_port}/verify;
      proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header X-Forwarded-Proto https;
      proxy_pass_request_body off; proxy_set_header Content-Length ""; }}"""


class Haproxy(Peer):
    name = "haproxy"
    program = "haproxy"
    check = ""

    def write(self):
        bench = self.bench
        with open(bench.chain, encoding="ascii") as chain, open(bench.key, encoding="ascii") as key:
            both = self.put(".pem", chain.read() + key.read())
        os.chmod(both, 0o600)
        return ["haproxy", "-db", "-f", self.put(".cfg", f"""
global
  nbthread 1
  maxconn 9400
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
  http-reuse always
frontend tls
  bind 127.0.0.1:{self.port} ssl crt {both} ssl-min-ver TLSv1.2 alpn h2,http/1.1
{self.check}
  http-request set-header X-Forwarded-Proto https
  option forwardfor
  default_backend app
backend app
  server one 127.0.0.1:{bench.plain_port}
""")]


class HaproxyJWT(Haproxy):
    """A symmetric JWT in a cookie, verified in process: the cheapest session check that any peer has."""

    name = "haproxy-jwt"

    @property
    def check(self):
        return f'  http-request deny unless {{ req.cook(session),jwt_verify("HS256","{self.bench.jwt_secret}") 1 }}'


class H2O(Peer):
    name = "h2o"
    program = "h2o"

    def write(self):
        bench = self.bench
        user = "user: root\n" if os.getuid() == 0 else ""
        return ["h2o", "-c", self.put(".yaml", f"""{user}num-threads: 1
max-connections: 9800
http2-idle-timeout: 3600
http1-request-timeout: 3600
proxy.preserve-host: ON
proxy.timeout.keepalive: 3600000
proxy.timeout.io: 3600000
proxy.emit-x-forwarded-headers: ON
hosts:
  default:
    listen: {{ host: 127.0.0.1, port: {self.port}, ssl: {{ certificate-file: {bench.chain},
      key-file: {bench.key}, minimum-version: TLSv1.2 }} }}
    paths: {{ "/": {{ proxy.reverse.url: "http://127.0.0.1:{bench.plain_port}/" }} }}
""")]


class Envoy(Peer):
    name = "envoy"
    program = "envoy"

    @property
    def is_there(self):
        self.program = self.bench.python_program("envoy")
        return os.access(self.program, os.X_OK)

    def write(self):
        bench = self.bench
        proxy = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
        configuration = self.put(".yaml", f"""
static_resources:
  listeners:
    - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {self.port} }} }}
      filter_chains:
        - transport_socket:
            name: envoy.transport_sockets.tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              common_tls_context:
                alpn_protocols: [ h2, http/1.1 ]
                tls_certificates:
                  - {{ certificate_chain: {{ filename: {bench.chain} }}, private_key: {{ filename: {bench.key} }} }}
          filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": {proxy}
                stat_prefix: tls
                stream_idle_timeout: 0s
                use_remote_address: true
                route_config:
                  virtual_hosts:
                    - {{ name: all, domains: [ "*" ], routes: [ {{ match: {{ prefix: / }}, route: {{ cluster: app,
                        timeout: 0s }} }} ] }}
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
  clusters:
    - name: app
      type: STATIC
      load_assignment:
        cluster_name: app
        endpoints: [ {{ lb_endpoints: [ {{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1,
            port_value: {bench.plain_port} }} }} }} }} ] }} ]
""")
        return [self.program, "-c", configuration, "--concurrency", "1", "--disable-hot-restart", "-l", "error"]


class Caddy(Peer):
    name = "caddy"
    program = "caddy"
    environment = {"GOMAXPROCS": "1"}

    @property
    def is_there(self):
        self.program = self.bench.python_program("caddy")
        return os.access(self.program, os.X_OK)

    def write(self):
        bench = self.bench
        configuration = self.put(".Caddyfile", f"""{{
  admin off
  auto_https off
  storage file_system {self.path("-state")}
}}
https://{HOST}:{self.port} {{
  bind 127.0.0.1
  tls {bench.chain} {bench.key}
  reverse_proxy 127.0.0.1:{bench.plain_port}
}}
""")
        return [self.program, "run", "--config", configuration, "--adapter", "caddyfile"]


class ApacheOIDC(Peer):
    """A whole OpenID Connect session proxy: Alice signs in at a lab of its own, the session lies in shared memory."""

    name = "apache-oidc"
    program = "apache2"
    session_cookie = "mod_auth_openidc_session"
    modules = ["mpm_event", "authn_core", "authz_core", "authz_user", "auth_openidc", "ssl", "socache_shmcb", "headers",
               "proxy", "proxy_http"]

    @property
    def is_there(self):
        return super().is_there and os.access("/usr/lib/apache2/modules/mod_auth_openidc.so", os.R_OK)

    def start_lab(self):
        """Its callback is the one that the lab knows of a gateway at this address."""
        folder = self.path("-lab")
        os.makedirs(folder, 0o700)
        with open(self.path("-lab.log"), "wb") as log:
            self.lab = subprocess.Popen(
                ["taskset", "-c", str(self.bench.load_core), f"{self.bench.bin}/gatepost-lab", "serve", "--folder",
                 folder, "--quiet", "--auth-origin", f"https://{HOST}:{self.port}"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while not os.path.exists(f"{folder}/lab.json"):
            if time.monotonic() > deadline or self.lab.poll() is not None:
                raise SystemExit(f"loadtest: the lab of {self.name} did not start; see {self.path('-lab.log')}")
            time.sleep(0.1)
        with open(f"{folder}/lab.json", encoding="ascii") as file:
            return json.load(file)["openid"]

    def write(self):
        bench, issuer = self.bench, f"http://127.0.0.1:{self.start_lab()}"
        modules = "\n".join(
            f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in self.modules)
        user = "User www-data\nGroup www-data" if os.getuid() == 0 else ""
        return ["apache2", "-D", "FOREGROUND", "-f", self.put(".conf", f"""
{modules}
{user}
ServerName {HOST}
PidFile {self.path('.pid')}
ErrorLog {self.path('-error.log')}
Mutex posixsem
Listen 127.0.0.1:{self.port}
ServerLimit 1
StartServers 1
ThreadsPerChild 256
MaxRequestWorkers 256
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 3600
SSLEngine on
SSLCertificateFile {bench.chain}
SSLCertificateKeyFile {bench.key}
SSLSessionCache shmcb:{self.path('-tls')}(512000)
OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
OIDCClientID gatepost
OIDCClientSecret gatepost-demo-secret
OIDCRedirectURI https://{HOST}:{self.port}/.gatepost/callback/staff
OIDCPKCEMethod S256
OIDCCryptoPassphrase {bench.jwt_secret}
OIDCSSLValidateServer Off
OIDCSessionInactivityTimeout 28800
OIDCScope "openid email"
ProxyPreserveHost On
RequestHeader set X-Forwarded-Proto https
<Location "/">
  AuthType openid-connect
  Require valid-user
  ProxyPass http://127.0.0.1:{bench.plain_port}/ keepalive=On ttl=3600
</Location>
""")]

    def start(self):
        super().start()
        browser = sign_in.Browser(self.bench.authorities)
        try:
            secret = sign_in.sign_in(browser, self.port, 0, self.session_cookie)
        except (sign_in.SignInFailed, OSError, KeyError) as failure:
            raise SystemExit(f"loadtest: signing in at {self.name} failed: {failure!r}") from failure
        with open(self.bench.first_cookie, encoding="ascii") as file:
            field = file.readline().rstrip("\n")
        self.cookie = self.put(".cookie", f"{field}; {self.session_cookie}={secret}\n")

    def stop(self):
        super().stop()
        if self.lab is not None:
            self.lab.terminate()
            self.lab.wait(STOP_SECONDS)
            self.lab = None


ALL = [Nginx, NginxH2, NginxAuthRequest, Haproxy, HaproxyJWT, H2O, ApacheOIDC, Envoy, Caddy]
