import Border
import Foundation

@testable import DataPlane

/// One request as an HTTP/2 upstream sees it.
struct HTTP2Asked {
    var fields: [(String, String)] = []
    var trailers: [(String, String)] = []
    var body: [UInt8] = []
    var isEnded = false
    var resetCode: UInt32?
    var text: String { String(decoding: body, as: UTF8.self) }
    func field(_ name: String) -> String? { fields.first { $0.0 == name }?.1 }
}

/// The frames of one connection at an HTTP/2 upstream, made by hand, right or wrong.
final class HTTP2Origin {
    let socket: TestSocket
    /// Of all connections of the test's upstream.
    let number: Int
    private var reader = HTTP2FrameReader()
    private let lines = FieldInflater()
    private(set) var requests: [UInt32: HTTP2Asked] = [:]
    private(set) var settings: [UInt16: UInt32] = [:]
    private(set) var goaway: UInt32?
    private(set) var pings = 0
    private(set) var window: [UInt32: Int] = [:]
    /// Whether received data is acknowledged with window at once.
    var givesWindow = true
    /// Whether PING is answered.
    var answersPing = true
    /// Request heads that nobody has looked at yet.
    private var unseen: [UInt32] = []

    /// - Parameter settings: what is said first; nil: nothing is.
    init(_ connection: OriginConnection, settings: [(UInt16, UInt32)]? = []) {
        socket = connection.socket
        number = connection.number
        _ = connection.read(HTTP2Client.preface.count)
        guard let settings else { return }
        send(Self.settings(settings))
    }

    /// An upstream whose every connection is handled so.
    static func serving(
        settings: [(UInt16, UInt32)]? = [], _ script: @escaping @Sendable (HTTP2Origin) -> Void
    ) -> TestOrigin {
        TestOrigin { script(HTTP2Origin($0, settings: settings)) }
    }

    /// Answers every request with 200 and its own fields and body as the body.
    static func echo(settings: [(UInt16, UInt32)] = []) -> TestOrigin {
        serving(settings: settings) { origin in
            while let id = origin.nextRequest() {
                guard origin.readUntil({ $0.requests[id]?.isEnded == true }) else { return }
                guard let asked = origin.requests[id] else { return }
                // No more than every window takes.
                let body = asked.body.count < 8_192 ? asked.text : "\(asked.body.count) bytes"
                let text = asked.fields.map { "\($0.0): \($0.1)\r\n" }.joined() + "\r\n" + body
                origin.answer(id, body: text)
            }
        }
    }

    static func route(_ ports: UInt16..., change: (inout UpstreamRules) -> Void = { _ in })
        -> ApplicationRoute
    {
        var route = Facts.open(ports[0])
        route.upstreams = ports.map { UpstreamAddress(address: "127.0.0.1", port: $0) }
        for index in route.upstreams.indices { route.upstreams[index].speaksHTTP2 = true }
        change(&route.upstreamRules)
        return route
    }

    // MARK: Sending

    static func settings(_ settings: [(UInt16, UInt32)]) -> [UInt8] {
        HTTP2Frame.bytes(
            .settings, 0, 0,
            settings.flatMap { [UInt8($0.0 >> 8), UInt8($0.0 & 255)] + HTTP2Frame.big($0.1) })
    }

    @discardableResult
    func send(_ parts: [UInt8]...) -> Bool { socket.write(parts.flatMap { $0 }) }

    static func head(
        _ stream: UInt32, _ status: Int = 200, _ fields: [(String, String)] = [], ends: Bool = false
    ) -> [UInt8] {
        HTTP2Client.headers(stream, [(":status", "\(status)")] + fields, ends: ends)
    }

    func answer(
        _ stream: UInt32, _ status: Int = 200, _ fields: [(String, String)] = [], body: String = "hello"
    ) {
        send(Self.head(stream, status, fields), HTTP2Client.data(stream, Array(body.utf8), ends: true))
    }

    // MARK: Receiving

    /// The next frame, noted; nil when the connection is over or patience is.
    @discardableResult
    func next() -> HTTP2Frame? {
        guard let frame = reader.next({ socket.read() }) else { return nil }
        note(frame)
        return frame
    }

    private func note(_ frame: HTTP2Frame) {
        let isAcknowledgement = frame.flags & HTTP2Frame.acknowledge != 0
        switch HTTP2Frame.Kind(rawValue: frame.kind) {
        case .data:
            requests[frame.stream, default: HTTP2Asked()].body += frame.payload
            noteEnd(frame)
            guard givesWindow, !frame.payload.isEmpty else { return }
            let count = HTTP2Frame.big(UInt32(frame.payload.count))
            send(
                HTTP2Frame.bytes(.windowUpdate, 0, 0, count),
                frame.flags & HTTP2Frame.endStream == 0
                    ? HTTP2Frame.bytes(.windowUpdate, 0, frame.stream, count) : [])
        case .headers:
            let fields = lines.inflate(frame.payload)
            if requests[frame.stream] == nil {
                requests[frame.stream] = HTTP2Asked(fields: fields)
                unseen.append(frame.stream)
            } else {
                requests[frame.stream]?.trailers = fields
            }
            noteEnd(frame)
        case .reset: requests[frame.stream, default: HTTP2Asked()].resetCode = frame.number()
        case .settings:
            guard !isAcknowledgement else { return }
            settings.merge(frame.settings) { $1 }
            send(HTTP2Frame.bytes(.settings, HTTP2Frame.acknowledge))
        case .ping:
            guard !isAcknowledgement else { return }
            pings += 1
            if answersPing { send(HTTP2Frame.bytes(.ping, HTTP2Frame.acknowledge, 0, frame.payload)) }
        case .goaway: goaway = frame.number(at: 4)
        case .windowUpdate: window[frame.stream, default: 0] += Int(frame.number())
        case .priority, .pushPromise, .continuation, nil: return
        }
    }

    private func noteEnd(_ frame: HTTP2Frame) {
        if frame.flags & HTTP2Frame.endStream != 0 { requests[frame.stream]?.isEnded = true }
    }

    /// Reads until the condition holds; false when the connection ended before that.
    func readUntil(_ condition: (HTTP2Origin) -> Bool) -> Bool {
        while !condition(self) {
            guard next() != nil else { return condition(self) }
        }
        return true
    }

    /// The stream of the next request head; nil when the connection ended.
    func nextRequest() -> UInt32? {
        guard readUntil({ !$0.unseen.isEmpty }) else { return nil }
        return unseen.removeFirst()
    }

    /// Reads on until the gateway closes.
    func readToEnd() { while next() != nil {} }
}
