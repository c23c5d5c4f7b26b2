/// One request and its answer on one connection.

import Foundation
import JSON

/// What a site throws to end the connection without any answer: a fault asked for it.
struct DroppedConnection: Error {}

/// The body is larger than the site accepts. Answered with 413.
struct BodyTooLarge: Error {}

final class Exchange {
    let head: RequestHead
    /// Seconds since 1970 when the head was complete, of the lab's own clock.
    let nowSeconds: Int64
    /// SHA-256 of the certificate that the client proved to have; nil: none.
    var clientCertificate: [UInt8]? { stream.clientCertificate }
    private let stream: ByteStream
    private var bodyLeft: Int64
    private var bodyEnded: Bool
    private var continueOwed: Bool
    private(set) var status = 0
    /// False when the connection cannot carry another request.
    private(set) var isReusable: Bool

    init(head: RequestHead, stream: ByteStream, nowSeconds: Int64) {
        self.head = head
        self.stream = stream
        self.nowSeconds = nowSeconds
        isReusable = !head.lists("close", in: "connection")
        continueOwed = head.field("expect")?.lowercased() == "100-continue"
        switch head.body {
        case .none: (bodyLeft, bodyEnded) = (0, true)
        case .length(let count): (bodyLeft, bodyEnded) = (count, count == 0)
        case .chunked: (bodyLeft, bodyEnded) = (0, false)
        }
    }

    // MARK: the request's body

    /// The next piece of the body, nil after the last. Memory stays constant however long the body is.
    func readBodyPiece() throws -> [UInt8]? {
        if bodyEnded { return nil }
        if continueOwed {
            continueOwed = false
            try stream.write(Response.head(status: 100, fields: []))
        }
        if case .chunked = head.body, bodyLeft == 0 {
            bodyLeft = try readChunkSize()
            if bodyLeft == 0 {
                // Trailers are bounded by their line length and not looked at.
                for _ in 0..<32 where try stream.readLine(bytesMax: 4096).isEmpty {
                    bodyEnded = true
                    return nil
                }
                throw StreamError(what: "too many trailers")
            }
        }
        let piece = try stream.readSome(upTo: Int(min(bodyLeft, Int64(ByteStream.chunkBytes))))
        bodyLeft -= Int64(piece.count)
        if bodyLeft == 0 { try endOfData() }
        return piece
    }

    private func endOfData() throws {
        switch head.body {
        case .none, .length: bodyEnded = true
        case .chunked:
            guard try stream.readLine(bytesMax: 0).isEmpty else { throw StreamError(what: "chunk end") }
        }
    }

    private func readChunkSize() throws -> Int64 {
        let line = try stream.readLine(bytesMax: 256)
        let digits = line.prefix { $0 != UInt8(ascii: ";") }
        let text = String(decoding: digits, as: UTF8.self)
        guard !digits.isEmpty, digits.count <= 15, text.allSatisfy({ $0.isHexDigit && $0.isASCII }),
            let count = Int64(text, radix: 16)
        else { throw StreamError(what: "chunk size") }
        return count
    }

    /// The whole body.
    func readBody(bytesMax: Int = 64 << 10) throws -> [UInt8] {
        var body: [UInt8] = []
        while let piece = try readBodyPiece() {
            body += piece
            guard body.count <= bytesMax else { throw BodyTooLarge() }
        }
        return body
    }

    // MARK: the answer

    /// This answer is the connection's last.
    func endsConnection() { isReusable = false }

    func send(_ response: Response) throws {
        // An unread rest would be taken for the next request, so this answer is the last one.
        if !bodyEnded { isReusable = false }
        status = response.status
        var fields = response.fields + [("Date", Timestamp.httpDate(nowSeconds))]
        if response.status != 204 { fields.append(("Content-Length", String(response.body.count))) }
        if !isReusable { fields.append(("Connection", "close")) }
        let body = head.method == "HEAD" || response.status == 204 ? [] : response.body
        try stream.write(Response.head(status: response.status, fields: fields) + body)
    }

    /// Promises the whole body, sends half of it and closes.
    func sendTruncated(_ response: Response) throws {
        isReusable = false
        status = response.status
        let fields = response.fields + [("Content-Length", String(response.body.count))]
        try stream.write(Response.head(status: response.status, fields: fields))
        try stream.write(Array(response.body.prefix(response.body.count / 2)))
    }

    /// Promises a body, sends nothing of it and closes.
    func sendHeadOnly(_ response: Response) throws {
        isReusable = false
        status = response.status
        let fields = response.fields + [("Content-Length", String(max(1, response.body.count)))]
        try stream.write(Response.head(status: response.status, fields: fields))
    }

    /// A body whose length is not known: chunked. `write` gets each piece; the stream ends when `produce`
    /// returns.
    func sendStream(
        _ fields: [(String, String)], _ produce: (_ write: ([UInt8]) throws -> Void) throws -> Void
    ) throws {
        status = 200
        if !bodyEnded { isReusable = false }
        var all = fields + [("Transfer-Encoding", "chunked"), ("Date", Timestamp.httpDate(nowSeconds))]
        if !isReusable { all.append(("Connection", "close")) }
        try stream.write(Response.head(status: 200, fields: all))
        if head.method == "HEAD" { return }
        try produce { piece in
            guard !piece.isEmpty else { return }
            try self.stream.write(Array("\(String(piece.count, radix: 16))\r\n".utf8) + piece + [13, 10])
        }
        try stream.write(Array("0\r\n\r\n".utf8))
    }

    /// A body of `count` bytes made piece by piece.
    ///
    /// - Parameter pauseMilliseconds: before each piece, for a download that takes its time.
    func sendBytes(
        _ status: Int = 200, count: Int64, fields: [(String, String)], piece: [UInt8],
        pauseMilliseconds: Int64 = 0
    ) throws {
        self.status = status
        if !bodyEnded { isReusable = false }
        var all = fields + [("Content-Length", String(count)), ("Date", Timestamp.httpDate(nowSeconds))]
        if !isReusable { all.append(("Connection", "close")) }
        try stream.write(Response.head(status: status, fields: all))
        if head.method == "HEAD" { return }
        var left = count
        while left > 0 {
            let size = Int(min(left, Int64(piece.count)))
            if pauseMilliseconds > 0 { Thread.sleep(forTimeInterval: Double(pauseMilliseconds) / 1000) }
            try stream.write(size == piece.count ? piece : Array(piece.prefix(size)))
            left -= Int64(size)
        }
    }

    /// Answers 101 and hands over the bare connection, which is closed afterwards.
    func upgrade(_ fields: [(String, String)]) throws -> ByteStream {
        isReusable = false
        status = 101
        try stream.write(Response.head(status: 101, fields: fields))
        return stream
    }
}
