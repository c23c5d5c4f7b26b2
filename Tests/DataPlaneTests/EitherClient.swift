import CLinux
import Foundation

@testable import DataPlane

/// What a client speaks with the gateway.
enum ClientVersion: Sendable, CaseIterable {
    case http1, http2

    /// The status of a WebSocket that was opened (RFC 6455 §4.2.2, RFC 8441 §5).
    var opened: Int { self == .http1 ? 101 : 200 }
}

/// A client of either protocol: requests are written as HTTP/1.1 has them, and become streams of one HTTP/2
/// connection where that is spoken.
final class EitherClient {
    private let one: TestClient?
    private let two: HTTP2Client?
    private var lastStream: UInt32 = 0
    /// Streams whose answers were not received yet, in the order of their requests.
    private var waiting: [UInt32] = []
    private var tunnels: Set<UInt32> = []
    private var open: UInt32 = 0
    /// What came with the head of an answer without an end.
    private var seen: [UInt8] = []
    /// Of the open stream's body, how much was read.
    private var taken = 0

    init(_ gateway: Gateway, _ version: ClientVersion) throws {
        one = version == .http1 ? try gateway.client() : nil
        two = version == .http2 ? try HTTP2Client(gateway) : nil
    }

    // MARK: Sending

    /// Whole requests, one behind the other; the last one's body may be missing.
    func send(_ text: String) {
        guard let two else { return one?.send(text) ?? () }
        var rest = Array(text.utf8)[...]
        while let end = rest.firstRange(of: Array("\r\n\r\n".utf8)) {
            let request = Request(head: String(decoding: rest[..<end.lowerBound], as: UTF8.self))
            rest = rest[end.upperBound...]
            var body: [UInt8] = []
            if request.isChunked {
                while let line = rest.firstRange(of: [13, 10]),
                    let size = Int(String(decoding: rest[..<line.lowerBound], as: UTF8.self), radix: 16)
                {
                    body += rest[line.upperBound...].prefix(size)
                    rest = rest[line.upperBound...].dropFirst(size + 2)
                }
            } else {
                body = Array(rest.prefix(request.length))
                rest = rest.dropFirst(request.length)
            }
            lastStream = lastStream == 0 ? 1 : lastStream + 2
            waiting.append(lastStream)
            if request.isTunnel { tunnels.insert(lastStream) }
            two.send(HTTP2Client.headers(lastStream, request.fields, ends: !request.hasBody))
            if request.isChunked || !body.isEmpty {
                let isWhole = request.isChunked || body.count == request.length
                send(body, of: lastStream, isWhole: isWhole, over: two)
            }
        }
    }

    /// In frames that everybody takes, as far as the gateway gives window or until it has answered.
    private func send(_ body: [UInt8], of stream: UInt32, isWhole: Bool, over two: HTTP2Client) {
        var rest = body[...]
        var sent = 0
        repeat {
            let frame = Array(rest.prefix(16_384))
            let needed = sent + frame.count - 65_535
            guard
                two.readUntil({
                    $0.responses[stream]?.isEnded == true
                        || ($0.window[stream, default: 0] >= needed && $0.window[0, default: 0] >= needed)
                        || needed <= 0
                }), two.responses[stream]?.isEnded != true
            else { return }
            rest = rest.dropFirst(frame.count)
            sent += frame.count
            two.send(HTTP2Client.data(stream, frame, ends: isWhole && rest.isEmpty))
        } while !rest.isEmpty
    }

    /// A head in HTTP/1.1's words as the fields of a stream.
    private struct Request {
        var fields: [(String, String)]
        var length = 0
        var isChunked = false
        var isTunnel = false
        var hasBody: Bool { length > 0 || isChunked || isTunnel }

        init(head: String) {
            let lines = head.components(separatedBy: "\r\n")
            let first = lines[0].split(separator: " ")
            var host = ""
            var rest: [(String, String)] = []
            for line in lines.dropFirst() {
                let parts = line.split(separator: ":", maxSplits: 1)
                let (name, value) = (parts[0].lowercased(), parts[1].trimmingCharacters(in: .whitespaces))
                switch name {
                case "host": host = value
                case "connection", "sec-websocket-key": continue
                case "upgrade": isTunnel = true
                case "transfer-encoding": isChunked = true
                default:
                    if name == "content-length" { length = Int(value) ?? 0 }
                    rest.append((name, value))
                }
            }
            let method = isTunnel ? "CONNECT" : String(first[0])
            fields = HTTP2Client.request(String(first[1]), method: method, host: host)
            if isTunnel { fields.insert((":protocol", "websocket"), at: 1) }
            fields += rest
        }
    }

    // MARK: Receiving

    /// The next answer, whole or what there is of it; nil when there is not even a head. An opened WebSocket
    /// has no end to be waited for.
    func receive(isHead: Bool = false) -> TestResponse? {
        guard let two else { return one?.receive(isHead: isHead) }
        guard !waiting.isEmpty else { return nil }
        let stream = waiting.removeFirst()
        open = stream
        let isTunnel = tunnels.contains(stream)
        _ = two.readUntil {
            guard let answer = $0.responses[stream] else { return false }
            return answer.isEnded || answer.resetCode != nil || (isTunnel && answer.status == 200)
        }
        return answer(stream)
    }

    func get(_ path: String = "/", host: String = "wiki.test", fields: String = "") -> TestResponse? {
        send("GET \(path) HTTP/1.1\r\nHost: \(host)\r\n\(fields)\r\n")
        return receive()
    }

    /// The head of an answer that does not end, with as much of the body as came with it.
    func receiveHead() -> TestResponse? {
        guard let two else {
            var text = ""
            while !text.contains("\r\n\r\n"), let more = one?.readSome() {
                text += String(decoding: more, as: UTF8.self)
            }
            guard let end = text.range(of: "\r\n\r\n") else { return nil }
            let head = String(text[..<end.upperBound])
            seen = Array(text[end.upperBound...].utf8)
            return TestResponse(
                status: Int(head.split(separator: " ")[1]) ?? 0, head: head, body: seen, isComplete: false)
        }
        guard !waiting.isEmpty else { return nil }
        let stream = waiting.removeFirst()
        open = stream
        _ = two.readUntil { $0.responses[stream].map { $0.status > 0 || $0.resetCode != nil } ?? false }
        return answer(stream)
    }

    private func answer(_ stream: UInt32) -> TestResponse? {
        guard let answer = two?.responses[stream], answer.status > 0 else { return nil }
        taken = answer.body.count
        let fields = answer.fields.dropFirst().map { "\($0.0): \($0.1)\r\n" }.joined()
        return TestResponse(
            status: answer.status, head: "HTTP/2 \(answer.status)\r\n" + fields, body: answer.body,
            isComplete: answer.isEnded && answer.resetCode == nil)
    }

    /// Whether the last answer was broken off by a reset of its stream.
    var isReset: Bool { two?.responses[open]?.resetCode != nil }

    // MARK: What is open

    /// Bytes through an opened WebSocket.
    func sendThrough(_ bytes: [UInt8]) {
        if let two { two.send(HTTP2Client.data(open, bytes)) } else { one?.send(bytes) }
    }

    func echoes() -> Bool {
        sendThrough(Array("ping".utf8))
        guard let two else { return one?.readSome() == Array("ping".utf8) }
        let stream = open
        let from = taken
        guard two.readUntil({ ($0.responses[stream]?.body.count ?? 0) >= from + 4 }) else { return false }
        taken = from + 4
        return two.responses[stream].map { Array($0.body.dropFirst(from)) } == Array("ping".utf8)
    }

    /// Waits until the body of what was opened last has this word.
    func sees(_ word: String) -> Bool {
        guard let two else {
            var text = String(decoding: seen, as: UTF8.self)
            while !text.contains(word), let more = one?.readSome() {
                text += String(decoding: more, as: UTF8.self)
            }
            return text.contains(word)
        }
        let stream = open
        return two.readUntil { $0.responses[stream]?.text.contains(word) ?? false }
    }

    /// What else comes of what was opened last, up to its end; nil when it does not end. Over HTTP/2 the
    /// stream ends, over HTTP/1.1 the connection.
    func readToEnd() -> [UInt8]? {
        guard let two else {
            var rest: [UInt8] = []
            while let more = one?.readSome() { rest += more }
            return one?.hasEnded == true ? rest : nil
        }
        let stream = open
        guard two.readUntil({ $0.responses[stream].map { $0.isEnded || $0.resetCode != nil } ?? false })
        else { return nil }
        return two.responses[stream].map { Array($0.body.dropFirst(taken)) }
    }
}

extension TestResponse {
    /// Whether the head has this line, however its name is written.
    func has(_ line: String) -> Bool {
        let parts = line.split(separator: ":", maxSplits: 1)
        return field(String(parts[0])) == parts[1].trimmingCharacters(in: .whitespaces)
    }
}
