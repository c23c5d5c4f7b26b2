import JSON
import Synchronization
import Testing

@testable import gatepost_agent

@Suite("An agent that remembers as many challenges as it can")
struct FullMemoryTests {
    static let end = AgentSetting.now + 60 + Challenge.skewSeconds

    static func full(until seconds: Int64) -> SignedChallenges {
        var table = SignedChallenges()
        for number in 0..<SignedChallenges.countMax {
            _ = table.insert("id-\(number)", untilSeconds: seconds, nowSeconds: AgentSetting.now)
        }
        return table
    }

    @Test("4,096 living ones: one more is refused as full, a known one as known, and nothing is forgotten")
    func full() {
        var table = Self.full(until: Self.end)
        #expect(SignedChallenges.countMax == 4_096 && table.count == 4_096)
        #expect(table.insert("new", untilSeconds: Self.end, nowSeconds: AgentSetting.now) == .full)
        #expect(table.insert("id-0", untilSeconds: Self.end, nowSeconds: AgentSetting.now) == .known)
        #expect(table.contains("id-0") && table.contains("id-4095") && !table.contains("new"))
    }

    @Test(
        "until the last second in which a challenge is still taken it is remembered; one later it makes room")
    func room() {
        var table = Self.full(until: Self.end)
        #expect(table.insert("new", untilSeconds: Self.end + 60, nowSeconds: Self.end) == .full)
        #expect(table.contains("id-0"))
        #expect(table.insert("new", untilSeconds: Self.end + 60, nowSeconds: Self.end + 1) == .entered)
        #expect(table.count == 1)
    }

    @Test("the gateway's page hears overloaded, and the challenge is good once there is room") func page()
        throws
    {
        let setting = try AgentSetting()
        setting.gate.memory.withLock { $0.signed = Self.full(until: AgentSetting.now + 1) }
        let challenge = setting.challenge()
        let refused = setting.ask(challenge)
        #expect(refused.status == 503 && AgentSetting.word(refused) == "overloaded")
        #expect(setting.ask(challenge, now: AgentSetting.now + 2).status == 200)
        #expect(AgentSetting.word(setting.ask(challenge, now: AgentSetting.now + 3)) == "challenge-replayed")
    }

    @Test("at the rate that an origin has, the memory never fills") func rate() {
        var bucket = TokenBucket()
        var table = SignedChallenges()
        var refused = 0
        // An hour of a page that asks a hundred times a second.
        for turn in 0..<360_000 {
            let now = Int64(turn) * 10
            guard bucket.take(nowMilliseconds: now) else { continue }
            let seconds = now / 1000
            let entered = table.insert("\(turn)", untilSeconds: seconds + 180, nowSeconds: seconds)
            refused += entered == .entered ? 0 : 1
        }
        #expect(refused == 0)
    }
}
