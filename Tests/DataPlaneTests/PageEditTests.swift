import Access
import Synchronization
import Testing

@testable import DataPlane

@Suite("A page is edited alike in whatever chunks it comes")
struct PageEditTests {
    private static let parts = [
        "<", "</", "<!--", "-->", "<body", ">", "<script", "</script", "\"", "'", "=", " ", "a", "/",
        "<title>",
        "</title>", "<!", "<head>", "<frameset", "\u{e9}", "<meta ", "\u{FEFF}", "<noscript", "<bo", "text",
    ]

    /// Page and pieces of one seed; no piece is empty.
    private static func page(_ seed: UInt64) -> (whole: [UInt8], pieces: [[UInt8]]) {
        var random = Seeded(seed)
        var text = ""
        for _ in 0...(random.next() % 24) { text += parts[Int(random.next() % UInt64(parts.count))] }
        let whole = Array(text.utf8)
        var pieces: [[UInt8]] = []
        var rest = whole[...]
        while !rest.isEmpty {
            pieces.append(Array(rest.prefix(1 + Int(random.next() % 9))))
            rest = rest.dropFirst(pieces[pieces.count - 1].count)
        }
        return (whole, pieces)
    }

    /// What the client is to see, by one look at the whole page.
    private static func expected(_ page: [UInt8]) -> [UInt8] {
        var prologue = HTMLPrologue()
        let place = prologue.find(in: page.span) ?? page.count
        return Array(page[..<place]) + Array(BannerTests.html.utf8) + Array(page[place...])
    }

    @Test(arguments: ClientVersion.allCases)
    func `every chunk is a split, and nothing is lost, doubled or moved`(_ version: ClientVersion) throws {
        let seed = BodyTests.Shared(Atomic(0))
        let origin = TestOrigin { connection in
            while connection.readHead() != nil {
                let (_, pieces) = Self.page(UInt64(seed.count.load(ordering: .relaxed)))
                var answer = Array(BannerTests.head("Transfer-Encoding: chunked\r\n").utf8)
                for piece in pieces {
                    answer += Array("\(String(piece.count, radix: 16))\r\n".utf8) + piece + Array("\r\n".utf8)
                }
                connection.socket.write(answer + Array("0\r\n\r\n".utf8))
            }
        }
        let gateway = try BannerTests.gateway(origin)
        let client = try EitherClient(gateway, version)
        for number in 1...1_500 {
            seed.count.store(number, ordering: .relaxed)
            let response = try #require(client.get(fields: BannerTests.navigation), "seed \(number)")
            #expect(response.body == Self.expected(Self.page(UInt64(number)).whole), "seed \(number)")
        }
        // All on one connection: the framing was right each time.
        #expect(origin.connectionCount == 1)
    }
}
