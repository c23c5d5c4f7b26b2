import Foundation
import Testing

extension EndToEnd {
    @Suite("Machines with a bearer token of a configured issuer", .timeLimit(.minutes(5)))
    struct BearerTests {
        @Test("a token of the issuer lets in, ends at the gateway, and is served under its subject's name")
        func accepted() throws {
            try BearerStage.with(try Stack.current()) { stage in
                let proof = try stage.make(.init()).proof
                let answer = try stage.fetch(proof)
                #expect(answer.status == 200, "\(answer)")
                let token = try #require(proof.last?.split(separator: " ").last)
                #expect(!answer.body.contains(token))
                let served = try stage.served()
                #expect(served.contains("token:jobs:nightly") && !served.contains(token), "\(served)")
            }
        }

        @Test("another audience, issuer, time, key or subject: each is refused with its reason, and told why")
        func refused() throws {
            try BearerStage.with(try Stack.current()) { stage in
                for (token, what) in [
                    (.init(audience: "vault"), "aud does not name this gateway"),
                    (.init(issuer: "https://jobs.example"), "iss is no issuer that the application asks for"),
                    (.init(secondsLeft: -1), "exp is missing or past"),
                    (.init(secondsLeft: 3_700), "it lives longer than max-lifetime"),
                    (.init(signer: "foreign"), "signature"),
                ] as [(BearerStage.Token, String)] {
                    let answer = try stage.refusal(of: token, because: what)
                    #expect(answer.status == 401, "\(what): \(answer)")
                    #expect(stage.reason(answer) == "bearer-token-invalid", "\(what): \(answer.body)")
                    #expect(answer.field("www-authenticate")?.contains("invalid_token") == true, "\(what)")
                    #expect(answer.location == nil)
                }
                // Known, and nothing lets it in.
                let other = try stage.fetch(try stage.make(.init(subject: "weekly")).proof)
                #expect(other.status == 403, "\(other)")
                #expect(stage.reason(other) == "no-policy-matches", "\(other.body)")
                #expect(try stage.fetch([]).status == 401)
                #expect(try stage.fetch(try stage.make(.init()).proof).status == 200)
            }
        }

        @Test("a key that the issuer put in the place of another counts at once, and the other one no more")
        func rotated() throws {
            try BearerStage.with(try Stack.current()) { stage in
                #expect(try stage.fetch(try stage.make(.init()).proof).status == 200)
                try stage.publish("second")
                #expect(try stage.fetch(try stage.make(.init(keyID: "second")).proof).status == 200)
                let answer = try stage.refusal(of: .init(), because: "no key of jobs fits the token")
                #expect(answer.status == 401, "\(answer)")
                #expect(stage.reason(answer) == "bearer-token-invalid", "\(answer.body)")
            }
        }

        @Test("what a token has open ends when it expires, and not before; afterwards it is refused")
        func expired() throws {
            try BearerStage.with(try Stack.current()) { stage in
                let (proof, expiry) = try stage.make(.init(secondsLeft: 30))
                let (kept, _) = try stage.make(.init())
                let (stream, other) = (try stage.stream(proof), try stage.stream(kept))
                let status = try poll("the stream to end", seconds: 60) { stream.status }
                #expect(status != 28, "curl gave up by itself")
                #expect(Date().timeIntervalSince1970 >= Double(expiry))
                #expect(other.status == nil)
                other.stop()
                let answer = try stage.fetch(proof)
                #expect(answer.status == 401 && stage.reason(answer) == "bearer-token-invalid", "\(answer)")
            }
        }

        @Test("a reload that excludes a subject cuts what its tokens have open, and lets them in no more")
        func excluded() throws {
            try BearerStage.with(try Stack.current()) { stage in
                let (lost, kept) = (
                    try stage.make(.init()).proof, try stage.make(.init(subject: "hourly")).proof
                )
                let (stream, other) = (try stage.stream(lost), try stage.stream(kept))
                try stage.exclude("nightly")
                let status = try poll("the cut", seconds: 60) { stream.status }
                #expect(status != 28, "curl gave up by itself")
                let answer = try stage.fetch(lost)
                #expect(answer.status == 403 && stage.reason(answer) == "no-policy-matches", "\(answer)")
                #expect(other.status == nil)
                #expect(try stage.fetch(kept).status == 200)
                other.stop()
            }
        }
    }
}
