import Glibc
import JSON
import Signatures

// What an agent keeps over time: its counter, the gateway's keys, and a management server's statement.
extension ConformanceCheck {
    static let statements: [ConformanceCheck] = [
        ConformanceCheck(
            "stmt", "9", "asked for a statement first, the agent sends it, signed by the key that it names"
        ) { subject throws(ConformanceFailure) in
            let stated = try statement(subject)
            let (reply, payload) = try ask(subject, ["stmt", "x5c"], statement: stated)
            guard reply["statement"] == .string(stated) else {
                throw ConformanceFailure("the statement is missing, or another one than the newest")
            }
            guard payload["sub"] == .string(ConformanceGateway.statedName) else {
                throw ConformanceFailure("sub is not the statement's")
            }
        },
        ConformanceCheck("stmt-not-first", "9", "asked for a certificate first, the agent sends no statement")
        {
            subject throws(ConformanceFailure) in
            _ = try statement(subject)
            for profiles in [["x5c"], ["x5c", "stmt"]] {
                let (reply, _) = try ask(subject, profiles, statement: nil)
                guard reply["statement"] == nil else {
                    throw ConformanceFailure("a statement is sent to who prefers \(profiles[0])")
                }
            }
        },
    ]

    /// The statement that the agent was given.
    private static func statement(_ subject: ConformanceSubject) throws(ConformanceFailure) -> String {
        guard let statement = subject.statement else {
            throw .notJudged("the agent was given no statement; see --statement-with")
        }
        return statement
    }

    private static func ask(
        _ subject: ConformanceSubject, _ profiles: [String], statement: String?
    ) throws(ConformanceFailure) -> (reply: JSONValue, payload: JSONObject) {
        var draft = subject.draft()
        draft.payload["profiles"] = .array(profiles.map { .string($0) })
        let challenge = draft.compact
        let reply = subject.attest(challenge)
        let assertion = try subject.assertion(in: reply)
        let payload = try StatementReader(
            subject: subject, draft: draft, challenge: challenge, origin: subject.origin, statement: statement
        ).read(assertion)
        guard let body = try? JSONValue(parsing: reply.body) else { throw ConformanceFailure("no JSON") }
        return (body, payload)
    }

    static let overTime: [ConformanceCheck] = [
        ConformanceCheck(
            "counter-restart", "9", "the counter grows over a restart that came without warning"
        ) { subject throws(ConformanceFailure) in
            guard let restart = subject.restart else {
                throw .notJudged("the runner did not start the agent; see --start-with")
            }
            let before = try StatementReader.ask(subject, subject.draft())["counter"]?.integer ?? 0
            guard restart() else { throw ConformanceFailure("nothing listens after the restart") }
            let after = try StatementReader.ask(subject, subject.draft())["counter"]?.integer ?? 0
            guard after > before else { throw ConformanceFailure("\(after) after \(before)") }
        },
        ConformanceCheck(
            "renews", "4", "an agent that hears of a newer announcement asks for it within 60 s", isSlow: true
        ) { subject throws(ConformanceFailure) in try provoke(subject) },
        ConformanceCheck(
            "announcement-refused", "5",
            "an announcement by a root that is not pinned, and an older one, change nothing", isSlow: true
        ) { subject throws(ConformanceFailure) in
            try provoke(subject)
            // The answer to it has been sent; what the agent makes of it takes a moment, and more where the machine is
            // busy: then each round takes longer as well.
            let until = subject.clock.nowMilliseconds() + 3_000
            var rounds = 0
            while rounds < 6 || subject.clock.nowMilliseconds() < until {
                rounds += 1
                var foreign = subject.draft()
                let (kid, key) = subject.gateway.foreignKey
                foreign.header["kid"] = .string(kid)
                foreign.signer = key
                try subject.expectError(
                    subject.attest(foreign.compact), 401, ["gateway-not-trusted"], "a key of a foreign root")
                _ = try subject.assertion(in: subject.attest(subject.draft().compact), "the pinned key")
                poll(nil, 0, 250)
            }
        },
        ConformanceCheck(
            "announcement-followed", "5", "the true announcement is followed at a later attempt", isSlow: true
        ) { subject throws(ConformanceFailure) in
            try provoke(subject)
            let until = subject.clock.nowMilliseconds() + 180_000
            while subject.gateway.renewals == 0 {
                guard subject.clock.nowMilliseconds() < until else {
                    throw ConformanceFailure("no second attempt within 180 s")
                }
                // An agent may look only when somebody asks.
                _ = subject.attest(subject.draft().compact)
                poll(nil, 0, 500)
            }
            do throws(SignatureError) { try subject.gateway.ring.rotate(.challenge) } catch {
                throw .notJudged(error.what)
            }
            // The answer is on its way to the agent, which then makes something of it.
            let believed = subject.clock.nowMilliseconds() + subject.patienceMilliseconds
            var reply = subject.attest(subject.draft().compact)
            while reply.status == 401, subject.clock.nowMilliseconds() < believed {
                poll(nil, 0, 250)
                reply = subject.attest(subject.draft().compact)
            }
            _ = try subject.assertion(in: reply, "a key of the newer announcement")
        },
    ]

    /// Makes the agent renew. The runner's answer to the first renewal of a run is one that it must refuse.
    private static func provoke(_ subject: ConformanceSubject) throws(ConformanceFailure) {
        do throws(SignatureError) { try subject.gateway.rotateOnce() } catch {
            throw .notJudged(error.what)
        }
        _ = try subject.assertion(in: subject.attest(subject.draft().compact), "the newer key")
        let until = subject.clock.nowMilliseconds() + subject.renewalMilliseconds
        while subject.gateway.attempts == 0 {
            guard subject.clock.nowMilliseconds() < until else {
                throw ConformanceFailure("no renewal within \(subject.renewalMilliseconds) ms")
            }
            poll(nil, 0, 250)
        }
    }
}
