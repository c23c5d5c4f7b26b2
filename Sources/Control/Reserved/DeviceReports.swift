import Access
import Border
import JSON
import Posture
import Store
import Synchronization

/// How device checks came out since the start, by word; and how many lines about them a second may have.
final class DeviceCheckCounts: Sendable {
    /// Pages can be made to say much: what is beyond is counted and not written.
    static let linesPerSecondMax = 20

    /// Whose lines they are: pages of sessions must not be silenced by whoever has none.
    enum Teller { case page, stranger }

    private struct State {
        var counts: [String: Int64] = [:]
        var lines: [Teller: (second: Int64, count: Int)] = [:]
    }
    private let state = Mutex(State())

    /// Counts what the gateway refused, and says it.
    ///
    /// - Parameter nowSeconds: where nobody had to show anything for it, the second, which has so many lines and no
    ///   more; nil: it is always written.
    func refused(
        _ refusal: PostureRefusal, _ request: ControlRequest, boundedAtSeconds nowSeconds: Int64? = nil
    ) {
        note(refusal.reason)
        if let nowSeconds, !refusal.isAlert, !mayWrite(.stranger, nowSeconds: nowSeconds) { return }
        EventLog.write(
            "device-check-refused",
            [
                ("request_id", .string(request.requestID)), ("reason", .string(refusal.reason.rawValue)),
                ("what", .string(refusal.detail)), ("alert", .bool(refusal.isAlert)),
            ])
    }

    func note(_ reason: Reason) { add(reason.rawValue) }
    func proven() { add("proven") }
    /// The providers' first word about a device did not come within `first-contact`.
    func firstContactExpired() { add("first-contact-expired") }

    private func add(_ word: String) { state.withLock { $0.counts[word, default: 0] += 1 } }

    /// Whether one more line may be written in this second.
    func mayWrite(_ teller: Teller = .page, nowSeconds: Int64) -> Bool {
        state.withLock { state in
            var lines = state.lines[teller] ?? (nowSeconds, 0)
            if lines.second != nowSeconds { lines = (nowSeconds, 0) }
            lines.count += 1
            state.lines[teller] = lines
            return lines.count <= Self.linesPerSecondMax
        }
    }

    /// In the order of the words.
    var counts: [(word: String, count: Int64)] {
        state.withLock { $0.counts }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    static func json(_ counts: [(word: String, count: Int64)]) -> JSONValue {
        .object(JSONObject(counts.map { ($0.word, .integer($0.count)) }))
    }

    static func lines(_ counts: [(word: String, count: Int64)]) -> [String] {
        guard !counts.isEmpty else { return [] }
        return ["device checks: " + counts.map { "\($0.count) \($0.word)" }.joined(separator: ", ")]
    }
}

/// What the device-check page tells of itself: states that no server can see. They are written down and counted, and no
/// decision is made by them.
extension ControlPlane {
    func deviceReport(_ request: ControlRequest) async throws(StoreError) -> ControlResponse {
        let answers = Answers(request: request)
        guard request.body.count <= 1_024, let session = try await sameOriginSession(request),
            let body = body(of: request), let id = body["tx"]?.string,
            let global = try await owner(of: id, session)
        else { return answers.refusal(403, .sessionMismatch) }
        guard let reason = body["reason"]?.string.flatMap(Reason.init(rawValue:)),
            DeviceStates.pageWords.contains(reason)
        else { return answers.refusal(400, .requestMalformed) }
        do throws(PostureRefusal) {
            _ = try await services.posture.report(transaction: id, globalSession: global.id)
        } catch {
            return answers.refusal(error.reason == .rateLimited ? 429 : 403, error.reason)
        }
        deviceStateNoted(reason, of: id, request)
        return answers.json(200, ["state": "noted"])
    }

    func deviceStateNoted(_ reason: Reason, of transaction: String, _ request: ControlRequest) {
        deviceChecks.note(reason)
        guard deviceChecks.mayWrite(nowSeconds: nowSeconds()) else { return }
        EventLog.write(
            "device-check-state",
            [
                ("request_id", .string(request.requestID)), ("reason", .string(reason.rawValue)),
                ("said_by", "page"), ("check", .string(String(transaction.prefix(8)))),
            ])
    }
}
