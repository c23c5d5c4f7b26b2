import Foundation
import Glibc
import JSON
import Synchronization
import Testing

@testable import gatepost_agent

@Suite("What the agent's server bears: floods, slow callers, taken ports, a stop", .serialized)
struct ServerLimitTests {
    /// A server of an enrolled machine, and what it says.
    final class Running {
        let setting: AgentSetting
        let server: LoopbackServer
        let socket: ListeningSocket
        let said = SaidLines()
        let log: EventLog

        init(user: @escaping @Sendable (Peer) -> UInt32? = { PeerUser.find($0) }) throws {
            setting = try AgentSetting()
            socket = try ListeningSocket(port: 0)
            let said = said
            log = EventLog(hasPrefix: false) { line in said.lines.withLock { $0.append(line) } }
            let maker = AssertionMaker(
                identity: setting.identity,
                collector: FactCollector(root: HostRoot("/nonexistent"), probes: [OperatingSystemFact()]),
                counter: try StatementCounter(folder: setting.identity.folder))
            let gate = AttestGate(
                identity: setting.identity, maker: maker, users: [geteuid()],
                peerUser: { PeerUser.find($0) })
            server = try LoopbackServer(
                listening: [socket], gates: GatewayGates([gate]), log: log,
                clock: AgentClock(
                    nowSeconds: { AgentSetting.now }, nowMilliseconds: AgentClock.system.nowMilliseconds),
                peerUser: user)
            let server = server
            Thread { server.run() }.start()
        }
    }

    static func connected(_ port: UInt16, isVersion6: Bool = false) -> CInt? {
        let descriptor = socket(isVersion6 ? AF_INET6 : AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        var storage = sockaddr_storage()
        let length = withUnsafeMutableBytes(of: &storage) { bytes in
            if isVersion6 {
                var address = sockaddr_in6()
                address.sin6_family = sa_family_t(AF_INET6)
                address.sin6_port = port.bigEndian
                address.sin6_addr = in6addr_loopback
                bytes.storeBytes(of: address, as: sockaddr_in6.self)
                return MemoryLayout<sockaddr_in6>.size
            }
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = UInt32(127 << 24 | 1).bigEndian
            bytes.storeBytes(of: address, as: sockaddr_in.self)
            return MemoryLayout<sockaddr_in>.size
        }
        let isConnected = withUnsafePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(length)) == 0
            }
        }
        guard isConnected else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    /// Everything until the other side closes; nil after ten seconds.
    static func drained(_ descriptor: CInt) -> [UInt8]? {
        var patience = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var received: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count < 0 { return errno == ECONNRESET ? received : nil }
            guard count > 0 else { return received }
            received += chunk.prefix(count)
        }
    }

    static func residentKilobytes() -> Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS") } ?? ""
        return line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    }

    @Test("callers who never finish their head get two seconds, hold 24 places at the most, and no memory")
    func slowloris() throws {
        let running = try Running()
        defer { running.server.stop() }
        let before = Self.residentKilobytes()
        let begun = AgentClock.system.nowMilliseconds()
        var held: [CInt] = []
        for _ in 0..<200 {
            guard let descriptor = Self.connected(running.socket.port) else { continue }
            _ = send(descriptor, "POST /v1", 8, CInt(MSG_NOSIGNAL))
            held.append(descriptor)
        }
        #expect(held.count == 200)
        var answered = 0
        for descriptor in held {
            let bytes = Self.drained(descriptor)
            #expect(bytes != nil, "let go within ten seconds")
            answered += bytes?.isEmpty == false ? 1 : 0
            close(descriptor)
        }
        #expect(answered == 0, "nobody is answered who did not ask")
        #expect(AgentClock.system.nowMilliseconds() - begun >= Connection.headMilliseconds)
        // 24 threads with their stacks' used pages; the sanitizers' shadow would be many times that.
        #expect(Self.residentKilobytes() - before < 64 << 10)
        #expect(running.said.lines.withLock { $0 }.filter { $0.contains("reason=overloaded") }.count == 1)
        // After the flood the next one is served.
        let answer = ServerTests.exchange(
            running.socket.port, [ServerTests.message(running.setting, running.socket.port)])
        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
    }

    @Test("one user's slow connections leave places for the others; the sum is bounded too") func places() {
        var open = OpenConnections()
        let first = (0..<25).map { _ in open.enter(1000) }
        #expect(first == [Bool](repeating: true, count: 24) + [false], "one past")
        let second = (0..<9).map { _ in open.enter(1001) }
        #expect(second == [Bool](repeating: true, count: 8) + [false])
        let more = [open.enter(1002), open.enter(nil)]
        #expect(more == [false, false], "32 in all")
        open.leave(1000)
        let unknown = open.enter(nil)
        #expect(unknown)
        for _ in 0..<23 { open.leave(1000) }
        for _ in 0..<8 { open.leave(1001) }
        open.leave(nil)
        #expect(open.count == 0)
    }

    @Test("the agent answers on ::1 as on 127.0.0.1") func version6() throws {
        let running = try Running()
        defer { running.server.stop() }
        let descriptor = try #require(Self.connected(running.socket.port, isVersion6: true))
        defer { close(descriptor) }
        let message = ServerTests.message(running.setting, running.socket.port)
        _ = send(descriptor, message, message.count, CInt(MSG_NOSIGNAL))
        let answer = try #require(Self.drained(descriptor))
        #expect(String(decoding: answer, as: UTF8.self).hasPrefix("HTTP/1.1 200 OK\r\n"))
    }

    @Test("another local user's browser is told wrong-user, and a stranger's page not even that")
    func otherUser()
        throws
    {
        let setting = try AgentSetting()
        setting.peerBox.user.withLock { $0 = 1001 }
        let answer = setting.ask(setting.challenge())
        #expect(answer.status == 409 && AgentSetting.word(answer) == "wrong-user")
        #expect(answer.fields.contains { $0 == ("Access-Control-Allow-Origin", AgentSetting.origin) })
        setting.peerBox.user.withLock { $0 = nil }
        #expect(AgentSetting.word(setting.ask(setting.challenge())) == "wrong-user", "nobody's connection")
        var request = AgentSetting.post()
        request.origin = "https://evil.example"
        #expect(setting.ask(request, setting.challenge()) == .silent)
    }

    @Test("004.9 a taken port is named with its remedy, and a further one is taken instead") func ports()
        throws
    {
        let other = try ListeningSocket(port: 0)
        let free = try ListeningSocket(port: 0)
        free.close()
        defer { other.close() }
        do throws(AgentError) {
            _ = try AgentPorts.bind(wanted: [other.port], further: [])
            Issue.record("bound twice")
        } catch {
            #expect(error.what.contains("127.0.0.1:\(other.port) cannot be bound: Address already in use"))
            #expect(error.description.contains("ss -tlnp"))
        }
        let (sockets, problems) = try AgentPorts.bind(
            wanted: [other.port], further: [other.port, free.port])
        defer { for socket in sockets { socket.close() } }
        #expect(sockets.map(\.port) == [free.port])
        #expect(problems.contains { $0.contains("listening on \(free.port) instead") })
    }

    @Test("a stop finishes the answer that is under way and closes the listeners") func graceful() throws {
        let running = try Running()
        let descriptor = try #require(Self.connected(running.socket.port))
        defer { close(descriptor) }
        let message = ServerTests.message(running.setting, running.socket.port)
        _ = send(descriptor, message, message.count - 1, CInt(MSG_NOSIGNAL))
        // The connection has its thread once the kernel's queue is empty; a second one shows that.
        _ = ServerTests.exchange(running.socket.port, [Array("x\r\n\r\n".utf8)])
        running.server.stop()
        #expect(!running.server.drained(withinSeconds: 0.2), "one is under way")
        #expect(Self.connected(running.socket.port) == nil, "nobody new")
        _ = send(descriptor, Array(message.suffix(1)), 1, CInt(MSG_NOSIGNAL))
        let answer = try #require(Self.drained(descriptor))
        #expect(String(decoding: answer, as: UTF8.self).hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(running.server.drained(withinSeconds: 5))
    }

    @Test("the log says each thing once and then counts, a line a minute") func events() {
        let said = SaidLines()
        let log = EventLog(hasPrefix: true) { line in said.lines.withLock { $0.append(line) } }
        func take() -> [String] {
            said.lines.withLock { lines in
                defer { lines = [] }; return lines
            }
        }
        let gateway = "https://auth.corp.example"
        for time in 0..<1000 {
            log.note(.refused("rate-limited"), gateway: gateway, nowMilliseconds: Int64(time))
        }
        log.note(.answered, gateway: gateway, nowMilliseconds: 5)
        #expect(
            take() == [
                "<5>gatepost-agent: event=refused reason=rate-limited gateway=\(gateway) count=1",
                "<6>gatepost-agent: event=answered gateway=\(gateway) count=1",
            ])
        log.flush(nowMilliseconds: 59_999)
        #expect(take().isEmpty)
        log.flush(nowMilliseconds: 60_000)
        #expect(
            take() == ["<5>gatepost-agent: event=refused reason=rate-limited gateway=\(gateway) count=999"])
        log.note(.answered, gateway: gateway, nowMilliseconds: 60_006)
        #expect(take() == ["<6>gatepost-agent: event=answered gateway=\(gateway) count=1"], "a minute later")
        log.say("a\nb\u{1b}[31m")
        #expect(take() == ["<6>gatepost-agent: a b [31m"], "an event is one line")
        log.note(.stranger, gateway: nil, nowMilliseconds: 60_007)
        log.note(.stranger, gateway: nil, nowMilliseconds: 60_008)
        log.flush(nowMilliseconds: 60_009, isLast: true)
        #expect(
            take()
                == [String](repeating: "<5>gatepost-agent: event=refused reason=stranger count=1", count: 2))
    }

    @Test("strangers get the same bytes for every method and every path, known or not") func silence() throws
    {
        let running = try Running()
        defer { running.server.stop() }
        let port = running.socket.port
        let silent = String(decoding: AttestAnswer.silent.serialized, as: UTF8.self)
        let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "X-UNKNOWN"]
        let paths = ["/", "/v1/attest", "/v1/nav?c=x.y.z", "/v1/popup?c=x.y.z", "/v1/p.gif?c=x.y.z", "/info"]
        for method in methods {
            for path in paths {
                for origin in ["", "Origin: https://evil.example\r\n", "Origin: null\r\n"] {
                    let request = "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\n\(origin)\r\n"
                    let answer = ServerTests.exchange(port, [Array(request.utf8)])
                    #expect(answer == silent, "\(method) \(path) \(origin)")
                }
            }
        }
    }

    @Test("what went over the wire is what the log counts") func counted() throws {
        let running = try Running()
        defer { running.server.stop() }
        let port = running.socket.port
        _ = ServerTests.exchange(port, [ServerTests.message(running.setting, port)])
        _ = ServerTests.exchange(
            port, [ServerTests.message(running.setting, port, origin: "https://evil.example")])
        _ = ServerTests.exchange(port, [Array("nonsense\r\n\r\n".utf8)])
        running.server.stop()
        #expect(running.server.drained(withinSeconds: 10))
        running.log.flush(nowMilliseconds: 0, isLast: true)
        #expect(
            running.said.lines.withLock { $0 } == [
                "gatepost-agent: event=answered gateway=\(AgentSetting.origin) count=1",
                "gatepost-agent: event=refused reason=stranger count=1",
                "gatepost-agent: event=refused reason=stranger count=1",
            ])
    }
}
