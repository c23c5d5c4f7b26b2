@testable import DataPlane

/// Many streams of one session, which ends while all of them are open, and everybody speaks.
extension Simulation {
    private static let cutAfterNanoseconds: UInt64 = 150_000_000

    func planStreams(from id: inout Int) {
        streamsEndNanoseconds = kernel.nowNanoseconds + Self.cutAfterNanoseconds
        for _ in 0..<profile.streams {
            id += 1
            let request = ModelRequest(id: id)
            request.kind = kernel.random.chance(50) ? .events : .tunnel
            request.host = "wiki.test"
            request.cookie = .session(0)
            let client = add([request])
            later(50) { client.start() }
        }
        for number in 0..<max(8, profile.streams / 5) {
            let isOfSession = number % 4 == 0
            var list: [ModelRequest] = []
            for _ in 0..<12 {
                id += 1
                let request = ModelRequest(id: id)
                if isOfSession {
                    request.host = "wiki.test"
                    request.cookie = .session(0)
                }
                list.append(request)
            }
            let client = add(list)
            let early = UInt64(kernel.random.below(isOfSession ? 5_000_000 : 40_000_000))
            kernel.after(Self.cutAfterNanoseconds - early) { client.start() }
        }
        kernel.after(Self.cutAfterNanoseconds) { [self] in revoke(0) }
    }

    /// When whoever has a stream open speaks again, in nanoseconds from now on and in their order.
    func pauses() -> [UInt64] {
        let random = UInt64(kernel.random.below(900)) * 1_000_000
        let now = kernel.nowNanoseconds
        guard profile.streams > 0, now + 2_000_000 < streamsEndNanoseconds else { return [random] }
        // About when they end; and what would be a tunnel's last word only behind that.
        let around = streamsEndNanoseconds - now - 500_000 + UInt64(kernel.random.below(1_200_000))
        return [around, around + 3_000_000 + random]
    }
}
