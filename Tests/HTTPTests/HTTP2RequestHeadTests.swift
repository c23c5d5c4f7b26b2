import Testing

@testable import HTTP

@Suite("An HTTP/2 request becomes one HTTP/1.1 head, or none")
struct HTTP2RequestHeadTests {
    enum Written: Equatable {
        case head(String)
        case refused(HTTP2HeadError)
        case tooLarge
    }

    static func write(
        _ fields: [(String, String)], hasBody: Bool = false, headBytesMax: Int = 4_096
    ) -> Written {
        let storage = UnsafeMutableRawBufferPointer.allocate(
            byteCount: HTTP2RequestHead.storageBytes(headBytesMax: headBytesMax), alignment: 16)
        let target = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
        defer {
            storage.deallocate()
            target.deallocate()
        }
        var head = HTTP2RequestHead()
        for (name, value) in fields {
            switch head.add(name: Array(name.utf8).span, value: Array(value.utf8).span, into: storage) {
            case .taken: break
            case .malformed(let error): return .refused(error)
            case .tooLarge: return .tooLarge
            }
        }
        do throws(HTTP2HeadError) {
            let kind = try head.kind(in: storage)
            var output = HeadOutput(target)
            head.write(
                kind, hasBody: hasBody, webSocketKey: Array("KEY".utf8).span, from: storage, into: &output)
            return .head(String(decoding: UnsafeRawBufferPointer(target)[..<output.count], as: UTF8.self))
        } catch {
            return .refused(error)
        }
    }

    static let good = [
        (":method", "GET"), (":scheme", "https"), (":authority", "a.test"), (":path", "/x?y=1"),
    ]

    @Test func `the head says what the fields said, in their order`() {
        #expect(
            Self.write(Self.good + [("accept", "*/*"), ("x", "")])
                == .head("GET /x?y=1 HTTP/1.1\r\nhost: a.test\r\naccept: */*\r\nx: \r\n\r\n"))
        #expect(
            Self.write(Self.good.reversed() + [("a", "b")])
                == .head("GET /x?y=1 HTTP/1.1\r\nhost: a.test\r\na: b\r\n\r\n"))
    }

    @Test func `crumbs become one Cookie line, behind the others`() {
        #expect(
            Self.write(
                Self.good + [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("cookie", "c=3; d=4")])
                == .head("GET /x?y=1 HTTP/1.1\r\nhost: a.test\r\nx: y\r\ncookie: a=1; b=2; c=3; d=4\r\n\r\n"))
    }

    @Test func `a body without a length is announced in chunks, one with a length as it is`() {
        #expect(
            Self.write(Self.good, hasBody: true)
                == .head("GET /x?y=1 HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\n"))
        #expect(
            Self.write(Self.good + [("content-length", "3")], hasBody: true)
                == .head("GET /x?y=1 HTTP/1.1\r\nhost: a.test\r\ncontent-length: 3\r\n\r\n"))
    }

    @Test func `Host stands in for a missing authority, wherever it comes`() {
        let fields = [(":method", "GET"), (":scheme", "https"), (":path", "/")]
        for more in [
            [("host", "a.test"), ("x", "y"), ("z", "")], [("x", "y"), ("host", "a.test"), ("z", "")],
            [("x", "y"), ("z", ""), ("host", "a.test")],
        ] {
            #expect(
                Self.write(fields + more) == .head("GET / HTTP/1.1\r\nhost: a.test\r\nx: y\r\nz: \r\n\r\n"))
        }
    }

    @Test func `extended CONNECT is an upgrade under our own key`() {
        let fields = [
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"),
            (":authority", "a.test"),
            (":path", "/ws"), ("sec-websocket-key", "theirs"), ("sec-websocket-version", "13"),
        ]
        #expect(
            Self.write(fields)
                == .head(
                    "GET /ws HTTP/1.1\r\nhost: a.test\r\nsec-websocket-version: 13\r\n"
                        + "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: KEY\r\n\r\n"))
    }

    @Test func `every rule of RFC 9113 8.1 to 8.3 has its refusal`() {
        let method = [(":method", "GET")]
        let rows: [([(String, String)], HTTP2HeadError)] = [
            (Self.good + [("", "x")], .emptyName),
            (Self.good + [("X", "x")], .invalidName),
            (Self.good + [("x y", "x")], .invalidName),
            (Self.good + [("x:", "x")], .invalidName),
            (Self.good + [("x\r\ny", "x")], .invalidName),
            (Self.good + [("x", "a\r\nb: c")], .invalidValue),
            (Self.good + [("x", "a\nb")], .invalidValue),
            (Self.good + [("x", "a\u{0}b")], .invalidValue),
            (Self.good + [("x", " a")], .invalidValue),
            (Self.good + [("x", "a ")], .invalidValue),
            (Self.good + [("x", "\ta")], .invalidValue),
            (Self.good + [(":x", "a")], .unknownPseudoField),
            (Self.good + [(":status", "200")], .unknownPseudoField),
            (Self.good + [(":path", "/")], .repeatedPseudoField),
            (Self.good + method, .repeatedPseudoField),
            (Self.good.dropLast() + [("a", "b"), (":path", "/")], .latePseudoField),
            (Self.good.dropLast() + [("cookie", "b"), (":path", "/")], .latePseudoField),
            (Self.good.dropLast() + [], .missingPseudoField),
            (Self.good.dropFirst() + [], .missingPseudoField),
            (method + [(":path", "/"), (":authority", "a.test")], .missingPseudoField),
            (method + [(":path", "/"), (":scheme", "https")], .missingPseudoField),
            (Self.good + [(":protocol", "websocket")], .forbiddenPseudoField),
            ([(":method", "CONNECT"), (":path", "/"), (":authority", "a")], .forbiddenPseudoField),
            ([(":method", "CONNECT")], .missingPseudoField),
            ([(":method", "GET / HTTP/1.1\r\nx")], .invalidValue),
            ([(":method", "GET /")], .invalidPseudoField),
            ([(":path", "/ HTTP/1.1")], .invalidPseudoField),
            ([(":path", "")], .invalidPseudoField),
            ([(":authority", "a b")], .invalidPseudoField),
            ([(":scheme", "ht tp")], .invalidPseudoField),
            (Self.good + [("connection", "x")], .connectionField),
            (Self.good + [("keep-alive", "x")], .connectionField),
            (Self.good + [("proxy-connection", "x")], .connectionField),
            (Self.good + [("transfer-encoding", "chunked")], .connectionField),
            (Self.good + [("upgrade", "h2c")], .connectionField),
            (Self.good + [("te", "trailers, gzip")], .connectionField),
            (Self.good + [("host", "b.test")], .authorityMismatch),
            (Self.good + [("host", "a.test"), ("host", "a.test")], .authorityMismatch),
            (method + [(":scheme", "https"), (":path", "/"), ("host", "a b")], .invalidValue),
        ]
        for (fields, error) in rows { #expect(Self.write(fields) == .refused(error), "\(fields)") }
    }

    @Test func `what does not fit is too large, and exactly the room is not`() {
        // Lines have head bytes and 1,024 for the pseudo-fields; "x: " and CRLF are five.
        let used = Self.good.reduce(0) { $0 + $1.1.utf8.count }
        let room = 4_096 + 1_024 - used
        let most = String(repeating: "v", count: room - 5)
        guard case .head = Self.write(Self.good + [("x", most)]) else {
            Issue.record("refused at the bound")
            return
        }
        #expect(Self.write(Self.good + [("x", most + "v")]) == .tooLarge)
        #expect(Self.write(Self.good + [("cookie", String(repeating: "v", count: 5_121))]) == .tooLarge)
    }
}
