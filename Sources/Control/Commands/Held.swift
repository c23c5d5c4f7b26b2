import Border
import Foundation
import JSON
import Store

/// `gatepost held`: changes that wait because they would cut too many sessions at once.
extension ControlPlane {
    /// Everything that is held; `text` and `changes`.
    func listHeld() -> JSONValue {
        let held = heldChanges()
        return [
            "text": .string(
                held.isEmpty ? "nothing is held" : HeldText(changes: held, nowSeconds: nowSeconds()).text),
            "changes": .array(held.map(HeldText.json)),
        ]
    }

    func heldChanges() -> [HeldChange] {
        let now = nowSeconds()
        return blast.radius { $0.held(nowSeconds: now) }
    }

    /// Lets changes have their effect; the sessions are cut before the answer.
    ///
    /// - Parameter uid: of the process at the other end of the socket; nil: not known.
    func releaseHeld(_ command: JSONValue, uid: UInt32?) async throws(StoreError) -> JSONValue {
        let id = command["cause"]?.string
        let now = nowSeconds()
        let released = blast.radius { $0.release(id, nowSeconds: now) }
        if released.isEmpty, let id {
            return ["error": .string("nothing is held under \(id); gatepost held shows what is")]
        }
        let count = released.values.reduce(0) { $0 + $1.count }
        try await carryOut(released, by: uid.map { .string("uid \($0)") } ?? "command")
        return ["text": .string("\(count) session\(count == 1 ? "" : "s") released")]
    }

    /// What was held for as long as it may be has its effect. Once a minute.
    func releaseExpired() async {
        let now = nowSeconds()
        let released = blast.radius { $0.releaseExpired(nowSeconds: now) }
        do throws(StoreError) {
            try await carryOut(released, by: "time")
        } catch {
            // Each keeps its record until that ends, at most 100 s, and is held no more.
            EventLog.write("store-failed", [("what", .string("\(error)"))])
        }
    }

    private func carryOut(
        _ released: [HeldCause: Set<String>], by whom: JSONValue
    ) async throws(StoreError) {
        guard !released.isEmpty else { return }
        for (cause, sessions) in released.sorted(by: { $0.key.id < $1.key.id }) {
            let members: [(String, JSONValue)] = [
                ("change", .string(cause.id)), ("sessions", .integer(Int64(sessions.count))), ("by", whom),
            ]
            EventLog.write("change-released", members)
            await audit("change-released", members)
        }
        var batch = beginBatch(.release, eventNanoseconds: monotonicNanoseconds())
        let all = released.values.reduce(into: Set<String>()) { $0.formUnion($1) }
        var failure: StoreError?
        do throws(StoreError) {
            try await decideAnew(sessions: SessionRecord.sessions(named: all), &batch)
        } catch {
            failure = error
        }
        try await settle(batch)
        changes.announce()
        if let failure { throw failure }
    }
}

/// Held changes as people read them.
struct HeldText {
    /// Sessions named one by one in JSON.
    static let sessionsMax = 1_000

    var changes: [HeldChange]
    var nowSeconds: Int64

    var text: String {
        let table = Table(
            header: ["cause", "integration", "held for", "cut in", "sessions", "devices", "applications"],
            rows: changes.map { change in
                [
                    change.cause.id, Self.integrations(change).joined(separator: ", "),
                    "\(Age(seconds: max(0, nowSeconds - change.sinceSeconds)))",
                    "\(Age(seconds: change.remainingSeconds))", String(change.losses.count),
                    String(Set(change.losses.compactMap(\.device)).count),
                    Set(change.losses.map(\.application)).sorted().joined(separator: ", "),
                ]
            })
        return table.text
            + "\nthese sessions keep what they had; to cut them: gatepost held release --cause CAUSE"
    }

    /// One line of `gatepost status`.
    static func line(_ change: HeldChange, nowSeconds: Int64) -> String {
        let age = Age(seconds: max(0, nowSeconds - change.sinceSeconds))
        return "held for \(age): \(change.losses.count) sessions by \(change.cause.id); see gatepost held"
    }

    private static func integrations(_ change: HeldChange) -> [String] {
        switch change.cause.kind {
        case .absence(let integrations): integrations
        case .reload: ["-"]
        }
    }

    static func json(_ change: HeldChange) -> JSONValue {
        .object(
            JSONObject([
                ("cause", .string(change.cause.id)),
                ("integrations", .array(integrations(change).filter { $0 != "-" }.map { .string($0) })),
                ("since", .integer(change.sinceSeconds)), ("ends_in", .integer(change.remainingSeconds)),
                ("sessions", .integer(Int64(change.losses.count))),
                (
                    "applications",
                    .array(Set(change.losses.map(\.application)).sorted().map { .string($0) })
                ),
                (
                    "would_be_cut",
                    .array(
                        change.losses.prefix(sessionsMax).map { loss in
                            [
                                "session": .string(loss.session), "application": .string(loss.application),
                                "device": loss.device.map { .string($0) } ?? .null,
                            ]
                        })
                ),
            ]))
    }
}
