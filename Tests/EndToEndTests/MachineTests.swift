import Foundation
import Glibc
import Testing

/// An application for machines alone, and a listener that asks for their certificates.
struct MachineStage {
    static let page = "https://robots.corp.test/"
    let stack: Stack

    /// Adds both to the running gateway, and takes them away again.
    ///
    /// - Parameters:
    ///   - file: with the application `robots`.
    ///   - keys: of the listener's `client-certificates`, beside the authorities.
    static func with(
        _ stack: Stack, file: String = configuration, keys: String = "", _ body: (MachineStage) throws -> Void
    ) throws {
        let demo = stack.path("demo.yaml")
        let before = try String(contentsOfFile: demo, encoding: .utf8)
        let certificates = "certificates: [ { chain: certs/server.pem, key: certs/server.key } ]"
        let after = before.replacingOccurrences(
            of: certificates,
            with: certificates + "\n      client-certificates: { authorities: certs/robots.pem\(keys) }")
        guard after != before else { throw Failure(description: "the demo's listener is another one now") }
        let stage = MachineStage(stack: stack)
        try stage.makeAuthority()
        try after.write(toFile: demo, atomically: true, encoding: .utf8)
        defer { try? before.write(toFile: demo, atomically: true, encoding: .utf8) }
        try FurtherFile(name: "robots.yaml", text: file, sign: (page, 401)).with(stack) {
            try body(stage)
        }
    }

    static let configuration = """
        version: 1
        applications:
          robots:
            host: robots.corp.test
            upstreams: [ "http://127.0.0.1:\(Stack.echoPort)" ]
            identity-providers: [ hr-staff ]
            policies:
              - { name: certified, action: service, include: [ { certificate: { subjects: [ robot ] } } ] }
              - { name: scanner, action: service, include: [ { service: [ scanner ] } ] }

        """

    /// The words of docs/machines.md, and an application that has nothing for a device without good marks. People's
    /// devices run Linux here, so that these policies are about machines alone.
    static let quarantine = """
        version: 1
        device-policies:
          - { name: healthy-machine, platform: windows, priority: 10, result: compliant,
              rules: [ { intune: intune, tags: { matches-any: [ compliant ] } } ] }
        applications:
          robots:
            host: robots.corp.test
            upstreams: [ "http://127.0.0.1:\(Stack.echoPort)" ]
            identity-providers: [ hr-staff ]
            policies:
              - { name: healthy, action: service, include: [ { everyone: true } ], require: [ { device: compliant } ] }
              - { name: quarantine, action: service, include: [ { everyone: true } ],
                  require: [ { device: partial } ], restrict: { path-prefixes: [ /updates ], methods: [ GET ] } }
          archive:
            host: archive.corp.test
            upstreams: [ "http://127.0.0.1:\(Stack.echoPort)" ]
            identity-providers: [ hr-staff ]
            policies:
              - { name: healthy, action: service, include: [ { everyone: true } ], require: [ { device: compliant } ] }

        """

    func openssl(_ arguments: [String]) throws {
        try stack.run("/usr/bin/openssl", arguments)
    }

    private func makeAuthority() throws {
        try openssl(
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                "2",
                "-subj", "/CN=Robots", "-keyout", stack.path("robots.key"), "-out",
                stack.path("certs/robots.pem"),
            ])
    }

    /// - Parameters:
    ///   - subject: the common name.
    ///   - names: alternative names, as OpenSSL writes them.
    /// - Returns: what curl shows the certificate with.
    func certificate(serial: String, subject: String = "robot", names: String? = nil) throws -> [String] {
        let name = stack.path("robot-\(serial)")
        let extensions = "extendedKeyUsage=clientAuth\n" + (names.map { "subjectAltName=\($0)\n" } ?? "")
        try extensions.write(toFile: name + ".ext", atomically: true, encoding: .utf8)
        try openssl(
            [
                "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                "/CN=\(subject)",
                "-keyout", name + ".key", "-out", name + ".csr",
            ])
        try openssl(
            [
                "x509", "-req", "-in", name + ".csr", "-CA", stack.path("certs/robots.pem"), "-CAkey",
                stack.path("robots.key"), "-set_serial", "0x" + serial, "-days", "1", "-extfile",
                name + ".ext",
                "-out", name + ".pem",
            ])
        return ["--cert", name + ".pem", "--key", name + ".key"]
    }

    func token(_ arguments: String...) throws -> [String] {
        let text = try stack.gatepost(["service-token"] + arguments)
        guard let token = text.split(separator: "\n").first, token.hasPrefix("gps_") else {
            throw Failure(description: text)
        }
        return ["-H", "Gatepost-Service-Token: \(token)"]
    }

    func status(_ proof: [String]) throws -> Int {
        try Client(stack).fetch(Self.page, proof).status
    }

    /// An event stream that has begun.
    func stream(_ proof: [String]) throws -> Child {
        let name = "stream-\(UUID().uuidString)"
        try stack.start(
            name, "/usr/bin/curl",
            ["-sS", "-N", "--max-time", "60", "--cacert", stack.path("certs/dev-ca.pem")] + proof
                + [Self.page + "sse"])
        let child = try stack.child(name)
        try poll("the stream to begin") { child.output.contains("data:").whenTrue }
        return child
    }

    /// - Returns: whether it ended at once.
    func isCut(_ stream: Child) -> Bool { (try? poll("the cut", seconds: 3) { stream.status }) != nil }

    func controlPID() throws -> pid_t {
        let text = try stack.gatepost("status", "--json")
        let all = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        let plane = all?["data_plane"] as? [String: Any]
        let processes = (plane?["processes"] as? [String: Any])?["processes"] as? [[String: Any]] ?? []
        let found = processes.last {
            $0["process"] as? String == "control" && $0["state"] as? String == "ready"
        }
        guard let pid = found?["pid"] as? Int else { throw Failure(description: text) }
        return pid_t(pid)
    }

    /// Another control process takes the place of this one, which has no time to say anything.
    func killControl() throws {
        let pid = try controlPID()
        kill(pid, SIGKILL)
        try poll("another control process") {
            (try? controlPID()).flatMap { $0 != pid ? () : nil }
        }
    }
}

extension EndToEnd {
    @Suite("Machines that an administrator ends are cut, and stay ended")
    struct MachineTests {
        @Test(
            "a service token: both of a rotation count, a revocation cuts what is open, over a killed process"
        )
        func tokens() throws {
            try MachineStage.with(try Stack.current()) { stage in
                let first = try stage.token("create", "scanner", "--days", "1")
                defer { _ = try? stage.stack.gatepost("service-token", "revoke", "scanner") }
                #expect(try stage.status(first) == 200)
                try stage.killControl()
                #expect(try stage.status(first) == 200)
                let second = try stage.token("rotate", "scanner", "--overlap-days", "1")
                let streams = try [first, second].map { try stage.stream($0) }
                #expect(
                    try stage.stack.gatepost("service-token", "revoke", "scanner").contains("2 tokens"))
                for stream in streams { #expect(stage.isCut(stream)) }
                for _ in 0..<2 {
                    #expect(try stage.status(first) == 401)
                    #expect(try stage.status(second) == 401)
                    try stage.killControl()
                }
            }
        }

        @Test("a client certificate: its serial number ends it in both processes, and nobody else")
        func certificates() throws {
            try MachineStage.with(try Stack.current()) { stage in
                // Serial numbers are revoked for good, also for tests that come after.
                let number = String(UInt32.random(in: 0x1000_0000...0x7fff_ffff), radix: 16)
                let lost = try stage.certificate(serial: number)
                let kept = try stage.certificate(serial: "7f" + number)
                #expect(try stage.status(lost) == 200)
                #expect(try stage.status(kept) == 200)
                #expect(try stage.status([]) == 401)
                let streams = try [lost, kept].map { try stage.stream($0) }
                let said = try stage.stack.gatepost("device", "revoke", "--serial", number)
                #expect(said.contains("machine"), "\(said)")
                #expect(stage.isCut(streams[0]))
                #expect(streams[1].status == nil)
                for _ in 0..<2 {
                    #expect(try stage.status(lost) == 401)
                    #expect(try stage.status(kept) == 200)
                    try stage.killControl()
                }
                let ended = try stage.stack.gatepost("session", "end", "--application", "robots", "--json")
                #expect(ended.contains("\"machines\":"), "\(ended)")
                streams[1].stop()
            }
        }

        @Test(
            "003.16 Intune calls its device noncompliant: restricted here and closed there, and whole again after"
        )
        func verdict() throws {
            let stack = try Stack.current()
            try MachineStage.with(stack, file: MachineStage.quarantine, keys: ", platform: windows") {
                stage in
                let serial = String(UInt32.random(in: 0x1000_0000...0x7fff_ffff), radix: 16)
                let robot = try stage.certificate(
                    serial: serial, names: "DNS:\(ProviderCase.intuneDevice)")
                let client = Client(stack)
                func answer(_ url: String, _ options: [String] = []) throws -> String {
                    let answer = try client.fetch(url, robot + options)
                    return "\(answer.status) \(answer.field("gatepost-reason") ?? "")"
                }
                let (page, other) = (MachineStage.page, "https://archive.corp.test/")
                try poll("Intune's word on the machine") { try (stage.status(robot) == 200).whenTrue }
                #expect(try answer(other) == "200 ")
                #expect(try answer(page + "updates/list", ["--data", "x"]) == "200 ")
                let stream = try stage.stream(robot)
                try stack.setDevice("noncompliant")
                defer { try? stack.setDevice("compliant") }
                try poll("the machine's quarantine") { try (stage.status(robot) == 403).whenTrue }
                #expect(try answer(page) == "403 restricted-path")
                try poll("the stream's end") { stream.status }
                #expect(try answer(page + "updates/list") == "200 ")
                #expect(try answer(page + "updates/list", ["--data", "x"]) == "403 restricted-method")
                #expect(try answer(other) == "403 posture-non-compliant")
                // Another certificate of the same device is the same device.
                let second = try stage.certificate(
                    serial: "7f" + serial, names: "DNS:\(ProviderCase.intuneDevice)")
                #expect(try stage.status(second) == 403)
                try stack.setDevice("compliant")
                try poll("the machine's return") { try (stage.status(robot) == 200).whenTrue }
                #expect(try answer(other) == "200 ")
            }
        }
    }
}
