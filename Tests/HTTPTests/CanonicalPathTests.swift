import Testing

@testable import HTTP

struct PathCase: Sendable, CustomTestStringConvertible {
    var what: String
    var sent: String
    var canonical: String
    var testDescription: String { what }
    init(_ what: String, _ sent: String, _ canonical: String) {
        self.what = what
        self.sent = sent
        self.canonical = canonical
    }
}

struct PathRefusal: Sendable, CustomTestStringConvertible {
    var what: String
    var sent: String
    var error: HeadError
    var testDescription: String { what }
    init(_ what: String, _ sent: String, _ error: HeadError) {
        self.what = what
        self.sent = sent
        self.error = error
    }
}

@Suite("The canonical path: what policy judges is what goes upstream")
struct CanonicalPathTests {
    static let accepted: [PathCase] = [
        .init("the root", "/", "/"),
        .init("a plain path is not copied", "/a/b-c_d.e~f", "/a/b-c_d.e~f"),
        .init("a trailing slash stays", "/a/", "/a/"),
        .init("sub-delimiters stay", "/a!$&'()*+,=:@b", "/a!$&'()*+,=:@b"),
        .init("what browsers leave unescaped stays", "/a|b[c]^d", "/a|b[c]^d"),
        .init("path parameters stay", "/a;v=1/b;jsessionid=2", "/a;v=1/b;jsessionid=2"),
        .init("parameters of the last, empty segment stay", "/;jsessionid=2", "/;jsessionid=2"),
        .init("unreserved escapes are decoded once", "/%61dmin/%7Eme/%2Ehidden", "/admin/~me/.hidden"),
        .init("digits of other escapes become upper case", "/a%c3%a9%3f", "/a%C3%A9%3F"),
        .init("an escaped sub-delimiter stays escaped", "/a%21%2C", "/a%21%2C"),
        .init("an escaped percent sign stays", "/100%25", "/100%25"),
        .init("an escaped percent sign before harmless digits stays", "/%2541", "/%2541"),
        .init("names that begin with dots", "/.well-known/.../", "/.well-known/.../"),
        .init("two dots inside a name", "/a..b/c..", "/a..b/c.."),
        .init("a segment of three dots", "/.../..a/.a", "/.../..a/.a"),
        .init("Latin-1 escapes that are not overlong UTF-8", "/%C0%20a/%E0%A4%85", "/%C0%20a/%E0%A4%85"),
    ]

    static let refusals: [PathRefusal] = [
        .init("..", "/..", .dotSegment),
        .init(".", "/.", .dotSegment),
        .init("../ in the middle", "/a/../b", .dotSegment),
        .init("./ in the middle", "/a/./b", .dotSegment),
        .init(".. at the end", "/a/..", .dotSegment),
        .init("encoded dots", "/a/%2e%2E/b", .dotSegment),
        .init("one encoded dot", "/a/.%2e", .dotSegment),
        .init("/..;/", "/a/..;/b", .dotSegment),
        .init("/..;x=y/", "/a/..;x=y/b", .dotSegment),
        .init("/.;/", "/a/.;/b", .dotSegment),
        .init("/..%3b/", "/a/..%3b/b", .dotSegment),
        .init("/%2e%2e;/", "/a/%2e%2e;/b", .dotSegment),
        .init("//", "//", .emptySegment),
        .init("// at the start", "//evil.example/", .emptySegment),
        .init("// in the middle", "/a//b", .emptySegment),
        .init("// at the end", "/a//", .emptySegment),
        .init("/;x/", "/;x/admin", .emptySegment),
        .init("%2f", "/a%2fb", .encodedSeparator),
        .init("%2F", "/a%2Fb", .encodedSeparator),
        .init("..%2f", "/a/..%2fb", .encodedSeparator),
        .init("\\", "/a\\b", .encodedSeparator),
        .init("..\\", "/a/..\\b", .encodedSeparator),
        .init("%5c", "/a%5cb", .encodedSeparator),
        .init("%00", "/a%00", .encodedControl),
        .init("%0d%0a", "/a%0d%0aX:y", .encodedControl),
        .init("%7f", "/a%7f", .encodedControl),
        .init("%252e", "/%252e%252e/a", .twiceEncoded),
        .init("%252f", "/a%252fb", .twiceEncoded),
        .init("%252F", "/a%252Fb", .twiceEncoded),
        .init("%255c", "/a%255cb", .twiceEncoded),
        .init("%2500", "/a%2500", .twiceEncoded),
        .init("%25252e", "/a%25252e", .twiceEncoded),
        .init("%25%32%65: digits that are escaped themselves", "/%25%32%65", .twiceEncoded),
        .init("%253b", "/..%253b/", .twiceEncoded),
        .init("%c0%ae, an overlong dot", "/%c0%ae%c0%ae/", .overlongEncoding),
        .init("%c0%af, an overlong slash", "/a%c0%afb", .overlongEncoding),
        .init("%e0%80%af", "/a%e0%80%afb", .overlongEncoding),
        .init("%f0%80%80%af", "/a%f0%80%80%afb", .overlongEncoding),
        .init("%", "/%", .malformedPercentEncoding),
        .init("%2", "/%2", .malformedPercentEncoding),
        .init("%zz", "/%zz", .malformedPercentEncoding),
        .init("%u002e", "/%u002e%u002e/", .malformedPercentEncoding),
        .init("% 2e", "/%+2e", .malformedPercentEncoding),
        .init("a quote", "/a\"b", .invalidPathByte),
        .init("angle brackets", "/<a>", .invalidPathByte),
        .init("braces", "/{a}", .invalidPathByte),
    ]

    @Test("is one spelling per path", arguments: accepted)
    func isAccepted(_ row: PathCase) {
        var bench = Bench()
        let bytes = headOf("GET \(row.sent)?q HTTP/1.1", "Host: h")
        guard case .head(let request) = bench.parse(bytes) else {
            Issue.record("\(bench.see(bytes))")
            return
        }
        #expect(bench.text(request.path, bytes) == row.canonical)
        #expect(request.path.isInScratch == (row.sent != row.canonical))
        #expect(request.pathNeeds.isEmpty)
        let upstream = bench.written(request, bytes) ?? []
        #expect(upstream.starts(with: latin("GET \(row.canonical)?q HTTP/1.1\r\n")))
    }

    @Test("spellings that servers read differently are refused", arguments: refusals)
    func isRefused(_ row: PathRefusal) {
        var bench = Bench()
        #expect(bench.see(headOf("GET \(row.sent) HTTP/1.1", "Host: h")) == .refused(row.error))
        let absolute = row.sent.hasPrefix("//") ? "" : "https://h"
        #expect(bench.see(headOf("GET \(absolute)\(row.sent)?a HTTP/1.1", "Host: h")) == .refused(row.error))
    }

    @Test("the same bytes are allowed in a query: no policy looks at it", arguments: refusals)
    func queryIsOpaque(_ row: PathRefusal) {
        var bench = Bench()
        #expect(bench.see(headOf("GET /?\(row.sent) HTTP/1.1", "Host: h")) == .head("GET / ?\(row.sent) h"))
    }

    @Test("an application that opts in keeps %2F as an opaque part of its segment")
    func encodedSlashOptIn() {
        var bench = Bench(options: .allowsEncodedSlash)
        let bytes = headOf("GET /repos/group%2fname/tree HTTP/1.1", "Host: h")
        guard case .head(let request) = bench.parse(bytes) else {
            Issue.record("refused")
            return
        }
        #expect(bench.text(request.path, bytes) == "/repos/group%2Fname/tree")
        #expect(request.pathNeeds == .allowsEncodedSlash)
        for path in ["/a%2f..%2fb", "/a%2f..", "/..%2fa", "/a/..%2Fb", "/a%2f.;x/b", "/a%2f%2e%2e"] {
            #expect(bench.see(headOf("GET \(path) HTTP/1.1", "Host: h")) == .refused(.dotSegment), "\(path)")
        }
        for path in ["/a%5cb", "/a%252f"] {
            #expect(bench.see(headOf("GET \(path) HTTP/1.1", "Host: h")) != .needMore)
            #expect(!"\(bench.see(headOf("GET \(path) HTTP/1.1", "Host: h")))".hasPrefix("head"), "\(path)")
        }
    }

    @Test("an application that opts in keeps empty segments, and the request says that it needs them")
    func emptySegmentOptIn() {
        var bench = Bench(options: .allowsEmptySegments)
        for path in ["/proxy/https://a", "/;x/a"] {
            guard case .head(let request) = bench.parse(headOf("GET \(path) HTTP/1.1", "Host: h")) else {
                Issue.record("refused \(path)")
                continue
            }
            #expect(request.pathNeeds == .allowsEmptySegments)
        }
        #expect(bench.see(headOf("GET /a//../b HTTP/1.1", "Host: h")) == .refused(.dotSegment))
    }
}
