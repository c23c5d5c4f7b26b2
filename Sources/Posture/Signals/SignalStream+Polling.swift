import Access
import JSON

/// Bounds of poll delivery.
enum SignalPolling {
    static let eventsMax: Int64 = 25
    static let answerBytesMax = 2 << 20
    /// A long poll ends after this, without an answer: that is no failure.
    static let milliseconds = 45_000
    /// After an empty answer that came at once.
    static let idleSeconds = 5.0

    /// What the transmitter is told with the next question.
    struct Outbox: Sendable, Hashable {
        var acknowledged: [String] = []
        var refused: [String: SignalRefusal] = [:]
        var isEmpty: Bool { acknowledged.isEmpty && refused.isEmpty }

        func body(returnImmediately: Bool) -> JSONValue {
            var body: JSONObject = [
                "maxEvents": .integer(eventsMax), "returnImmediately": .bool(returnImmediately),
            ]
            if !acknowledged.isEmpty { body["ack"] = .array(acknowledged.map { .string($0) }) }
            if !refused.isEmpty {
                let errors = refused.sorted { $0.key < $1.key }.map { id, refusal in
                    (
                        id,
                        [
                            "err": .string(refusal.code.rawValue), "description": .string(refusal.what),
                        ] as JSONValue
                    )
                }
                body["setErrs"] = .object(JSONObject(errors))
            }
            return .object(body)
        }
    }
}

/// Poll delivery (RFC 8936): asks, takes, and tells with the next question what became of each.
extension SignalStream {
    func followPolls(interpret: @escaping Interpreter, handler: @escaping Handler) async {
        var outbox = SignalPolling.Outbox()
        var failures = 0
        while !Task.isCancelled {
            guard let url = configuration?.endpointURL else {
                await clock.sleep(SignalPolling.idleSeconds)
                continue
            }
            let began = clock.monotonicNanoseconds()
            do throws(ConnectorFailure) {
                try await poll(url, &outbox, interpret: interpret, handler: handler)
                failures = 0
                let tookSeconds = Double(clock.monotonicNanoseconds() &- began) / 1e9
                // Nothing came, or nothing that can be taken now: a transmitter that does not hold
                // questions must not be asked again without a pause.
                if outbox.isEmpty, tookSeconds < SignalPolling.idleSeconds {
                    await clock.sleep(SignalPolling.idleSeconds)
                }
            } catch {
                guard !Task.isCancelled else { return }
                health.note(error, nowSeconds: clock.nowSeconds())
                let wait = error.retryAfterSeconds.map(Double.init)
                await clock.sleep(wait ?? max(1, RetryHint.backOff(attempt: failures, random: random())))
                failures += 1
            }
        }
    }

    /// One question and what it brought.
    ///
    /// - Parameter outbox: what is to be told; afterwards, what is to be told with the next one.
    /// - Returns: whether there are more.
    @discardableResult
    func poll(
        _ url: String, _ outbox: inout SignalPolling.Outbox, interpret: Interpreter, handler: Handler,
        returnImmediately: Bool = false
    ) async throws(ConnectorFailure) -> Bool {
        let answer: JSONValue
        do throws(ConnectorFailure) {
            answer = try await transmitter.poll(
                url, outbox.body(returnImmediately: returnImmediately),
                milliseconds: SignalPolling.milliseconds)
        } catch {
            // It held the question for longer than we wait; whether it read our acknowledgements is not
            // known.
            if error.kind == .timeout { return false }
            throw error
        }
        outbox = SignalPolling.Outbox()
        health.noteSuccess(nowSeconds: clock.nowSeconds())
        guard let sets = answer["sets"]?.object else {
            throw ConnectorFailure(.malformedResponse, "poll: sets is missing or no object")
        }
        // More than was asked for: what is left out is neither taken nor acknowledged, and comes again.
        for (id, value) in sets.members.prefix(Int(SignalPolling.eventsMax)) {
            guard let compact = value.string else {
                outbox.refused[id] = SignalRefusal(.invalidRequest, "the token is no text")
                continue
            }
            switch await receive(compact, expectedID: id, interpret: interpret, handler: handler) {
            case .acknowledged: outbox.acknowledged.append(id)
            case .refused(let refusal): outbox.refused[id] = refusal
            case .unavailable, .noSuchStream: break
            }
        }
        return answer["moreAvailable"]?.bool ?? false
    }
}
