import Foundation
import Glibc
import JSON
import Signatures
import Testing

@testable import gatepost_agent

@Suite("The loopback server over real sockets")
struct ServerTests {
    /// Sends bytes to a running server, in the given pieces, and returns all that came back.
    static func exchange(_ port: UInt16, _ pieces: [[UInt8]]) -> String {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var patience = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        // Every piece is a segment of its own, as far as the kernel is quick enough.
        var yes: CInt = 1
        setsockopt(
            descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<CInt>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(127 << 24 | 1).bigEndian
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { return "not connected" }
        for piece in pieces { _ = send(descriptor, piece, piece.count, CInt(MSG_NOSIGNAL)) }
        var received: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            guard count > 0 else { break }
            received.append(contentsOf: chunk.prefix(count))
        }
        return String(decoding: received, as: UTF8.self)
    }

    /// - Parameter milliseconds: the server's own clock, for its deadlines.
    static func withServer(
        milliseconds: @escaping @Sendable () -> Int64 = AgentClock.system.nowMilliseconds,
        _ body: (AgentSetting, UInt16) throws -> Void
    ) throws {
        let setting = try AgentSetting()
        let listener = try ListeningSocket(port: 0)
        // The real port is the one that Host must name.
        let root = HostRoot(setting.folder.path + "/machine")
        let maker = AssertionMaker(
            identity: setting.identity, collector: FactCollector(root: root, probes: [OperatingSystemFact()]),
            counter: try StatementCounter(folder: setting.identity.folder))
        let gate = AttestGate(
            identity: setting.identity, maker: maker, users: [geteuid()], peerUser: { PeerUser.find($0) })
        let clock = AgentClock(nowSeconds: { AgentSetting.now }, nowMilliseconds: milliseconds)
        let server = try LoopbackServer(
            listening: [listener], gates: GatewayGates([gate]), log: EventLog(hasPrefix: false) { _ in },
            clock: clock)
        Thread { server.run() }.start()
        defer { server.stop() }
        try body(setting, listener.port)
    }

    static func message(_ setting: AgentSetting, _ port: UInt16, origin: String = AgentSetting.origin)
        -> [UInt8]
    {
        let body = JSONValue.object(JSONObject([("challenge", .string(setting.challenge()))])).serialized()
        let head =
            "POST /v1/attest HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nOrigin: \(origin)\r\n"
            + "Content-Type: application/json\r\nContent-Length: \(body.count)\r\n\r\n"
        return Array(head.utf8) + body
    }

    @Test("a challenge is answered, whole, byte by byte, and for the user whom the kernel names")
    func answered() throws {
        try Self.withServer { setting, port in
            let whole = Self.exchange(port, [Self.message(setting, port)])
            #expect(whole.hasPrefix("HTTP/1.1 200 OK\r\n") && whole.contains("\"assertion\""))
            #expect(whole.contains("\r\nCache-Control: no-store\r\n"))
            let bytes = Self.message(setting, port)
            let dripped = Self.exchange(port, bytes.map { [$0] })
            #expect(dripped.hasPrefix("HTTP/1.1 200 OK\r\n"))
        }
    }

    @Test(
        "strangers, malformed heads and oversize heads get the same silent bytes, in whatever pieces they come"
    )
    func silent() throws {
        // A clock that stands still: no deadline passes, however long the machine takes for the pieces.
        try Self.withServer(milliseconds: { 0 }) { setting, port in
            let silent = String(decoding: AttestAnswer.silent.serialized, as: UTF8.self)
            let big = "GET / HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nX: " + String(repeating: "x", count: 9000)
            let wrong = [
                "GET / HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\n\r\n", "nonsense\r\n\r\n",
                "GET / HTTP/1.1\r\n\r\n",
                "POST /v1/attest HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                big,
            ]
            for text in wrong {
                let bytes = Array(text.utf8)
                #expect(Self.exchange(port, [bytes]) == silent, "\(text.prefix(40))")
                #expect(Self.exchange(port, bytes.map { [$0] }) == silent, "dripped: \(text.prefix(40))")
                // HeadReaderTests cuts everywhere; here it takes a connection each.
                for cut in stride(from: 1, to: bytes.count, by: max(1, bytes.count / 16)) {
                    let pieces = [Array(bytes[..<cut]), Array(bytes[cut...])]
                    #expect(Self.exchange(port, pieces) == silent, "cut at \(cut): \(text.prefix(40))")
                }
            }
            #expect(
                Self.exchange(port, [Self.message(setting, port, origin: "https://evil.example")]) == silent)
            let rebound = "GET / HTTP/1.1\r\nHost: evil.example:\(port)\r\n\r\n"
            #expect(Self.exchange(port, [Array(rebound.utf8)]).hasPrefix("HTTP/1.1 421 "))
        }
    }

    @Test("state survives a restart: enrolment, key rights, and a counter that only grows") func state()
        throws
    {
        let setting = try AgentSetting()
        let folder = setting.identity.folder
        try folder.write(Enrolment.fileName, setting.identity.enrolment.stored)
        try folder.write(DeviceIdentity.keyFileName, (setting.identity.key as? SigningKey)?.pem ?? [])
        let again = try DeviceIdentity(folder: folder)
        #expect(again.enrolment.deviceID == "device-1" && again.enrolment.users == [1000])
        #expect(again.key.publicKey.thumbprint == setting.identity.key.publicKey.thumbprint)
        try folder.write(DeviceIdentity.keyFileName, SigningKey.generateP256().pem)
        #expect(throws: AgentError.self, "a key of another enrolment") { try DeviceIdentity(folder: folder) }
        try folder.write(DeviceIdentity.keyFileName, (setting.identity.key as? SigningKey)?.pem ?? [])
        let counter = try StatementCounter(folder: folder)
        let first = try #require(counter.take())
        let second = try #require(try StatementCounter(folder: folder).take())
        #expect(second > first)
        chmod(folder.path + "/" + DeviceIdentity.keyFileName, 0o644)
        #expect(throws: AgentError.self) { try DeviceIdentity(folder: folder) }
    }

    @Test("an answer of the gateway that lacks anything is refused whole") func incompleteAnswers() throws {
        let setting = try AgentSetting()
        let object = try #require(AgentSetting.answer(setting.certificate, setting.ring).object)
        for name in [
            "device_id", "auth_origin", "audience", "port", "certificates", "gateway_keys", "not_after",
        ] {
            var partial = object
            partial[name] = nil
            #expect(throws: AgentError.self, "\(name)") {
                try Enrolment(
                    answer: .object(partial), following: nil, nowSeconds: 1, users: [], authoritiesPEM: nil)
            }
        }
    }
}
