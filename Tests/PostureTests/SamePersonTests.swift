import Access
import Testing

@testable import Posture

@Suite("A device of one person, known by several subjects of one issuer")
struct SamePersonTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var issuer = Setting.person.issuer
        var subject = "second"
        var knownAs: [String] = []
        var reason: Reason?
    }

    static let cases = [
        Case(testDescription: "another subject alone", reason: .deviceOwnerMismatch),
        Case(
            testDescription: "known by its own name only", knownAs: ["second"], reason: .deviceOwnerMismatch),
        Case(testDescription: "known by the owner's name", knownAs: ["second", "first"], reason: nil),
        Case(
            testDescription: "known by a name that only begins so", knownAs: ["firs", "first "],
            reason: .deviceOwnerMismatch),
        Case(
            testDescription: "the owner's name at another issuer", issuer: "https://other.example",
            subject: "first", knownAs: ["first"], reason: .deviceOwnerMismatch),
    ]

    @Test(
        "004.19 it is the owner's whichever registration signed them in, and nobody else's", arguments: cases)
    func owner(_ c: Case) async throws {
        let setting = try Setting()
        let agent = try await setting.enroll(subject: "first")
        let (transaction, challenge) = try await setting.challenge()
        let assertion = try agent.assertion(for: challenge, now: setting.clock.now, counter: 1)
        var reason: Reason?
        do throws(PostureRefusal) {
            _ = try await setting.service.assert(
                transaction: transaction, assertion: assertion, globalSession: "session-a",
                issuer: c.issuer, subject: c.subject, knownAs: c.knownAs)
        } catch { reason = error.reason }
        #expect(reason == c.reason)
    }
}
