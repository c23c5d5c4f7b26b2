/// Who answers at a port of this machine: what a person wants to know first when a device check fails.
enum AgentPresence: Sendable, Hashable {
    /// An agent, by its one refusal of strangers; whose it is nobody can see.
    case answers
    case another
    case nobody

    /// Asks as any stranger would.
    static func at(_ port: UInt16, clock: AgentClock = .system) -> AgentPresence {
        let probe = AgentProbe(address: 127 << 24 | 1, port: port, clock: clock)
        let question = "GET / HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\n\r\n"
        let reply = probe.exchange([Array(question.utf8)], deadlineMilliseconds: 2_000)
        guard reply.isConnected else { return .nobody }
        return reply.bytes == AttestAnswer.silent.serialized ? .answers : .another
    }
}
