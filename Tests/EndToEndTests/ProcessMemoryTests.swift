import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("What the process that faces the network has in its memory")
    struct ProcessMemoryTests {
        /// What only the control process may have, by what it is.
        private static func secrets(_ stack: Stack) throws -> [String: [Data]] {
            var secrets: [String: [Data]] = [:]
            for name in ["staff", "hr-staff", "intune"] {
                let secret = try String(contentsOfFile: stack.path("secrets/\(name)"), encoding: .utf8)
                secrets["client secret \(name)"] = [Data(secret.utf8)]
            }
            for purpose in ["assertion", "challenge", "root"] {
                secrets["signing key \(purpose)"] = try keys(stack, purpose, "private_key").flatMap {
                    try forms(ofPrivateKey: $0, stack)
                }
            }
            secrets["sealing key"] = try keys(stack, "sealing", "secret").flatMap {
                [Data($0.utf8), try #require(ProcessMemory.decoded($0))]
            }
            let authority = try String(contentsOfFile: stack.path("certs/device-ca.key"), encoding: .utf8)
            secrets["key of the device authority"] = try forms(ofPrivateKey: authority, stack)
            return secrets
        }

        /// A purpose's keys of the ring, as their files have them: other tests rotate them.
        private static func keys(_ stack: Stack, _ purpose: String, _ member: String) throws -> [String] {
            let folder = stack.folder.appending(path: "state/keys")
            let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
                .filter { $0.hasPrefix("\(purpose)-") && $0.hasSuffix(".json") }
            try #require(!names.isEmpty, "\(purpose) has no key")
            return try names.map { name in
                let bytes = try Data(contentsOf: folder.appending(path: name))
                let key = try JSONSerialization.jsonObject(with: bytes) as? [String: Any]
                return try #require(key?[member] as? String, "\(name)")
            }
        }

        /// The number itself, in the order of its bytes that stands in files and in the one that OpenSSL counts with,
        /// and the text that it was read from.
        private static func forms(ofPrivateKey pem: String, _ stack: Stack) throws -> [Data] {
            let lines = pem.split(separator: "\n").filter { !$0.hasPrefix("-----") }
            let der = try #require(Data(base64Encoded: lines.joined()))
            // ECPrivateKey (RFC 5915 §3): version 1, then the number as an octet string of 32 bytes.
            let at = try #require(der.range(of: Data([2, 1, 1, 4, 32])))
            let number = der[at.upperBound...].prefix(32)
            try #require(number.count == 32)
            return [Data(number), Data(number.reversed()), Data(lines[0].utf8)]
        }

        /// What Canaille gave the gateway until now.
        private static func tokens(_ stack: Stack) throws -> [Data] {
            let script = """
                import sqlite3, sys
                for row in sqlite3.connect(sys.argv[1]).execute("SELECT access_token, refresh_token FROM token"):
                    print(*[text for text in row if text], sep="\\n")
                """
            let text = try stack.run("/usr/bin/python3", ["-c", script, stack.path("canaille.sqlite")])
            return text.split(separator: "\n").map { Data($0.utf8) }
        }

        @Test("no provider's secret or token and no key of the control process, after a sign-in")
        func secrets() throws {
            let stack = try Stack.current()
            // A process of its own: what others left behind is not asked about.
            try stack.child("gateway").stop(seconds: 15)
            try stack.startGateway()
            let browser = try Chromium(stack)
            try browser.enter("wiki", as: "alice")
            let client = try Client.signedIn(stack, application: "people")
            #expect(try client.fetch("https://people.corp.test/").status == 200)

            let data = try ProcessMemory(of: stack.processID("data"))
            let control = try ProcessMemory(of: stack.processID("control"))
            for (name, forms) in try Self.secrets(stack) {
                // What is looked for can be found: else its absence would say nothing.
                #expect(forms.contains { control.contains($0) }, "\(name) is not where it belongs")
                #expect(!forms.contains { data.contains($0) }, "\(name)")
            }
            let tokens = try Self.tokens(stack)
            #expect(tokens.count >= 2)
            #expect(!tokens.contains { data.contains($0) }, "a provider's token")

            // Of the gateway's own assertions it has some. What devices sign of themselves passes through it; nobody
            // else's tokens do.
            let issuers = Set(data.tokenPayloads().compactMap { $0["iss"] as? String })
                .filter { !$0.hasPrefix("urn:device:") }
            #expect(issuers == ["https://\(PrivateNetwork.authHost)"], "\(issuers)")
            let cookies = try Self.keys(stack, "cookie", "secret").compactMap(ProcessMemory.decoded)
            #expect(cookies.contains { data.contains($0) }, "its own key is not found")
        }

        /// With `gateway.user`, in a folder that this user owns.
        @Test("started as root, both become the named user, without capabilities and out of its reach")
        func user() throws {
            try #require(geteuid() == 0, "only root can become somebody else; run the suite as root")
            let stack = try Stack.current()
            let folder = stack.path("as-nobody")
            let port = 8_470
            try Self.prepare(stack, folder, port: port)
            try stack.start("as-nobody", stack.program("gatepost"), ["serve", "--config", folder])
            let gateway = try stack.child("as-nobody")
            defer { gateway.stop(seconds: 15) }
            var pids: [String: pid_t] = [:]
            try poll("both processes", seconds: 60) {
                if let status = gateway.status {
                    throw Failure(description: "ended with \(status): \(gateway.output.suffix(800))")
                }
                let text = try? stack.run("gatepost", ["status", "--json", "--config", folder])
                let found = Self.ready(text ?? "")
                pids = found
                return (found.count == 2).whenTrue
            }
            for (name, pid) in pids {
                try Self.expectNobody(name, pid)
                let files = "/proc/\(pid)/environ /proc/\(pid)/mem"
                let read = try Self.asNobody(stack, "cat \(files) | head -c 1 | wc -c")
                #expect(read == "0", "\(name): another process of its user reads \(read)")
            }
            // The same user reads what has given up nothing.
            #expect(try Self.asNobody(stack, "head -c 1 /proc/self/environ | wc -c") == "1")
            let said = gateway.output
            for name in ["data", "control"] {
                let start = "gatepost: \(name) process \(pids[name] ?? 0): user nobody,"
                #expect(said.contains(start), "\(said)")
            }
        }

        private static func prepare(_ stack: Stack, _ folder: String, port: Int) throws {
            try FileManager.default.createDirectory(
                atPath: folder + "/state", withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
            try stack.run("/bin/cp", ["-r", stack.path("certs"), folder + "/certs"])
            try """
            version: 1
            gateway:
              auth-host: auth.corp.test
              public-port: \(port)
              user: nobody
              listeners:
                - address: "127.0.0.1:\(port)"
                  certificates: [ { chain: certs/server.pem, key: certs/server.key } ]
              workers: 1
              store: sqlite:state
            identity-providers:
              staff: { issuer: "http://127.0.0.1:\(Stack.openidPort)", client-id: gatepost, client-secret: { file: secret },
                unsafe-allow-http: true }
            applications:
              people:
                host: people.corp.test
                upstreams: [ "http://127.0.0.1:\(Stack.echoPort)" ]
                identity-providers: [ staff ]
                policies: [ { name: all, action: allow, include: [ everyone: true ] } ]

            """.write(toFile: folder + "/gatepost.yaml", atomically: true, encoding: .utf8)
            try "nobody-secret".write(toFile: folder + "/secret", atomically: true, encoding: .utf8)
            chmod(folder + "/secret", 0o600)
            try stack.run("/bin/chown", ["-R", "nobody", folder])
            // The way to it is somebody else's folder.
            chmod(stack.folder.path, 0o711)
        }

        private static func ready(_ status: String) -> [String: pid_t] {
            let object = try? JSONSerialization.jsonObject(with: Data(status.utf8)) as? [String: Any]
            let processes = (object?["data_plane"] as? [String: Any])?["processes"] as? [String: Any]
            var found: [String: pid_t] = [:]
            for process in processes?["processes"] as? [[String: Any]] ?? []
            where process["state"] as? String == "ready" {
                guard let name = process["process"] as? String, let pid = process["pid"] as? Int else {
                    continue
                }
                found[name] = pid_t(pid)
            }
            return found
        }

        /// Of every thread.
        private static func expectNobody(_ name: String, _ pid: pid_t) throws {
            let uid = try #require(getpwnam("nobody")).pointee.pw_uid
            let threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")
            #expect(threads.count > 1)
            for thread in threads {
                guard
                    let status = try? String(
                        contentsOfFile: "/proc/\(pid)/task/\(thread)/status", encoding: .utf8)
                else { continue }
                #expect(status.contains("Uid:\t\(uid)\t\(uid)\t\(uid)\t\(uid)\n"), "\(name): \(status)")
                #expect(status.contains("Groups:\t \n"), "\(name): \(status)")
                #expect(status.contains("NoNewPrivs:\t1\n") && status.contains("Seccomp:\t2\n"))
                for set in ["Inh", "Prm", "Eff", "Amb"] + (name == "data" ? ["Bnd"] : []) {
                    #expect(status.contains("Cap\(set):\t0000000000000000\n"), "\(name): \(status)")
                }
            }
        }

        /// What a command of that user prints.
        private static func asNobody(_ stack: Stack, _ command: String) throws -> String {
            let user = ["--reuid=nobody", "--regid=nogroup", "--clear-groups"]
            let quiet = ["/bin/sh", "-c", "{ \(command); } 2>/dev/null"]
            let text = try stack.run("/usr/bin/setpriv", user + quiet)
            return text.trimmingCharacters(in: .whitespacesAndNewlines)
        }
    }
}
