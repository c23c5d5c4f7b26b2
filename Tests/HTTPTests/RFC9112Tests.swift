import Testing

@testable import HTTP

/// One row: clause, bytes, what the parser must say.
struct HeadCase: Sendable, CustomTestStringConvertible {
    var clause: String
    var bytes: [UInt8]
    var expected: Seen
    var testDescription: String { clause }

    init(_ clause: String, _ text: String, _ expected: Seen) {
        self.clause = clause
        bytes = latin(text)
        self.expected = expected
    }

    /// Bytes up to and including the first empty line that follows a line.
    var headBytes: Int {
        for count in 5...bytes.count where bytes[(count - 4)..<count] == [13, 10, 13, 10] { return count }
        return bytes.count
    }

    /// A refusal.
    init(_ clause: String, _ text: String, _ error: HeadError) { self.init(clause, text, .refused(error)) }

    /// A request line and Host that are fine, followed by `fields`.
    static func fields(_ clause: String, _ fields: String, _ error: HeadError) -> HeadCase {
        HeadCase(clause, "POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n\r\n", error)
    }

    static func fields(_ clause: String, _ fields: String, head: String) -> HeadCase {
        HeadCase(clause, "POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n\r\n", .head(head))
    }
}

@Suite("RFC 9112 request heads, clause by clause; each row whole, byte by byte and at every split")
struct RFC9112Tests {
    @Test("each row has its outcome however it is split", arguments: RFC9112Rows.all)
    func outcome(_ row: HeadCase) {
        var bench = Bench()
        #expect(bench.see(row.bytes) == row.expected, "whole")
        for split in 0..<row.bytes.count {
            let seen = bench.see(Array(row.bytes[..<split]))
            #expect(seen == .needMore || seen == row.expected, "first \(split) bytes")
            if case .head = seen { #expect(split >= row.headBytes, "a head out of \(split) bytes") }
        }
        var dripped = Seen.needMore
        for count in 1...row.bytes.count where dripped == .needMore {
            dripped = bench.see(Array(row.bytes[..<count]), alreadySeen: count - 1)
        }
        if dripped == .needMore { dripped = bench.see(row.bytes) }
        #expect(dripped == row.expected, "byte by byte")
    }

    @Test("every rule for requests is broken by some row of this folder")
    func tableIsTotal() {
        let upstreamOnly: Set<HeadError> = [.malformedStatusLine, .transferEncodingWithoutBody]
        let elsewhere: Set<HeadError> = [.headTooLarge, .tooManyFields, .targetTooLong]
        let paths = CanonicalPathTests.refusals.map(\.error)
        let rows = RFC9112Rows.all.compactMap { row -> HeadError? in
            if case .refused(let error) = row.expected { error } else { nil }
        }
        let missing = Set(HeadError.allCases).subtracting(paths).subtracting(rows)
        #expect(missing.subtracting(upstreamOnly).subtracting(elsewhere).isEmpty, "\(missing)")
    }

    @Test("statuses: 400 unless the rule says otherwise")
    func statuses() {
        #expect(HeadError.targetTooLong.status == 414)
        #expect(HeadError.headTooLarge.status == 431)
        #expect(HeadError.tooManyFields.status == 431)
        #expect(HeadError.unsupportedVersion.status == 505)
        #expect(HeadError.unsupportedTransferCoding.status == 501)
        #expect(HeadError.methodNotImplemented.status == 501)
        #expect(HeadError.unsupportedExpectation.status == 417)
        #expect(HeadError.allCases.filter { $0.status == 400 }.count == HeadError.allCases.count - 8)
    }
}

enum RFC9112Rows {
    static let all = lines + requestLine + versions + fields + host + target + framing + steering

    static let lines: [HeadCase] = [
        .init("§2.1 a complete head", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", .head("GET / a")),
        .init(
            "§2.1 bytes behind the head are not looked at", "GET / HTTP/1.1\r\nHost: a\r\n\r\n\0\n",
            .head("GET / a")),
        .init("§2.1 no empty line yet", "GET / HTTP/1.1\r\nHost: a\r\n", .needMore),
        .init("§2.1 half an empty line", "GET / HTTP/1.1\r\nHost: a\r\n\r", .needMore),
        .init(
            "§2.2 one empty line before the request line", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            .head("GET / a")),
        .init("§2.2 two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", .leadingEmptyLines),
        .init("§2.2 empty line, then bare LF", "\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", .leadingEmptyLines),
        .init("§2.2 bare LF before", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", .bareLineFeed),
        .init("§2.2 bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", .bareLineFeed),
        .init("§2.2 bare LF after a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", .bareLineFeed),
        .init("§2.2 bare LF as the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\n", .bareLineFeed),
        .init("§2.2 bare LF in a name", "GET / HTTP/1.1\r\nHo\nst: a\r\n\r\n", .bareLineFeed),
        .init("§2.2 bare CR in the request line", "GET / HTTP/1.1\rHost: a\r\n\r\n", .bareCarriageReturn),
        .init("§2.2 bare CR in a value", "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", .bareCarriageReturn),
        .init("§2.2 bare CR before the head", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", .bareCarriageReturn),
        .init("§2.2 CR CR LF", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", .bareCarriageReturn),
        .init("§2.2 CR as a line of its own", "GET / HTTP/1.1\r\n\rHost: a\r\n\r\n", .bareCarriageReturn),
        .init("§2.2 blank before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", .foldedLine),
    ]

    static let requestLine: [HeadCase] = [
        .init("§3 a custom method", "PURGE /x HTTP/1.1\r\nHost: a\r\n\r\n", .head("PURGE /x a")),
        .init("§3.1 methods are case-sensitive", "get / HTTP/1.1\r\nHost: a\r\n\r\n", .head("get / a")),
        .init(
            "§3.1 a method of 32 bytes", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF / HTTP/1.1\r\nHost: a\r\n\r\n",
            .head("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF / a")),
        .init(
            "§3.1 a method of 33 bytes", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\nHost: a\r\n\r\n",
            .methodTooLong),
        .init("§3.1 no method", " / HTTP/1.1\r\nHost: a\r\n\r\n", .malformedRequestLine),
        .init("§3.1 no token", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", .malformedRequestLine),
        .init("§3.1 CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", .methodNotImplemented),
        .init("RFC 9110 §9.3.8 TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", .methodNotImplemented),
        .init("§3 two spaces before the target", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", .malformedRequestLine),
        .init("§3 a tab for a space", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", .malformedRequestLine),
        .init("§3 two spaces after the target", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", .malformedVersion),
        .init("§3.2 a space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", .malformedVersion),
        .init("§3 a space at the line's end", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", .malformedVersion),
        .init("§3 a line that is not HTTP", "\u{16}\u{3}\u{1}\u{2}", .malformedRequestLine),
    ]

    static let versions: [HeadCase] = [
        .init("§2.3 HTTP/1.0 closes", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", .head("GET / a close")),
        .init("§2.3 HTTP/0.9", "GET /\r\n\r\n", .malformedRequestLine),
        .init("§2.3 HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", .unsupportedVersion),
        .init("§2.3 the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .unsupportedVersion),
        .init("§2.3 HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", .unsupportedVersion),
        .init("§2.3 HTTP/0.9 spelled out", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", .unsupportedVersion),
        .init("§2.3 HTTP/1.11", "GET / HTTP/1.11\r\nHost: a\r\n\r\n", .malformedVersion),
        .init("§2.3 lower case", "GET / http/1.1\r\nHost: a\r\n\r\n", .malformedVersion),
        .init("§2.3 another protocol", "GET / HTCP/1.1\r\nHost: a\r\n\r\n", .malformedVersion),
    ]

    static let fields: [HeadCase] = [
        .fields("§5 blanks around a value are cut", "Content-Length: \t 5\t ", head: "POST / a length=5"),
        .fields("§5 no blank after the colon", "Content-Length:5", head: "POST / a length=5"),
        .fields("RFC 9110 §5.5 bytes above 0x7f in a value", "X: \u{e9}\u{ff}", head: "POST / a"),
        .fields("RFC 9110 §5.5 an empty value", "X:", head: "POST / a"),
        .fields("§5.1 blank before the colon", "Content-Length : 5", .whitespaceBeforeColon),
        .fields("§5.1 tab before the colon", "Content-Length\t: 5", .whitespaceBeforeColon),
        .fields("§5.1 an empty name", ": 5", .emptyFieldName),
        .fields("§5.1 no colon", "Content-Length", .invalidFieldName),
        .fields("§5.1 a name with parentheses", "X(y): 5", .invalidFieldName),
        .fields("§5.1 a name with a byte above 0x7f", "X\u{e9}: 5", .invalidFieldName),
        .fields("§5.1 a name with NUL", "X\0: 5", .invalidFieldName),
        .fields("§5.2 obs-fold with a blank", "X: a\r\n b", .foldedLine),
        .fields("§5.2 obs-fold with a tab", "X: a\r\n\tTransfer-Encoding: chunked", .foldedLine),
        .fields("RFC 9110 §5.5 NUL in a value", "X: a\0b", .invalidFieldValue),
        .fields("RFC 9110 §5.5 a control in a value", "X: a\u{b}b", .invalidFieldValue),
        .fields("RFC 9110 §5.5 DEL in a value", "X: aaaaaaaa\u{7f}b", .invalidFieldValue),
        .fields("RFC 9110 §5.5 DEL right after a control-like byte", "X: \u{80}\u{7f}", .invalidFieldValue),
    ]

    static let host: [HeadCase] = [
        .init(
            "§3.2 Host is lower-cased", "GET / HTTP/1.1\r\nHost: Wiki.CORP.example\r\n\r\n",
            .head("GET / wiki.corp.example")),
        .init("§3.2 Host with a port", "GET / HTTP/1.1\r\nHost: a.b:8443\r\n\r\n", .head("GET / a.b:8443")),
        .init("§3.2 an IPv6 address", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", .head("GET / [::1]:80")),
        .init("§3.2 no Host", "GET / HTTP/1.1\r\n\r\n", .missingHost),
        .init("§3.2 no Host in HTTP/1.0 (ours)", "GET / HTTP/1.0\r\n\r\n", .missingHost),
        .init("§3.2 two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", .multipleHost),
        .init("§3.2 two Hosts in other case", "GET / HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n", .multipleHost),
        .init("§3.2 an empty Host (ours)", "GET / HTTP/1.1\r\nHost: \r\n\r\n", .invalidHost),
        .init("§3.2 a list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", .invalidHost),
        .init("§3.2 user information", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", .invalidHost),
        .init("§3.2 a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", .invalidHost),
        .init("§3.2 an escape", "GET / HTTP/1.1\r\nHost: %61\r\n\r\n", .invalidHost),
        .init("§3.2 a trailing dot (ours)", "GET / HTTP/1.1\r\nHost: a.\r\n\r\n", .invalidHost),
        .init("§3.2 an empty label", "GET / HTTP/1.1\r\nHost: a..b\r\n\r\n", .invalidHost),
        .init("§3.2 a leading dot", "GET / HTTP/1.1\r\nHost: .a\r\n\r\n", .invalidHost),
        .init("§3.2 an empty port", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", .invalidHost),
        .init("§3.2 port 0", "GET / HTTP/1.1\r\nHost: a:0\r\n\r\n", .invalidHost),
        .init("§3.2 port 65535", "GET / HTTP/1.1\r\nHost: a:65535\r\n\r\n", .head("GET / a:65535")),
        .init("§3.2 port 65536", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", .invalidHost),
        .init("§3.2 two ports", "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", .invalidHost),
        .init("§3.2 bytes above 0x7f", "GET / HTTP/1.1\r\nHost: \u{e9}\r\n\r\n", .invalidHost),
        .init("§3.2 an open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", .invalidHost),
        .init("§3.2 no address in brackets", "GET / HTTP/1.1\r\nHost: [x]\r\n\r\n", .invalidHost),
        .init("§3.2 something behind the brackets", "GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", .invalidHost),
        .init(
            "§3.2 Host with a blank before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            .whitespaceBeforeColon),
    ]
}
