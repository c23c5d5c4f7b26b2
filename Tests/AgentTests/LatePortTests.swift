import ArgumentParser
import Foundation
import Glibc
import Synchronization
import Testing

@testable import gatepost_agent

@Suite("Ports of gateways that enrolled after the agent had started")
struct LatePortTests {
    /// A port that is free at the moment.
    static func freePort() throws -> UInt16 {
        let socket = try ListeningSocket(port: 0)
        defer { socket.close() }
        return socket.port
    }

    @Test("a running agent listens where a later gateway wants it, answers there, and says so once")
    func later() throws {
        let folder = try TemporaryFolder()
        let machine = try TwoGateways(folder)
        let running = machine.running()
        for setting in machine.settings {
            try machine.folders.remove(machine.folders.folder(of: setting.origin))
        }
        let first = GatewaySetting(
            origin: machine.settings[0].origin, port: Int(try Self.freePort()))
        try first.enrol(in: machine.folders)
        try running.reload()
        defer { running.stop() }
        let socket = try ListeningSocket(port: UInt16(first.port))
        let said = SaidLines()
        let log = EventLog(hasPrefix: false) { line in said.lines.withLock { $0.append(line) } }
        let server = try LoopbackServer(
            listening: [socket], gates: running.gates, log: log, clock: .system)
        Thread { server.run() }.start()
        defer { server.stop() }
        let command = try RunCommand.parse([])
        #expect(command.listen(running, server, [], log, told: []).isEmpty)
        #expect(server.ports == [UInt16(first.port)] && said.lines.withLock { $0.isEmpty })
        let second = GatewaySetting(origin: "https://later.corp.example", port: Int(try Self.freePort()))
        try second.enrol(in: machine.folders)
        #expect(try running.reload())
        #expect(command.listen(running, server, [], log, told: []).isEmpty)
        #expect(server.ports == [UInt16(first.port), UInt16(second.port)])
        #expect(said.lines.withLock { $0.count { $0.contains("event=listening: on \(second.port)") } } == 1)
        // Both answer strangers with the same refusal: somebody accepts.
        for port in [first.port, second.port] {
            let answer = ServerTests.exchange(UInt16(port), [Array("x\r\n\r\n".utf8)])
            #expect(!answer.isEmpty, "\(port)")
        }
    }

    @Test("a port that is taken is told once and had as soon as it is free") func taken() throws {
        let other = try ListeningSocket(port: 0)
        var (sockets, problems) = AgentPorts.bindMissing(
            wanted: [other.port], further: [], bound: [1])
        #expect(
            sockets.isEmpty && problems.count == 1 && problems[0].contains("\(other.port) cannot be bound"))
        #expect(
            AgentPorts.bindMissing(wanted: [other.port], further: [], bound: [other.port]).sockets.isEmpty)
        // What was taken instead is not taken a second time.
        let further = try Self.freePort()
        (sockets, problems) = AgentPorts.bindMissing(
            wanted: [other.port], further: [further], bound: [further])
        #expect(sockets.isEmpty)
        other.close()
        (sockets, problems) = AgentPorts.bindMissing(wanted: [other.port], further: [], bound: [1])
        #expect(sockets.map(\.port) == [other.port] && problems.isEmpty)
        for socket in sockets { socket.close() }
    }
}
