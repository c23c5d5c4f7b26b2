extension AnalyzedCase: CustomStringConvertible {
    /// One line for administrators: `ada@corp.example (corp), in staff, on macos (intune: noncompliant): GET /x`.
    public var description: String {
        var text = who
        if let device, service != nil || session != nil {
            text += ", on \(device.platform?.rawValue ?? "an unknown platform") (\(device.sayings))"
        } else if session != nil {
            text += ", without a device"
        }
        let certificate =
            request.certificate.map { ", with the certificate of \($0.subject ?? "nobody")" } ?? ""
        return "\(text): \(request.method.rawValue) \(path) from \(request.client)\(certificate)"
    }

    private var who: String {
        if let service { return "service client \(service.name)" }
        guard let session else { return "nobody" }
        let person = session.person
        var parts = ["\(person.email ?? "somebody without a verified address") (\(session.identityProvider))"]
        if !person.groups.isEmpty { parts.append("in \(ExactText.list(person.groups))") }
        for (name, value) in person.claims.sorted(by: { $0.key < $1.key }) {
            parts.append("\(name) \(value)")
        }
        if session.keyProvenAtSeconds != nil { parts.append("in a key-bound session") }
        return parts.joined(separator: ", ")
    }
}

extension DeviceFacts {
    /// What providers and the agent say, each once.
    fileprivate var sayings: String {
        var sayings = ownerSubject == nil ? ["of somebody else"] : []
        for verdict in verdicts {
            var words = ["\(verdict.integration): \(verdict.state.rawValue)"]
            if let score = verdict.score { words.append("score \(score.value)") }
            if let risk = verdict.risk { words.append("risk \(risk.rawValue)") }
            if !verdict.labels.isEmpty { words.append("labels \(ExactText.list(verdict.labels))") }
            words += verdict.checks.map { "\($0.title) \($0.state.rawValue)" }
            if verdict.matchStrength != .strong { words.append("match \(verdict.matchStrength.rawValue)") }
            sayings.append(words.joined(separator: " "))
        }
        if let certificate, let strength = certificate.strength {
            sayings.append("certificate \(strength.rawValue)")
        }
        sayings.append(statement.map { "agent \($0.integration)" } ?? "no agent")
        return sayings.joined(separator: "; ")
    }
}

extension PolicyReach {
    /// For whom the policy is, in its own words; empty where nothing more is asked.
    public var whom: String {
        var parts: [String] = []
        if !anyOf.isEmpty { parts.append(anyOf.joined(separator: ", or ")) }
        parts += allOf
        if !noneOf.isEmpty { parts.append("unless " + noneOf.joined(separator: ", or ")) }
        return parts.joined(separator: "; ")
    }
}
