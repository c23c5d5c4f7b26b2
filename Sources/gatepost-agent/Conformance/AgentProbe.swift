import Glibc

/// What came back on one connection.
struct ProbeReply: Sendable {
    /// Everything that was received until the agent closed or the deadline passed.
    var bytes: [UInt8] = []
    var isConnected = true
    /// Whether the agent closed the connection within the deadline.
    var isClosed = false
    var milliseconds: Int64 = 0
    /// When it was begun.
    var beganAtSeconds: Int64 = 0

    /// Whether there is an answer with as many bytes as it announces.
    var isWhole: Bool {
        guard status != nil, let length = value("content-length").flatMap({ Int($0) }) else { return false }
        return body.count >= length
    }

    var text: String { String(decoding: bytes, as: UTF8.self) }

    /// Of the status line; nil when there is none.
    var status: Int? {
        let line = text.prefix { $0 != "\r\n" }
        let words = line.split(separator: " ", maxSplits: 2)
        guard words.count >= 2, words[0] == "HTTP/1.1" || words[0] == "HTTP/1.0" else { return nil }
        return Int(words[1])
    }

    /// Values of a field, by its name in lower case.
    func values(_ name: String) -> [String] {
        head.compactMap { $0.name == name ? $0.value : nil }
    }

    func value(_ name: String) -> String? {
        let found = values(name)
        return found.count == 1 ? found[0] : nil
    }

    var head: [(name: String, value: String)] {
        guard let end = headEnd else { return [] }
        let lines = String(decoding: bytes[..<end], as: UTF8.self).split(separator: "\r\n")
        return lines.dropFirst().compactMap { line in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            return (line[..<colon].lowercased(), String(value))
        }
    }

    var body: [UInt8] { headEnd.map { Array(bytes[($0 + 4)...]) } ?? [] }

    /// The bytes without what may differ between two equal refusals: the date.
    var comparable: [UInt8] {
        let lines = text.split(separator: "\r\n", omittingEmptySubsequences: false)
            .filter { !$0.lowercased().hasPrefix("date:") }
        return Array(lines.joined(separator: "\r\n").utf8)
    }

    private var headEnd: Int? {
        guard bytes.count >= 4 else { return nil }
        return (0...(bytes.count - 4)).first { Array(bytes[$0..<($0 + 4)]) == [13, 10, 13, 10] }
    }
}

/// Speaks to an agent by bytes, as no browser would.
struct AgentProbe: Sendable {
    static let replyBytesMax = 256 << 10
    /// How long the end of the connection, or something further, is waited for after a whole answer.
    static let restMilliseconds: Int64 = 8_000

    /// IPv4 in host byte order.
    let address: UInt32
    let port: UInt16
    let clock: AgentClock
    /// How long a whole answer is waited for: no more than a limit, since a machine may be busy with other things.
    var answerMilliseconds: Int64 = 60_000

    /// Sends the pieces, with a pause between them, and reads until the agent closes or the deadline, which counts from
    /// the last piece on.
    ///
    /// - Parameter deadlineMilliseconds: nil: `answerMilliseconds`.
    func exchange(
        _ pieces: [[UInt8]], pauseMilliseconds: Int32 = 0, deadlineMilliseconds: Int64? = nil
    ) -> ProbeReply {
        var reply = ProbeReply(beganAtSeconds: clock.nowSeconds())
        let began = clock.nowMilliseconds()
        let descriptor = connected(withinSeconds: 20)
        guard descriptor >= 0 else {
            reply.isConnected = false
            return reply
        }
        defer { close(descriptor) }
        for (index, piece) in pieces.enumerated() {
            if index > 0, pauseMilliseconds > 0 { poll(nil, 0, pauseMilliseconds) }
            guard send(piece, on: descriptor) else { break }
        }
        receive(
            into: &reply, on: descriptor,
            until: clock.nowMilliseconds() + (deadlineMilliseconds ?? answerMilliseconds))
        reply.milliseconds = clock.nowMilliseconds() - began
        return reply
    }

    /// Sends a beginning and then one byte after the other, until the agent has had enough of it or
    /// `answerMilliseconds` have passed.
    func drip(_ beginning: [UInt8], _ byte: UInt8, everyMilliseconds pause: Int64 = 90) -> ProbeReply {
        var reply = ProbeReply(beganAtSeconds: clock.nowSeconds())
        let began = clock.nowMilliseconds()
        let descriptor = connected(withinSeconds: 20)
        guard descriptor >= 0 else {
            reply.isConnected = false
            return reply
        }
        defer { close(descriptor) }
        var drop = beginning
        while !reply.isClosed, clock.nowMilliseconds() < began + answerMilliseconds {
            // Who has closed both directions answers further bytes with a reset.
            guard send(drop, on: descriptor) else {
                reply.isClosed = true
                break
            }
            drop = [byte]
            receive(into: &reply, on: descriptor, until: clock.nowMilliseconds() + pause)
        }
        reply.milliseconds = clock.nowMilliseconds() - began
        return reply
    }

    /// Whether something accepts connections at this address.
    var isListening: Bool {
        let descriptor = connected(withinSeconds: 3)
        guard descriptor >= 0 else { return false }
        close(descriptor)
        return true
    }

    /// An open connection that sends nothing; the caller closes it.
    func hold() -> CInt { connected(withinSeconds: 3) }

    private func connected(withinSeconds seconds: Int) -> CInt {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return -1 }
        // Also bounds connecting: a full queue would otherwise hold the run for minutes.
        var patience = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_port = port.bigEndian
        target.sin_addr.s_addr = address.bigEndian
        let status = withUnsafePointer(to: &target) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else {
            close(descriptor)
            return -1
        }
        return descriptor
    }

    private func send(_ bytes: [UInt8], on descriptor: CInt) -> Bool {
        var offset = 0
        while offset < bytes.count {
            let count = bytes[offset...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            offset += count
        }
        return true
    }

    private func receive(into reply: inout ProbeReply, on descriptor: CInt, until deadline: Int64) {
        var chunk = [UInt8](repeating: 0, count: 4096)
        var deadline = deadline
        while reply.bytes.count < Self.replyBytesMax {
            let left = deadline - clock.nowMilliseconds()
            guard left > 0 else { return }
            var entry = pollfd(fd: descriptor, events: CShort(POLLIN), revents: 0)
            let ready = poll(&entry, 1, CInt(left))
            if ready < 0, errno == EINTR { continue }
            guard ready > 0 else { return }
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                reply.isClosed = true
                return
            }
            let wasWhole = reply.isWhole
            reply.bytes.append(contentsOf: chunk.prefix(count))
            if !wasWhole, reply.isWhole {
                deadline = min(deadline, clock.nowMilliseconds() + Self.restMilliseconds)
            }
        }
    }
}
