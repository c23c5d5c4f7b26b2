import Testing

@testable import HTTP

@Suite("What an Accept field says about who asks")
struct AcceptedTypesTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var accept: String
        var isPageWanted: Bool
        init(_ accept: String, _ isPageWanted: Bool) {
            (self.accept, self.isPageWanted) = (accept, isPageWanted)
        }
        var testDescription: String { accept }
    }

    static let table: [Row] = [
        .init("text/html", true), .init("TEXT/HTML", true), .init(" text/html ;q=0.9 , */*", true),
        .init("text/html;q=0.001", true), .init("*/*, text/html;level=1", true),
        .init("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", true),
        // Named in order not to get it.
        .init("text/html;q=0", false), .init("text/html; q=0.000", false),
        .init("text/html ; Q=0.0,*/*", false),
        // Programs.
        .init("", false), .init("*/*", false), .init("text/*", false), .init("application/json", false),
        .init("application/json, text/plain, */*", false), .init("text/html, application/json", false),
        .init("application/ld+json, text/html", false), .init("text/html;q=1, application/JSON;q=0.1", false),
        .init("text/html, application/json;q=0", true), .init("text/event-stream", false),
        // Names that only look like it.
        .init("application/text/html", false), .init("text/html5", false), .init("xtext/html", false),
        .init("text/xml;a=text/html", false), .init("text/html+json", false), .init(",,;,;q=", false),
        .init("+json, text/html", true),
    ]

    @Test(arguments: table) func `a page is wanted by whoever names it and takes no JSON`(_ row: Row) {
        let bytes = Array("x\(row.accept)y".utf8)
        let types = AcceptedTypes(bytes.span, 1..<(bytes.count - 1))
        #expect(types.isPageWanted == row.isPageWanted)
    }

    @Test func `no text makes the reader look beyond its range`() {
        var generator = SeededGenerator(seed: 0xacce)
        let pieces = [
            "text/html", "application/json", ";", "q=0", ",", " ", "q", "=", "+json", "\u{e9}", "\t",
        ]
        for round in 0..<5_000 {
            let text = (0..<Int.random(in: 0...8, using: &generator)).map { _ in
                pieces.randomElement(using: &generator) ?? ""
            }.joined()
            let bytes = Array(text.utf8)
            let alone = AcceptedTypes(bytes.span, bytes.indices)
            let around = Array(",text/html".utf8) + bytes + Array("text/html,".utf8)
            let within = AcceptedTypes(around.span, 10..<(10 + bytes.count))
            #expect(alone == within, "seed 0xacce, round \(round): \(text)")
        }
    }
}
