import CLinux
import Foundation

@testable import DataPlane

struct HTTP2Response {
    var fields: [(String, String)] = []
    var interim: [Int] = []
    var trailers: [(String, String)] = []
    var body: [UInt8] = []
    var isEnded = false
    var resetCode: UInt32?
    var status: Int { Int(field(":status") ?? "") ?? 0 }
    var text: String { String(decoding: body, as: UTF8.self) }
    func field(_ name: String) -> String? { fields.first { $0.0 == name }?.1 }
}

/// An HTTP/2 client that sends the frames a test makes by hand, right or wrong.
final class HTTP2Client {
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    let client: TestClient
    private var reader = HTTP2FrameReader()
    private let lines = FieldInflater()
    private(set) var responses: [UInt32: HTTP2Response] = [:]
    private(set) var settings: [UInt16: UInt32] = [:]
    /// In the order of arrival.
    private(set) var goaways: [(lastStream: UInt32, code: UInt32)] = []
    var goaway: (lastStream: UInt32, code: UInt32)? { goaways.last }
    /// What acknowledged PINGs said.
    private(set) var pongs: [[UInt8]] = []
    /// What PINGs said that came.
    private(set) var pings: [[UInt8]] = []
    /// Whether they are answered.
    var answersPing = true
    private(set) var acknowledgedSettings = 0
    /// Whether received data is acknowledged with window at once.
    var givesWindow = true
    /// Window that the gateway gave, by stream; 0 is the connection.
    private(set) var window: [UInt32: Int] = [:]

    init(
        _ gateway: Gateway, serverName: String = "wiki.test", identity: TestIdentity? = nil,
        settings: [(UInt16, UInt32)] = [], receiveBuffer: Int32 = 0, sendsPreface: Bool = true
    ) throws {
        guard
            let client = try TestClient(
                port: gateway.port, serverName: serverName, receiveBuffer: receiveBuffer, identity: identity,
                protocols: "h2")
        else { throw Gateway.NoHandshake() }
        self.client = client
        guard sendsPreface else { return }
        let entries = settings.flatMap { [UInt8($0.0 >> 8), UInt8($0.0 & 255)] + HTTP2Frame.big($0.1) }
        client.send(Self.preface + HTTP2Frame.bytes(.settings, 0, 0, entries))
    }

    // MARK: Sending

    static func request(
        _ path: String = "/", method: String = "GET", host: String = "wiki.test",
        _ more: [(String, String)] = []
    ) -> [(String, String)] {
        [(":method", method), (":scheme", "https"), (":authority", host), (":path", path)] + more
    }

    static func headers(_ stream: UInt32, _ fields: [(String, String)], ends: Bool = true) -> [UInt8] {
        HTTP2Frame.bytes(
            .headers, HTTP2Frame.endHeaders | (ends ? HTTP2Frame.endStream : 0), stream,
            HTTP2Frame.block(fields))
    }

    static func data(_ stream: UInt32, _ bytes: [UInt8], ends: Bool = false) -> [UInt8] {
        HTTP2Frame.bytes(.data, ends ? HTTP2Frame.endStream : 0, stream, bytes)
    }

    static func reset(_ stream: UInt32, _ code: UInt32 = 8) -> [UInt8] {
        HTTP2Frame.bytes(.reset, 0, stream, HTTP2Frame.big(code))
    }

    func answer(ping payload: [UInt8]) {
        send(HTTP2Frame.bytes(.ping, HTTP2Frame.acknowledge, 0, payload))
    }

    /// One behind the other.
    static func all(_ parts: [UInt8]...) -> [UInt8] { parts.flatMap { $0 } }

    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool { client.send(bytes) }

    // MARK: Receiving

    /// The next frame, noted; nil when the connection is over or patience is.
    @discardableResult
    func next() -> HTTP2Frame? {
        guard let frame = reader.next({ client.readSome() }) else { return nil }
        note(frame)
        return frame
    }

    private func note(_ frame: HTTP2Frame) {
        let isAcknowledgement = frame.flags & HTTP2Frame.acknowledge != 0
        switch HTTP2Frame.Kind(rawValue: frame.kind) {
        case .data:
            responses[frame.stream, default: HTTP2Response()].body += frame.payload
            noteEnd(frame)
            guard givesWindow, !frame.payload.isEmpty else { return }
            let count = HTTP2Frame.big(UInt32(frame.payload.count))
            send(
                HTTP2Frame.bytes(.windowUpdate, 0, 0, count)
                    + (frame.flags & HTTP2Frame.endStream == 0
                        ? HTTP2Frame.bytes(.windowUpdate, 0, frame.stream, count) : []))
        case .headers: noteHeaders(frame)
        case .reset: responses[frame.stream, default: HTTP2Response()].resetCode = frame.number()
        case .settings:
            if isAcknowledgement {
                acknowledgedSettings += 1
            } else {
                settings.merge(frame.settings) { $1 }
                send(HTTP2Frame.bytes(.settings, HTTP2Frame.acknowledge))
            }
        case .ping:
            guard !isAcknowledgement else {
                pongs.append(frame.payload)
                return
            }
            pings.append(frame.payload)
            if answersPing { answer(ping: frame.payload) }
        case .goaway: goaways.append((frame.number() & 0x7fff_ffff, frame.number(at: 4)))
        case .windowUpdate: window[frame.stream, default: 0] += Int(frame.number())
        case .priority, .pushPromise, .continuation, nil: return
        }
    }

    private func noteHeaders(_ frame: HTTP2Frame) {
        let fields = lines.inflate(frame.payload)
        var response = responses[frame.stream] ?? HTTP2Response()
        if let status = fields.first(where: { $0.0 == ":status" }).flatMap({ Int($0.1) }) {
            if status < 200 { response.interim.append(status) } else { response.fields = fields }
        } else {
            response.trailers = fields
        }
        responses[frame.stream] = response
        noteEnd(frame)
    }

    private func noteEnd(_ frame: HTTP2Frame) {
        if frame.flags & HTTP2Frame.endStream != 0 { responses[frame.stream]?.isEnded = true }
    }

    /// Reads until the condition holds; false when the connection ended before that.
    func readUntil(_ condition: (HTTP2Client) -> Bool) -> Bool {
        while !condition(self) {
            guard next() != nil else { return condition(self) }
        }
        return true
    }

    /// The response of a stream, whole or reset.
    func receive(_ stream: UInt32) -> HTTP2Response? {
        let isThere = readUntil {
            $0.responses[stream]?.isEnded == true || $0.responses[stream]?.resetCode != nil
        }
        return isThere ? responses[stream] : nil
    }

    func get(_ stream: UInt32, _ path: String = "/", _ more: [(String, String)] = []) -> HTTP2Response? {
        send(Self.headers(stream, Self.request(path, more)))
        return receive(stream)
    }
}
