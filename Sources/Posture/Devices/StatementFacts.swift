import Access
import JSON

/// Turns the `posture` object of an agent (snake_case members) into the facts that device rules name
/// (kebab-case).
///
/// Absent stays absent: a fact that the agent could not find out is unknown, never false.
enum StatementFacts {
    static let factsMax = 64
    static let textBytesMax = 512
    static let listMax = 64
    /// Where contradicting provider ids are remembered in a statement, so that they outlive a restart.
    static let conflictFact = "device-id-conflict"

    /// The facts that were asked for; everything else is dropped.
    static func facts(_ posture: JSONObject, requested: [String]) -> [String: ClaimValue] {
        let wanted = Set(requested)
        var facts: [String: ClaimValue] = [:]
        for (name, value) in posture.members.prefix(factsMax) {
            let fact = kebab(name)
            guard wanted.contains(fact), fact != "device-ids", fact != conflictFact, let claim = claim(value)
            else {
                continue
            }
            facts[fact] = claim
        }
        return facts
    }

    /// The provider ids of `posture.device_ids`, normalised; what names no device is left out.
    static func deviceKeys(_ posture: JSONObject) -> [DeviceKey] {
        guard let ids = posture["device_ids"]?.object else { return [] }
        // What a machine calls itself names it to nobody.
        return DeviceKey.Kind.allCases.filter { $0 != .name }.compactMap { kind in
            ids[kind.memberName]?.string.flatMap { DeviceKey(kind, $0) }
        }
    }

    static func platform(_ posture: JSONObject) -> Platform? {
        posture["platform"]?.string.flatMap { Platform(rawValue: $0) }
    }

    private static func claim(_ value: JSONValue) -> ClaimValue? {
        switch value {
        case .bool(let flag): .flag(flag)
        case .integer(let number): .integer(number)
        case .string(let text): text.utf8.count <= textBytesMax ? .text(text) : nil
        case .array(let values):
            values.count <= listMax ? list(values) : nil
        case .null, .number, .object: nil
        }
    }

    private static func list(_ values: [JSONValue]) -> ClaimValue? {
        let texts = values.compactMap { value in
            value.string.flatMap { $0.utf8.count <= textBytesMax ? $0 : nil }
        }
        return texts.count == values.count ? .list(texts) : nil
    }

    private static func kebab(_ name: String) -> String {
        String(name.map { $0 == "_" ? "-" : $0 })
    }
}
