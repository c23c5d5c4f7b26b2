import JSON
import Signatures
import Synchronization

extension AttestGate {
    /// Below the gateway's own limit of a return's request line, 16 KiB, with room for its path and host.
    static let wayBackBytesMax = 15 << 10

    /// Answers a visit. Before the signature holds, everybody gets the refusal of strangers; after it, the
    /// gateway's page learns why.
    func answer(_ visit: Visit, peer: Peer, nowSeconds: Int64, nowMilliseconds: Int64) -> AttestAnswer {
        let enrolment = identity.enrolment
        guard memory.withLock({ $0.strangers.take(nowMilliseconds: nowMilliseconds) }),
            let payload = Challenge.signedPayload(visit.challenge, enrolment: enrolment),
            payload["origin"] == .string(enrolment.authOrigin),
            let wayBack = Challenge.wayBack(payload, enrolment: enrolment)
        else { return .silent }
        if visit.kind == .probe { return probe(payload, visit, nowSeconds: nowSeconds) }
        let transport: AssertionMaker.Transport = visit.kind == .popup ? .popup : .navigation
        let outcome: Result<String, AttestRefusal>
        do throws(AttestRefusal) {
            guard memory.withLock({ $0.bucket.take(nowMilliseconds: nowMilliseconds) }) else {
                throw .rateLimited
            }
            let challenge = try Challenge(
                payload, of: visit.challenge, enrolment: enrolment, nowSeconds: nowSeconds)
            outcome = .success(
                try sign(challenge, origin: nil, transport: transport, peer: peer, nowSeconds: nowSeconds))
        } catch {
            outcome = .failure(error)
        }
        if visit.kind == .popup {
            let answer = outcome.map { maker.answer($0) }
            return noting(
                outcome, PopupPage(answer, origin: enrolment.authOrigin, nowSeconds: nowSeconds).answer)
        }
        return noting(outcome, redirect(wayBack, outcome))
    }

    /// A refusal is one in the log, too, although a browser is shown a page or sent back.
    private func noting(_ outcome: Result<String, AttestRefusal>, _ answer: AttestAnswer) -> AttestAnswer {
        guard case .failure(let refusal) = outcome else { return answer }
        var answer = answer
        answer.refusal = refusal
        return answer
    }

    /// One point: the agent is here and knows this gateway. A challenge that it would not answer shows nothing, and one
    /// that was only probed with can still be answered.
    private func probe(_ payload: JSONObject, _ visit: Visit, nowSeconds: Int64) -> AttestAnswer {
        let challenge = try? Challenge(
            payload, of: visit.challenge, enrolment: identity.enrolment, nowSeconds: nowSeconds)
        guard challenge != nil else { return .silent }
        return AttestAnswer(status: 200, fields: [("Content-Type", "image/gif")], body: Self.point)
    }

    /// To the signed way back and nowhere else.
    private func redirect(_ wayBack: String, _ outcome: Result<String, AttestRefusal>) -> AttestAnswer {
        let parameter =
            switch outcome {
            case .success(let assertion):
                "a=" + assertion + (maker.statement(beside: assertion).map { "&s=" + $0 } ?? "")
            case .failure(let refusal): "e=" + refusal.rawValue
            }
        let separator = wayBack.utf8.contains(UInt8(ascii: "?")) ? "&" : "?"
        let target = wayBack + separator + parameter
        guard target.utf8.count <= Self.wayBackBytesMax else {
            return redirect(wayBack, .failure(.requestTooLarge))
        }
        return AttestAnswer(
            status: 303, fields: [("Location", target), ("Referrer-Policy", "no-referrer")], body: [])
    }

    /// A transparent GIF of one point (GIF89a).
    static let point: [UInt8] = [
        0x47, 0x49, 0x46, 0x38, 0x39, 0x61, 1, 0, 1, 0, 0x80, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x21, 0xf9, 4,
        1,
        0, 0, 0, 0, 0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 1, 0, 0x3b,
    ]
}
