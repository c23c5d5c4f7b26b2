import Testing

/// Everything that runs against the real programs. One after the other: time is measured here, and the tests
/// share one gateway, one agent and one device.
@Suite("End to end", .serialized, .timeLimit(.minutes(5)), .wholeStack)
struct EndToEnd {}

/// Starts the stack before a suite's first test and stops it after the last.
struct WholeStackTrait: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test, testCase: Test.Case?, performing body: @Sendable () async throws -> Void
    ) async throws {
        let stack = try Stack()
        defer { stack.stop() }
        try await Stack.$running.withValue(stack) { try await body() }
    }
}

extension Trait where Self == WholeStackTrait {
    static var wholeStack: Self { Self() }
}
