import Access
import Testing

@testable import Posture

@Suite("Signals about devices: order, confirmation, and a day without verification (providers.md 14.2, 14.3)")
struct SignalVerdictTests {
    static let now: Int64 = 1_770_000_000

    static func signal(_ isCompliant: Bool, at seconds: Int64, received: Int64? = nil) -> DeviceSignal {
        DeviceSignal(
            stream: "mdm", deviceID: "d1", word: .compliance(isCompliant: isCompliant),
            happenedAtSeconds: seconds,
            receivedAtSeconds: received ?? now)
    }

    static func provider(
        _ state: Verdict.State, fetched: Int64 = now - 60, observed: Int64 = now - 60
    ) -> Verdict {
        Verdict(
            id: "v", integration: "intune", provider: "intune", nativeID: "n", state: state,
            labels: [state.label], observedAtSeconds: observed, fetchedAtSeconds: fetched,
            expiresAtSeconds: now + 7_200, matchKey: "serial", matchStrength: .strong)
    }

    static func record(_ signals: DeviceSignal...) -> SignalVerdicts.Record? {
        var verdicts = SignalVerdicts()
        for signal in signals { _ = verdicts.take(signal, keys: []) }
        return verdicts.record(of: "mdm", deviceID: "d1", keys: [])
    }

    @Test("the later word counts, whatever the order in which they come") func order() throws {
        let late = try #require(Self.record(Self.signal(true, at: 20), Self.signal(false, at: 10)))
        #expect(late.state == .compliant && late.happenedAtSeconds == 20)
        let other = try #require(Self.record(Self.signal(false, at: 20), Self.signal(true, at: 10)))
        #expect(other.state == .noncompliant)
        let same = try #require(Self.record(Self.signal(false, at: 20), Self.signal(true, at: 20)))
        #expect(same.state == .noncompliant, "of two of the same second the bad one stays")
        let turned = try #require(Self.record(Self.signal(true, at: 20), Self.signal(false, at: 20)))
        #expect(turned.state == .noncompliant)
        let next = try #require(Self.record(Self.signal(false, at: 20), Self.signal(true, at: 21)))
        #expect(next.state == .compliant && next.awaitsConfirmation)
    }

    @Test("001.24 not-compliant holds against a provider's verdict until a later answer about a later report")
    func overlay() throws {
        let record = try #require(Self.record(Self.signal(false, at: Self.now - 5)))
        func state(_ verdict: Verdict) -> Verdict.State {
            SignalVerdicts.overlaid(verdict, by: record, nowSeconds: Self.now + 10).state
        }
        #expect(state(Self.provider(.compliant)) == .noncompliant)
        #expect(state(Self.provider(.grace)) == .noncompliant)
        #expect(state(Self.provider(.unknown)) == .noncompliant)
        #expect(state(Self.provider(.compliant, fetched: Self.now, observed: Self.now)) == .noncompliant)
        #expect(
            state(Self.provider(.compliant, fetched: Self.now + 1, observed: Self.now - 6)) == .noncompliant)
        #expect(
            state(Self.provider(.compliant, fetched: Self.now + 1, observed: Self.now - 5)) == .compliant)
        #expect(
            state(Self.provider(.noncompliant, fetched: Self.now + 1, observed: Self.now)) == .noncompliant)
    }

    @Test("a label of a verdict that is overruled does not survive it") func labels() throws {
        let record = try #require(Self.record(Self.signal(false, at: Self.now)))
        let verdict = SignalVerdicts.overlaid(
            Self.provider(.compliant), by: record, nowSeconds: Self.now)
        #expect(verdict.labels == [] && verdict.rawState.contains("mdm") && verdict.id != "v")
    }

    @Test("001.24 compliant never lifts a provider's noncompliant, and its own only with a later answer")
    func lifting() throws {
        let bad = Self.provider(.noncompliant)
        let first = try #require(Self.record(Self.signal(true, at: Self.now)))
        #expect(SignalVerdicts.overlaid(bad, by: first, nowSeconds: Self.now).state == .noncompliant)
        let lifted = try #require(
            Self.record(Self.signal(false, at: Self.now - 9), Self.signal(true, at: Self.now)))
        func own(_ verdicts: [Verdict], hasConfirming: Bool = true) -> Verdict.State {
            SignalVerdicts.verdict(
                lifted, confirming: verdicts, hasConfirming: hasConfirming, verifiedAtSeconds: Self.now,
                nowSeconds: Self.now + 10
            ).state
        }
        #expect(own([]) == .noncompliant)
        #expect(own([Self.provider(.compliant)]) == .noncompliant, "an answer from before")
        #expect(own([Self.provider(.compliant, fetched: Self.now)]) == .noncompliant, "of the same second")
        #expect(own([Self.provider(.compliant, fetched: Self.now + 1)]) == .compliant)
        #expect(own([Self.provider(.noncompliant, fetched: Self.now + 1)]) == .noncompliant)
        #expect(own([Self.provider(.compliant, fetched: Self.now + 1), bad]) == .noncompliant)
        #expect(own([], hasConfirming: false) == .compliant, "where nobody could confirm")
        #expect(
            SignalVerdicts.overlaid(Self.provider(.compliant), by: lifted, nowSeconds: Self.now).state
                == .noncompliant)
        #expect(
            SignalVerdicts.overlaid(
                Self.provider(.compliant, fetched: Self.now + 1), by: lifted, nowSeconds: Self.now
            ).state == .compliant)
    }

    @Test("a high risk is noncompliant, whatever else is said") func risk() {
        var verdicts = SignalVerdicts()
        func take(_ word: DeviceSignal.Word, _ seconds: Int64) -> Verdict.State? {
            verdicts.take(
                DeviceSignal(
                    stream: "mdm", deviceID: "d1", word: word, happenedAtSeconds: seconds,
                    receivedAtSeconds: seconds), keys: []
            )?.state
        }
        #expect(take(.risk(.low), 1) == .unknown)
        #expect(take(.compliance(isCompliant: true), 2) == .compliant)
        #expect(take(.risk(.high), 3) == .noncompliant)
        #expect(take(.compliance(isCompliant: true), 4) == .noncompliant)
        #expect(take(.risk(.medium), 5) == .compliant)
    }

    @Test("a day without verification is not too long, a second more is") func silence() {
        let heard = HeardTime()
        #expect(heard.isSilent(nowSeconds: Self.now))
        heard.set(Self.now)
        #expect(!heard.isSilent(nowSeconds: Self.now + 86_400))
        #expect(heard.isSilent(nowSeconds: Self.now + 86_401))
    }

    @Test("what was stored is read back as it was") func storage() throws {
        let key = try #require(DeviceKey(.serial, "PF3ABCDE"))
        var verdicts = SignalVerdicts()
        _ = verdicts.take(Self.signal(false, at: 10), keys: [key])
        let taken = verdicts.take(Self.signal(true, at: 11), keys: [key])
        let record = try #require(taken)
        var read = SignalVerdicts()
        read.load([SignalVerdicts.stored(record)])
        #expect(read.record(of: "mdm", deviceID: "d1", keys: []) == record)
        #expect(record.awaitsConfirmation)
        #expect(
            read.record(of: "mdm", deviceID: "d2", keys: [key]) == record,
            "the same machine under another enrolment")
        #expect(read.record(of: "mdm", deviceID: "d2", keys: []) == nil)
        #expect(read.record(of: "other", deviceID: "d1", keys: []) == nil)
    }
}
