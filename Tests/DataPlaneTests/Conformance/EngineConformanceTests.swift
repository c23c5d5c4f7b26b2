import Testing

@testable import DataPlane

@Suite("HTTP/1.1 clause by clause through the whole engine; each row whole and byte by byte")
struct EngineConformanceTests {
    @Test("RFC 9110", arguments: RFC9110Rows.all)
    func semantics(_ row: EngineRow) throws { try Self.play(row) }

    @Test("RFC 9112", arguments: RFC9112EngineRows.all)
    func framing(_ row: EngineRow) throws { try Self.play(row) }

    private static func play(_ row: EngineRow) throws {
        let play = try EnginePlay(row)
        try play.play(drips: false)
        if row.drips { try play.play(drips: true) }
    }

    @Test func `no clause stands in the tables twice`() {
        let clauses = (RFC9110Rows.all + RFC9112EngineRows.all).map(\.clause)
        #expect(clauses.count == Set(clauses).count)
        #expect(clauses.allSatisfy { $0.contains("§") || $0.hasPrefix("ours: ") })
    }
}
