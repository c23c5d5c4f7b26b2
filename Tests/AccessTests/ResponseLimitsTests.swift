import Access
import Testing

@Suite("What counts as an upload and as a download")
struct ResponseLimitsTests {
    struct Upload: Sendable, CustomTestStringConvertible {
        var type: String
        var bytes: Int64?
        var isUpload: Bool
        var testDescription: String { "\(type) of \(bytes.map(String.init) ?? "unknown") bytes" }
        init(_ type: String, _ bytes: Int64?, _ isUpload: Bool) {
            (self.type, self.bytes, self.isUpload) = (type, bytes, isUpload)
        }
    }

    static let uploads: [Upload] = [
        .init("multipart/form-data; boundary=x", 10, true), .init("application/octet-stream", 10, true),
        .init("", 10, true), .init("", 0, false), .init("image/png", 1, true),
        .init("application/json", 65_536, false), .init("application/json", 65_537, true),
        .init("application/json", nil, true), .init("Application/JSON ; charset=utf-8", 10, false),
        .init("application/jsonx", 10, true), .init("text/plain", 10, false), .init("text/plainer", 10, true),
        .init(" application/x-www-form-urlencoded", 10, false), .init(";application/json", 10, true),
    ]

    @Test("only a short form, JSON or text is no upload", arguments: uploads)
    func upload(_ c: Upload) {
        let bytes = Array(c.type.utf8)
        #expect(ResponseLimits.isUpload(contentType: bytes.span, bodyBytes: c.bytes) == c.isUpload)
    }

    struct Download: Sendable, CustomTestStringConvertible {
        var type: String
        var disposition: String
        var bytes: Int64?
        var isDownload: Bool
        var testDescription: String { "\(type) \(disposition)" }
        init(_ type: String, _ disposition: String = "", bytes: Int64? = nil, isSaved: Bool) {
            (self.type, self.disposition, self.bytes) = (type, disposition, bytes)
            isDownload = isSaved
        }
    }

    static let downloads: [Download] = [
        .init("text/html; charset=utf-8", isSaved: false), .init("TEXT/HTML", isSaved: false),
        .init("text/css", isSaved: false),
        .init("text/javascript", isSaved: false), .init("application/javascript", isSaved: false),
        .init("image/png", isSaved: false),
        .init("font/woff2", isSaved: false), .init("text/event-stream", isSaved: false),
        .init("application/json", isSaved: false),
        .init("application/manifest+json", isSaved: false), .init("application/xhtml+xml", isSaved: false),
        .init("application/wasm", isSaved: false), .init("text/plain", isSaved: false),
        .init("text/csv", isSaved: true),
        .init("application/pdf", isSaved: true), .init("application/zip", isSaved: true),
        .init("", isSaved: true),
        .init("", bytes: 0, isSaved: false), .init("image", isSaved: true),
        .init("text/html", "attachment", isSaved: true),
        .init("text/html", "inline", isSaved: false),
        .init("text/html", "INLINE; filename=a", isSaved: false),
        .init("text/html", "filename=a.exe", isSaved: true), .init("text/html", " ", isSaved: true),
        .init("application/pdf", "inline", isSaved: true),
        .init("text/html", "attachment", bytes: 0, isSaved: false),
        .init("text/htmlx", isSaved: true),
    ]

    @Test("what a page is made of is shown; everything else is saved", arguments: downloads)
    func download(_ c: Download) {
        let (type, disposition) = (Array(c.type.utf8), Array(c.disposition.utf8))
        #expect(
            ResponseLimits.isDownload(
                contentType: type.span, disposition: disposition.span, bodyBytes: c.bytes) == c.isDownload)
    }

    @Test("no banner text becomes markup") func banner() {
        #expect(
            ResponseLimits.bannerHTML("<b>\"it's\" & more</b>")
                == "<div role=\"status\" class=\"gatepost-banner\">"
                + "&lt;b&gt;&quot;it&#39;s&quot; &amp; more&lt;/b&gt;</div>")
    }

    @Test(
        "a page is text/html and nothing that only looks like it",
        arguments: [
            ("text/html", true), ("TEXT/HTML ; charset=utf-8", true), (" text/html", true), ("", false),
            ("text/htm", false), ("text/html-x", false), ("application/xhtml+xml", false),
            ("text/html, text/plain", false), ("text/plain; a=text/html", false),
        ])
    func page(_ type: String, _ isPage: Bool) {
        let bytes = Array(type.utf8)
        #expect(ResponseLimits.isPage(contentType: bytes.span) == isPage)
    }
}
