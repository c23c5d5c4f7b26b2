import Access
import JSON

/// Turns the `posture` object of an agent (snake_case members) into the facts that device rules name
/// (kebab-case).
///
/// Absent stays absent: a fact that the agent could not find out is unknown, never false.
enum StatementFacts {
    static let factsMax = 64
    static let checksMax = 32
    /// Where contradicting provider ids are remembered in a statement, so that they outlive a restart.
    static let conflictFact = "device-id-conflict"
    /// The permanent addresses of the device's network hardware.
    static let addressesFact = "mac-addresses"
    /// Begins the names of custom checks, so that none of them can pass for a fact of the agent itself.
    static let checkPrefix = "check-"

    /// What a fact's value has to look like; anything else is as good as no answer.
    enum Shape: Sendable {
        case flag
        case number(ClosedRange<Int64>)
        /// At most so many bytes, at least one.
        case text(Int)
        /// At most so many texts of at most 64 bytes.
        case list(Int)
    }

    /// Every fact that handshake.md 6 names, in the spelling of device rules.
    static let shapes: [String: Shape] = [
        "av-edr": .list(16), "edr-running": .flag, "edr-units": .list(16), "disk-encryption": .flag,
        "home-encryption": .flag, "swap-encryption": .flag, "firewall": .flag, "screen-lock": .flag,
        "screen-lock-seconds": .number(0...10_000_000), "secure-boot": .flag, "tpm": .number(0...9),
        "os-name": .text(64), "os-version": .text(128), "kernel-version": .text(128), "platform": .text(16),
        "hostname": .text(253), "machine-id": .text(64), "mac-addresses": .list(16),
        "patch-age-days": .number(0...100_000), "pending-updates": .number(0...1_000_000),
        "pending-security-updates": .number(0...1_000_000), "reboot-required": .flag,
        "virtualization": .text(32), "vulnerability-score": .number(0...1_000), "falcon-cid": .text(64),
        "falcon-reduced": .flag, "defender-healthy": .flag, "defender-real-time": .flag,
        "defender-org-id": .text(64), "defender-machine-id": .text(64),
    ]

    /// The facts that were asked for; everything else is dropped, and so is what has another type or size than
    /// its fact, the text `unknown` among it.
    static func facts(_ posture: JSONObject, requested: [String]) -> [String: ClaimValue] {
        let wanted = Set(requested)
        var facts: [String: ClaimValue] = [:]
        for (name, value) in posture.members.prefix(factsMax) {
            let fact = kebab(name)
            guard wanted.contains(fact), let shape = shapes[fact], let claim = claim(value, shape) else {
                continue
            }
            facts[fact] = claim
        }
        // Some agents name one address among the device's ids.
        if wanted.contains(addressesFact), facts[addressesFact] == nil,
            let address = posture["device_ids"]?["mac"]?.string, (1...64).contains(address.utf8.count)
        {
            facts[addressesFact] = .list([address])
        }
        for (name, value) in (posture["checks"]?.object?.members ?? []).prefix(checksMax) {
            let fact = checkPrefix + name
            guard wanted.contains(fact), let result = value.bool else { continue }
            facts[fact] = .flag(result)
        }
        return facts
    }

    /// The provider ids of `posture.device_ids`, normalised; what names no device is left out.
    static func deviceKeys(_ posture: JSONObject) -> [DeviceKey] {
        guard let ids = posture["device_ids"]?.object else { return [] }
        // What a machine calls itself names it to nobody.
        return DeviceKey.Kind.allCases.filter { $0 != .name && $0 != .owner }.compactMap { kind in
            ids[kind.memberName]?.string.flatMap { DeviceKey(kind, $0) }
        }
    }

    /// The addresses of a statement that still counts, normalised and without randomised ones (003.8).
    static func addresses(_ statement: AgentStatement?, nowSeconds: Int64) -> [DeviceKey] {
        guard let statement, nowSeconds < statement.openUntilSeconds ?? statement.expiresAtSeconds,
            case .list(let texts)? = statement.facts[addressesFact]
        else { return [] }
        var keys: [DeviceKey] = []
        for text in texts {
            guard let key = DeviceKey(.mac, text), !keys.contains(key) else { continue }
            keys.append(key)
        }
        return keys
    }

    static func platform(_ posture: JSONObject) -> Platform? {
        posture["platform"]?.string.flatMap { Platform(rawValue: $0) }
    }

    private static func claim(_ value: JSONValue, _ shape: Shape) -> ClaimValue? {
        switch shape {
        case .flag: return value.bool.map { .flag($0) }
        case .number(let range):
            guard case .integer(let number) = value, range.contains(number) else { return nil }
            return .integer(number)
        case .text(let bytesMax):
            guard let text = value.string, (1...bytesMax).contains(text.utf8.count), text != "unknown" else {
                return nil
            }
            return .text(text)
        case .list(let countMax):
            guard let values = value.array, values.count <= countMax else { return nil }
            let texts = values.compactMap(\.string).filter { (1...64).contains($0.utf8.count) }
            return texts.count == values.count ? .list(texts) : nil
        }
    }

    private static func kebab(_ name: String) -> String {
        String(name.map { $0 == "_" ? "-" : $0 })
    }
}
