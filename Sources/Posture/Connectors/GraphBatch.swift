import Access
import JSON

/// JSON batching of Microsoft Graph (providers.md 2.6): several reads in one call, each with an answer of its own.
enum GraphBatch {
    /// Graph refuses more, all of them.
    static let partsMax = 20
    static let path = "/v1.0/$batch"
    private static let root = "/v1.0"

    /// - Parameter paths: below `ProviderAPI.base`, each with the version that the batch has itself.
    static func body(_ paths: [String]) -> JSONValue {
        precondition((1...partsMax).contains(paths.count), "\(paths.count) parts")
        let requests = paths.enumerated().map { index, path -> JSONValue in
            precondition(path.hasPrefix(root + "/"), "a part of another version")
            return [
                "id": .string("\(index + 1)"), "method": "GET",
                "url": .string(String(path.dropFirst(root.count))),
            ]
        }
        return ["requests": .array(requests)]
    }

    /// What became of each part, in the order in which they were asked, whatever order they are answered in.
    ///
    /// - Throws: when it is no answer to this batch; then none of its parts counts.
    static func outcomes(
        _ answer: JSONValue, count: Int, nowSeconds: Int64
    ) throws(ConnectorFailure) -> [Result<JSONValue, ConnectorFailure>] {
        guard let responses = answer["responses"]?.array else {
            throw ConnectorFailure(.malformedResponse, "a batch without a responses array")
        }
        var outcomes = [Result<JSONValue, ConnectorFailure>?](repeating: nil, count: count)
        for response in responses {
            guard let id = response["id"]?.string, let number = Int(id), (1...count).contains(number),
                id == "\(number)"
            else { throw ConnectorFailure(.malformedResponse, "an answer to a part that was not asked") }
            // Which of two answers is the part's own, nobody can tell.
            outcomes[number - 1] =
                outcomes[number - 1] == nil
                ? outcome(response, nowSeconds)
                : .failure(ConnectorFailure(.malformedResponse, "two answers to one part of a batch"))
        }
        return outcomes.map {
            $0 ?? .failure(ConnectorFailure(.malformedResponse, "a part of a batch without an answer"))
        }
    }

    private static func outcome(
        _ response: JSONValue, _ nowSeconds: Int64
    ) -> Result<JSONValue, ConnectorFailure> {
        guard let status = response["status"]?.integer else {
            return .failure(ConnectorFailure(.malformedResponse, "a part of a batch without a status"))
        }
        let body = response["body"]
        if status == 200 {
            guard let body, body.object != nil else {
                return .failure(ConnectorFailure(.malformedResponse, "a part of a batch without a document"))
            }
            return .success(body)
        }
        let word = body.flatMap(Graph.errorWord).map(ProviderClient.plain) ?? "no code"
        let kind: ConnectorFailure.Kind =
            switch status {
            case 401: .authFailed
            case 403: .forbidden
            case 404: .notFound
            case 429: .throttled
            // 424: what it depends on failed; nothing here depends on another.
            case 424, 500...599: .unavailable
            case _: .malformedResponse
            }
        let wait = status == 429 || status == 503 ? hint(response["headers"], nowSeconds) : nil
        return .failure(
            ConnectorFailure(kind, "Graph, part of a batch: \(status) \(word)", retryAfterSeconds: wait))
    }

    private static func hint(_ fields: JSONValue?, _ nowSeconds: Int64) -> Int64? {
        let field = (fields?.object?.members ?? []).first { $0.name.lowercased() == "retry-after" }
        let text = field?.value.string ?? field?.value.integer.map { "\($0)" }
        return RetryHint.seconds(text, nowSeconds: nowSeconds)
    }
}

extension ProviderClient {
    /// Reads several paths in one call. Parts that fail for a while are asked again, together and without the others.
    ///
    /// - Returns: what each came to, in their order.
    /// - Throws: what the first call as a whole failed with: then nothing was learned.
    func batch(
        _ paths: [String], waitSecondsMax: Double
    ) async throws(ConnectorFailure) -> [Result<JSONValue, ConnectorFailure>] {
        var outcomes = try await batchOnce(paths, waitSecondsMax: waitSecondsMax)
        var hasRenewed = false
        for attempt in 0..<(Self.triesMax - 1) {
            var again: [Int] = []
            var isHinted = false
            for (index, outcome) in outcomes.enumerated() {
                guard case .failure(let failure) = outcome else { continue }
                switch failure.kind {
                case .authFailed where !hasRenewed: again.append(index)
                case .throttled, .unavailable:
                    again.append(index)
                    isHinted = isHinted || failure.retryAfterSeconds != nil
                case .authFailed, .forbidden, .notFound, .timeout, .tlsError, .malformedResponse, .pagingLoop,
                    .clockSkew, .configError:
                    break
                }
            }
            guard !again.isEmpty, !Task.isCancelled else { break }
            if !hasRenewed, again.contains(where: { outcomes[$0].failure?.kind == .authFailed }) {
                hasRenewed = true
                await forgetToken()
            } else if !isHinted {
                // With a hint, the next call waits as it was asked to, or says that it will not.
                await clock.sleep(RetryHint.backOff(attempt: attempt, random: random()))
            }
            // What was learned of the others stays, whatever becomes of these.
            guard
                let fresh = try? await batchOnce(again.map { paths[$0] }, waitSecondsMax: waitSecondsMax)
            else { break }
            for (index, outcome) in zip(again, fresh) { outcomes[index] = outcome }
        }
        return outcomes
    }

    private func batchOnce(
        _ paths: [String], waitSecondsMax: Double
    ) async throws(ConnectorFailure) -> [Result<JSONValue, ConnectorFailure>] {
        var call = ProviderCall(method: "POST", url: api.base + GraphBatch.path)
        call.body = GraphBatch.body(paths)
        // Each part counts against the vendor's limits as a call of its own.
        call.countsAs = paths.count
        let answer = try await self.call(call, waitSecondsMax: waitSecondsMax)
        let outcomes = try GraphBatch.outcomes(answer, count: paths.count, nowSeconds: clock.nowSeconds())
        let waits = outcomes.compactMap { $0.failure?.retryAfterSeconds }
        if let longest = waits.max() { holdOff(seconds: longest) }
        return outcomes
    }
}

extension Result where Failure == ConnectorFailure {
    fileprivate var failure: ConnectorFailure? {
        if case .failure(let failure) = self { failure } else { nil }
    }
}
