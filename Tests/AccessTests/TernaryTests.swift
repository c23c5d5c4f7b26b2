import Access
import Testing

@Suite("Ternary is Kleene's logic")
struct TernaryTests {
    static let table: [(Ternary, Ternary, and: Ternary, or: Ternary)] = [
        (.no, .no, .no, .no), (.no, .indeterminate, .no, .indeterminate), (.no, .yes, .no, .yes),
        (.indeterminate, .no, .no, .indeterminate),
        (.indeterminate, .indeterminate, .indeterminate, .indeterminate),
        (.indeterminate, .yes, .indeterminate, .yes), (.yes, .no, .no, .yes),
        (.yes, .indeterminate, .indeterminate, .yes), (.yes, .yes, .yes, .yes),
    ]

    @Test("every pair of values has Kleene's and, or and De Morgan's laws")
    func allPairs() {
        for row in Self.table {
            #expect((row.0 && row.1) == row.and)
            #expect((row.0 || row.1) == row.or)
            #expect(!(row.0 && row.1) == (!row.0 || !row.1))
        }
        #expect(Self.table.count == Ternary.allCases.count * Ternary.allCases.count)
    }

    @Test("what is not known stays not known when negated")
    func negation() {
        #expect(!Ternary.indeterminate == .indeterminate)
        #expect(!Ternary.yes == .no)
        #expect(!Ternary(false) == .yes)
    }
}
