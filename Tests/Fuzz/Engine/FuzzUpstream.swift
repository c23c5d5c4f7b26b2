import HTTP

/// The application: traps on every request that is not one, and answers each.
final class FuzzUpstream: Peer {
    /// What follows the request whose start line this is; nil is the plain answer.
    typealias Script = (_ startLine: String) -> Answer?
    struct Answer {
        var bytes: [UInt8]
        var isLast: Bool
    }

    private let kernel: SimulatedKernel
    private let link: Link
    private let script: Script
    private var reader = MessageReader()
    private var isTunnel = false
    /// Nothing more is said, and nothing is right that still comes.
    private var hasEnded = false

    static let plainAnswer = Array(
        "HTTP/1.1 200 OK\r\nContent-Length: 11\r\nX-Plain: yes\r\n\r\nhello there".utf8)

    init(_ bench: EngineBench, _ link: Link, script: @escaping Script = { _ in nil }) {
        kernel = bench.kernel
        self.link = link
        self.script = script
        link.peer = self
    }

    func gatewayWrote(_ bytes: [UInt8], wasBlocked: Bool) {}

    func received(_ bytes: [UInt8]) {
        guard !isTunnel else { return link.send(bytes) }
        reader.feed(bytes)
        while let event = reader.next() {
            switch event {
            case .head: readHead()
            case .complete: answer()
            case .broken(let what): kernel.fault("the application reads nonsense: \(what)")
            }
            if isTunnel { return }
        }
    }

    func ended() { end() }
    func reset() { hasEnded = true }

    private func readHead() {
        guard let framing = reader.framing(isResponse: false) else {
            return kernel.fault("a request with two lengths: \(reader.startLine)")
        }
        if reader.field("host") != EngineBench.host || reader.fields["host"]?.count != 1 {
            kernel.fault("a request for \(reader.fields["host"] ?? [])")
        }
        let words = reader.startLine.split(separator: " ", omittingEmptySubsequences: false)
        if words.count != 3 || !words[1].hasPrefix("/") && words[1] != "*" || words[2] != "HTTP/1.1" {
            kernel.fault("a request line \(reader.startLine)")
        }
        if hasEnded { kernel.fault("\(reader.startLine) behind the end of the connection") }
        reader.setFraming(framing)
    }

    private func answer() {
        let answer = script(reader.startLine)
        if answer == nil, let key = reader.field("sec-websocket-key"), reader.field("upgrade") != nil {
            isTunnel = true
            return link.send(Self.opening(key))
        }
        link.send(answer?.bytes ?? Self.plainAnswer)
        if answer?.isLast == true { end() }
    }

    /// RFC 6455 §4.2.2, by OpenSSL.
    private static func opening(_ key: String) -> [UInt8] {
        Array(
            ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Accept: \(FuzzDigest.accept(key))\r\n\r\n").utf8)
    }

    private func end() {
        guard !hasEnded else { return }
        hasEnded = true
        link.end()
    }
}
