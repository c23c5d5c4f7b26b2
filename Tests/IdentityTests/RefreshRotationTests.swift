import Access
import Fetch
import Store
import Testing

@testable import Identity

@Suite("Refreshes whose answers are no use, at a provider that may have replaced the token")
struct RefreshRotationTests {
    let fixture = RefreshWorld()
    var tenant: FakeProvider { fixture.tenant }

    /// What a provider answers that may have replaced the token, and what is done with it.
    struct Rotation: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var status = 200
        var body: String
        var type = "application/json"
        var word: String
        /// What the log says of the answer, and of the token.
        var what: [String]
        /// Asked with next.
        var next: String
        var isAnswerMissing = false
    }

    private static let kept = "its new refresh token is kept"
    private static let stays = "the refresh token stays"
    private static let usedUp = "may be used up"

    static let rotations: [Rotation] = [
        Rotation(
            testDescription: "an id token that is none, and a new token",
            body: #"{"access_token":"a","token_type":"Bearer","id_token":"x.y.z","refresh_token":"r-2"}"#,
            word: "answer-unusable", what: [kept], next: "r-2"),
        Rotation(
            testDescription: "an id token that is no text, and a new token",
            body: #"{"access_token":"a","token_type":"Bearer","id_token":7,"refresh_token":"r-2"}"#,
            word: "answer-unusable", what: ["id_token is no text", kept], next: "r-2"),
        Rotation(
            testDescription: "an id token that is none, and no new token",
            body: #"{"access_token":"a","token_type":"Bearer","id_token":"x.y.z"}"#,
            word: "answer-unusable", what: [stays], next: "refresh-1"),
        Rotation(
            testDescription: "an access token of another type, and a new token",
            body: #"{"access_token":"a","token_type":"mac","refresh_token":"r-2"}"#,
            word: "answer-unusable", what: ["token_type is not Bearer", kept], next: "r-2"),
        Rotation(
            testDescription: "a new token that is none",
            body: #"{"access_token":"a","token_type":"mac","refresh_token":7}"#,
            word: "answer-unusable", what: ["token_type is not Bearer", stays], next: "refresh-1"),
        Rotation(
            testDescription: "a new token and nothing else", body: #"{"refresh_token":"r-2"}"#,
            word: "answer-unusable", what: ["neither access token nor id token", kept], next: "r-2"),
        Rotation(
            testDescription: "null for both tokens, and a new token",
            body: #"{"access_token":null,"id_token":null,"refresh_token":"r-2"}"#,
            word: "answer-unusable", what: ["neither access token nor id token", kept], next: "r-2"),
        Rotation(
            testDescription: "null for everything",
            body: #"{"access_token":null,"id_token":null,"refresh_token":null}"#,
            word: "provider-unavailable", what: ["no token answer", usedUp], next: "refresh-1",
            isAnswerMissing: true),
        Rotation(
            testDescription: "cut JSON",
            body: #"{"access_token":"a","token_type":"Bearer","refresh_token":"r-2""#,
            word: "provider-unavailable", what: ["status 200, and no token answer", usedUp],
            next: "refresh-1", isAnswerMissing: true),
        Rotation(
            testDescription: "a doubled member",
            body: #"{"access_token":"a","token_type":"Bearer","refresh_token":"r-2","refresh_token":"r-3"}"#,
            word: "provider-unavailable", what: ["no token answer", usedUp], next: "refresh-1",
            isAnswerMissing: true),
        Rotation(
            testDescription: "tokens in a page",
            body: #"{"access_token":"a","token_type":"Bearer","refresh_token":"r-2"}"#, type: "text/html",
            word: "provider-unavailable", what: ["no token answer", usedUp], next: "refresh-1",
            isAnswerMissing: true),
        Rotation(
            testDescription: "an outage behind the provider", status: 502, body: "",
            word: "provider-unavailable", what: ["status 502", usedUp], next: "refresh-1",
            isAnswerMissing: true),
        Rotation(
            testDescription: "a refusal that is about the rate", status: 429, body: "",
            word: "provider-unavailable", what: ["status 429"], next: "refresh-1"),
        Rotation(
            testDescription: "an error that is about us, with a token beside it", status: 400,
            body: #"{"error":"invalid_client","refresh_token":"r-2"}"#, word: "client-refused",
            what: ["invalid_client"], next: "refresh-1"),
        Rotation(
            testDescription: "the provider's word that it cannot say now",
            body: #"{"error":"temporarily_unavailable","refresh_token":"r-2"}"#,
            word: "provider-unavailable", what: ["temporarily_unavailable"], next: "refresh-1"),
    ]

    @Test(
        "after an answer that is no use, the log says what became of the refresh token", arguments: rotations)
    func rotation(_ c: Rotation) async throws {
        let (_, id) = try await fixture.signIn()
        let before = try #require(await fixture.session(id))
        tenant.refreshing {
            $0.answer = FetchResponse(
                status: c.status, fields: [("content-type", c.type)], body: Array(c.body.utf8))
        }
        try await fixture.refreshOnce(id)
        #expect(await fixture.session(id) == before, "nothing of it was used")
        let row = try #require(await fixture.row(id))
        #expect(row.failure == c.word)
        #expect((row.unansweredSinceSeconds != nil) == c.isAnswerMissing)
        let failures = fixture.results.news.compactMap { news -> RefreshFailure? in
            if case .failing(_, let failure) = news { failure } else { nil }
        }
        let detail = try #require(failures.first).detail
        for words in c.what { #expect(detail.contains(words)) }
        for words in [Self.kept, Self.stays, Self.usedUp] where !c.what.contains(words) {
            #expect(!detail.contains(words), "\(detail)")
        }
        // What the provider then says of the token of before is told apart from a refusal out of the blue.
        tenant.refreshing {
            $0.answer = FetchResponse(
                status: 400, fields: [("content-type", "application/json")],
                body: Array(#"{"error":"invalid_grant"}"#.utf8))
        }
        try await fixture.refreshOnce(id)
        #expect(tenant.refresh.presented.last == c.next)
        let end = try #require(fixture.results.endings.first?.end)
        #expect(end.word == (c.isAnswerMissing ? "refresh-answer-lost" : "sign-in-revoked"))
    }
}
