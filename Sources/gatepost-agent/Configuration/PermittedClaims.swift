import JSON

/// What one gateway may learn about this machine: the claims that it asks for, and of those only what the
/// machine's administrator permits (handshake.md 5, privacy).
enum PermittedClaims: Sendable, Hashable {
    case all
    /// Names in kebab-case, as in the gateway's configuration. A name of one provider id permits that id alone.
    case only(Set<String>)

    /// Every name that may stand in a list. A name that no fact has would withhold something by a mistake in
    /// spelling, so it is refused.
    static var names: Set<String> {
        let facts = FactProbes.all(deviceIDsPath: "", machineIDKey: []).flatMap(\.names)
        return Set((facts + DeviceIDsFact.members).map(word))
    }

    /// A fact, or `check-` and the name of one of the administrator's own checks.
    static func isName(_ word: String) -> Bool {
        if names.contains(word) { return true }
        return word.hasPrefix("check-") && LocalRules.isCheckName(String(word.dropFirst("check-".count)))
    }

    /// What leaves the machine.
    ///
    /// - Parameter requested: names in kebab-case; nil: whatever is permitted.
    func disclosed(of facts: JSONObject, requested: [String]? = nil) -> JSONObject {
        let wanted = requested.map(Set.init)
        var disclosed = JSONObject()
        for (name, value) in facts.members {
            let word = Self.word(name)
            if name == "checks" {
                let value = permitted(word, value)
                disclosed[name] = requested.map { CustomChecksFact.asked(value, $0) } ?? value
                continue
            }
            guard wanted?.contains(word) ?? true, let value = permitted(word, value) else { continue }
            disclosed[name] = value
        }
        return disclosed
    }

    private func permitted(_ word: String, _ value: JSONValue) -> JSONValue? {
        guard case .only(let names) = self, !names.contains(word) else { return value }
        if word == "checks", let results = value.object {
            var kept = JSONObject()
            for (name, value) in results.members where names.contains("check-" + name) { kept[name] = value }
            return kept.isEmpty ? nil : .object(kept)
        }
        // Both objects have the ids' names as members, and the second without the first says nothing.
        guard word == "device-ids" || word == "device-id-sources", let members = value.object else {
            return nil
        }
        if names.contains("device-ids") { return value }
        var kept = JSONObject()
        for (name, value) in members.members where names.contains(Self.word(name)) { kept[name] = value }
        return kept.isEmpty ? nil : .object(kept)
    }

    static func word(_ name: String) -> String { String(name.map { $0 == "_" ? "-" : $0 }) }
}

extension JSONObject {
    /// With the members of another object that are not here.
    func merging(_ other: JSONObject) -> JSONObject {
        var merged = self
        for (name, value) in other.members where merged[name] == nil { merged[name] = value }
        return merged
    }
}
