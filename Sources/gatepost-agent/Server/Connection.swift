import Glibc

/// One accepted connection: reads one request within its deadline, answers, closes.
///
/// Blocking calls on a thread of its own: at most 32 of them, each for at most four seconds.
struct Connection: ~Copyable {
    static let headMilliseconds: Int64 = 2_000
    static let bodyMilliseconds: Int64 = 2_000

    private let descriptor: CInt
    let peer: Peer

    /// Takes over an accepted socket.
    init(adopting descriptor: CInt, peer: Peer) {
        self.descriptor = descriptor
        self.peer = peer
    }

    deinit { _ = Glibc.close(descriptor) }

    /// Serves one request through the gate of the gateway that it comes from.
    func serve(_ gates: GatewayGates, _ log: EventLog, clock: AgentClock) {
        var reader = HeadReader()
        var bytes: [UInt8] = []
        let headDeadline = clock.nowMilliseconds() + Self.headMilliseconds
        while true {
            switch reader.read(bytes) {
            case .refused: return send(AttestAnswer.silent, from: nil, log, clock)
            case .needMore:
                guard receive(into: &bytes, until: headDeadline, clock) else { return }
            case .head(let request, let headBytes):
                guard let gate = gates.gate(for: request) else {
                    return send(AttestAnswer.silent, from: nil, log, clock)
                }
                if let answer = gate.judgeHead(request, peer: peer) {
                    return send(answer, from: gate, log, clock)
                }
                var body = Array(bytes[headBytes...])
                let length = Int(request.bodyLength ?? 0)
                let bodyDeadline = clock.nowMilliseconds() + Self.bodyMilliseconds
                while body.count < length {
                    guard receive(into: &body, until: bodyDeadline, clock) else { return }
                }
                guard body.count == length else {
                    return send(AttestAnswer.silent, from: nil, log, clock)
                }
                let answer = gate.attest(
                    request, body: body, peer: peer, nowSeconds: clock.nowSeconds(),
                    nowMilliseconds: clock.nowMilliseconds())
                return send(answer, from: gate, log, clock)
            }
        }
    }

    private func send(_ answer: AttestAnswer, from gate: AttestGate?, _ log: EventLog, _ clock: AgentClock) {
        let deadline = clock.nowMilliseconds() + Self.bodyMilliseconds
        write(answer, until: deadline, clock)
        // Before the end that the peer waits for: who comes after having seen it stands after it in the log.
        if let event = answer.event {
            log.note(
                event, gateway: event == .stranger ? nil : gate?.identity.enrolment.authOrigin,
                nowMilliseconds: clock.nowMilliseconds())
        }
        finish(until: deadline, clock)
    }

    /// - Returns: false when the peer closed or the deadline passed: nobody is left to be answered.
    private func receive(into bytes: inout [UInt8], until deadline: Int64, _ clock: AgentClock) -> Bool {
        guard wait(CShort(POLLIN), until: deadline, clock) else { return false }
        var chunk = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        guard count > 0 else { return count < 0 && errno == EINTR }
        bytes.append(contentsOf: chunk.prefix(count))
        return true
    }

    private func write(_ answer: AttestAnswer, until deadline: Int64, _ clock: AgentClock) {
        let bytes = answer.serialized
        var offset = 0
        while offset < bytes.count, wait(CShort(POLLOUT), until: deadline, clock) {
            let count = bytes[offset...].withUnsafeBytes {
                Glibc.send(
                    descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL) | CInt(MSG_DONTWAIT))
            }
            // Room for some bytes is not room for all: the rest waits for the reader until the deadline.
            if count < 0, errno == EAGAIN || errno == EINTR { continue }
            guard count > 0 else { break }
            offset += count
        }
    }

    /// What the peer still sends is read away: closing on unread bytes would reset the answer out of its hands.
    private func finish(until deadline: Int64, _ clock: AgentClock) {
        shutdown(descriptor, CInt(SHUT_WR))
        var rest = [UInt8](repeating: 0, count: 4096)
        var left = 16
        while left > 0, wait(CShort(POLLIN), until: min(deadline, clock.nowMilliseconds() + 200), clock) {
            guard recv(descriptor, &rest, rest.count, 0) > 0 else { break }
            left -= 1
        }
    }

    private func wait(_ events: CShort, until deadline: Int64, _ clock: AgentClock) -> Bool {
        while true {
            let left = deadline - clock.nowMilliseconds()
            guard left > 0 else { return false }
            var entry = pollfd(fd: descriptor, events: events, revents: 0)
            let count = poll(&entry, 1, CInt(left))
            if count > 0 { return true }
            if count < 0, errno != EINTR { return false }
        }
    }
}
