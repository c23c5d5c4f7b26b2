import Access
import Testing

@testable import Control

@Suite("What integrations said last")
struct WitnessesTests {
    private func verdict(
        _ state: Verdict.State, fetchedAt: Int64, integration: String = "health", score: Int64? = nil
    ) -> Verdict {
        Verdict(
            id: "\(integration):\(fetchedAt):\(state.rawValue)", integration: integration, provider: "custom",
            nativeID: "n", state: state,
            score: score.map { Verdict.Score(value: $0, minimum: 0, maximum: 100, higherIsBetter: true) },
            observedAtSeconds: fetchedAt, fetchedAtSeconds: fetchedAt, expiresAtSeconds: fetchedAt + 100,
            matchKey: "", matchStrength: .strong)
    }

    @Test("a silence leaves the last definite word", arguments: Verdict.State.allCases)
    func silence(_ state: Verdict.State) {
        let last = verdict(.compliant, fetchedAt: 10)
        let isDefinite = [.compliant, .grace, .noncompliant, .notManaged].contains(state)
        let known = Witnesses.merged([last], [verdict(state, fetchedAt: 20)])
        #expect(known.map(\.state) == [isDefinite ? state : .compliant])
        #expect(Witnesses.merged([last], []) == [last], "so does no word at all")
    }

    @Test(
        "a new definite word counts, also of a clock that was put back; the one from the future is not kept")
    func jumps() {
        let future = verdict(.compliant, fetchedAt: 5_000)
        let bad = verdict(.noncompliant, fetchedAt: 100)
        let known = Witnesses.merged([future], [bad])
        #expect(Witnesses.areBad(known))
        #expect(Witnesses.areBad(Witnesses.remembered([future], known, 100)))
        // Of two decisions side by side the older one does not forget the newer word.
        let newer = verdict(.noncompliant, fetchedAt: 90)
        let older = Witnesses.merged([newer], [verdict(.compliant, fetchedAt: 80)])
        #expect(Witnesses.areBad(Witnesses.remembered([newer], older, 100)))
    }

    @Test("what an answer leaves open is as it was, and what it says is new") func filled() {
        let last = verdict(.compliant, fetchedAt: 10, score: 80)
        #expect(Witnesses.merged([last], [verdict(.compliant, fetchedAt: 20)])[0].score?.value == 80)
        #expect(Witnesses.merged([last], [verdict(.compliant, fetchedAt: 20, score: 5)])[0].score?.value == 5)
    }

    @Test("only age is supposed away: a grace that the provider ended stays ended") func grace() {
        var grace = verdict(.grace, fetchedAt: 10)
        grace.graceUntilSeconds = 1_000
        #expect(!Witnesses.asOfNow(grace, 1_000).isFresh(atSeconds: 1_000))
        #expect(Witnesses.asOfNow(grace, 999).isFresh(atSeconds: 999))
        #expect(Witnesses.asOfNow(verdict(.compliant, fetchedAt: 10), 9_999).isFresh(atSeconds: 9_999))
    }

    @Test("the silent ones are named: those that said something definite and do not now") func silent() {
        let health = verdict(.compliant, fetchedAt: 10)
        let mdm = verdict(.compliant, fetchedAt: 10, integration: "mdm")
        let never = verdict(.unknown, fetchedAt: 10, integration: "edr")
        let known = [health, mdm, never]
        #expect(Witnesses.silent(known, [health], 50) == ["mdm"])
        #expect(Witnesses.silent(known, [health], 110) == ["health", "mdm"], "too old is silent")
        #expect(Witnesses.silent(known, known, 50) == ["verdict-age"])
    }
}
