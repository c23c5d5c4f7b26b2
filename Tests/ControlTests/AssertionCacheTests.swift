import Testing

@testable import Control

@Suite("Assertions made lately")
struct AssertionCacheTests {
    private func token(
        _ cache: AssertionCache, _ key: String, _ content: [UInt8] = [1], at nowSeconds: Int64 = 0
    ) -> String {
        cache.token(key, saying: content, nowSeconds: nowSeconds) { "\(key) at \(nowSeconds)" }.token
    }

    @Test func `a token is handed out again for a minute while it says the same`() {
        let cache = AssertionCache()
        #expect(token(cache, "a") == "a at 0")
        #expect(token(cache, "a", at: 59) == "a at 0")
        #expect(token(cache, "a", at: 60) == "a at 60")
        #expect(token(cache, "a", [2], at: 61) == "a at 61")
        // A clock that was set back is no reason to hand out a token of the future.
        #expect(token(cache, "a", [2], at: 30) == "a at 30")
        #expect(cache.signatureCount == 4)
    }

    @Test func `with more sessions than are remembered most are signed once`() {
        let cache = AssertionCache()
        let count = AssertionCache.tokensMax + AssertionCache.tokensMax / 8
        for index in 0..<count { _ = token(cache, "s\(index)") }
        #expect(cache.signatureCount == count)
        for index in 0..<count { _ = token(cache, "s\(index)") }
        #expect(cache.signatureCount < 2 * count)
        // The newest is always remembered.
        let before = cache.signatureCount
        _ = token(cache, "new")
        _ = token(cache, "new")
        #expect(cache.signatureCount == before + 1)
    }
}
