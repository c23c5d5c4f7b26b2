import Foundation
import Testing

@testable import DataPlane

/// What makes a request cheap is how its state is kept. `loadtest/gates` counts the instructions; these say early,
/// and without valgrind, which change would bring them back.
@Suite("The state that every request touches")
struct HotPathTests {
    @Test func `a record that is overwritten per request holds no reference to count`() {
        #expect(_isPOD(Exchange.self))
        #expect(_isPOD(Transport.self))
        #expect(_isPOD(ByteBuffer.self))
        #expect(_isPOD(BlockQueue.self))
        #expect(_isPOD(NotedPath.self))
        #expect(_isPOD(CookieMemo.self))
        #expect(_isPOD(RequestNames.self))
    }

    @Test func `slabs, timers and buffers are reached by pointers alone`() {
        #expect(_isPOD(Slab<Downstream>.self))
        #expect(_isPOD(Slab<Upstream>.self))
        #expect(_isPOD(TimerWheel.self))
        #expect(_isPOD(BufferPool.self))
    }

    @Test func `an idle connection's record stays below 1 KiB`() {
        let bytes = MemoryLayout<Downstream>.stride + MemoryLayout<Transport>.stride
        #expect(bytes < 1_024, "\(bytes) bytes")
    }

    /// A stored `var` of a class is checked for exclusivity at run time, some 100 instructions each time.
    @Test func `a reactor has no stored variable: what changes lies behind a pointer`() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(
            contentsOf: root.appending(path: "Sources/DataPlane/Reactor/Reactor.swift"), encoding: .utf8)
        let body = try #require(text.range(of: "final class Reactor {").map { text[$0.upperBound...] })
        let variables = body.split(separator: "\n").filter {
            $0.hasPrefix("    var ") || $0.hasPrefix("    private var ")
        }
        // A computed one has its body on the same line.
        #expect(variables.allSatisfy { $0.contains("{") }, "\(variables)")
    }
}
