import Foundation
import Testing

@Suite("Limits that are read when a reactor begins")
struct LimitTests {
    /// What reactors make room for at their start. A reload names these (`UnappliedChanges`); whoever adds one adds it
    /// there.
    static let atTheStart: Set<String> = [
        "connectionsMax", "sessionsCachedMax", "upstreamIdlePerReactorMax",
    ]

    @Test func `reactors read no other limit once and for all`() throws {
        var found: Set<String> = []
        for file in SourceTree.swiftFiles(under: "Sources/DataPlane") {
            for line in file.lines {
                for match in line.matches(of: /snapshot\.limits\.([a-zA-Z0-9]+)/) {
                    found.insert(String(match.1))
                }
            }
        }
        #expect(found == Self.atTheStart, "name it in Control/Configuration/UnappliedChanges, too")
        let named = try #require(SourceTree.text("Sources/Control/Configuration/UnappliedChanges.swift"))
        for name in Self.atTheStart { #expect(named.contains("old.\(name)"), "\(name)") }
    }
}
