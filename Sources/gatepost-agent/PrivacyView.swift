import JSON

/// What each gateway learns about this machine, for the person in front of it: to whom, what it asked for,
/// what is sent, and what is known but kept back.
struct PrivacyView {
    let enrolment: Enrolment
    let permitted: PermittedClaims
    /// The list of its last challenge; nil: it has not asked yet, and whatever is permitted would be sent.
    let asked: [String]?
    let facts: JSONObject

    var object: JSONObject {
        let sent = permitted.disclosed(of: facts, requested: asked)
        let withheld = facts.members.map(\.0).filter { sent[$0] == nil }.map(PermittedClaims.word)
        return JSONObject([
            ("device", .string(enrolment.deviceID)),
            ("asked", asked.map { .array($0.map { .string($0) }) } ?? .null),
            ("sent", .object(sent)),
            ("not_sent", .array(withheld.sorted().map { .string($0) })),
        ])
    }
}
