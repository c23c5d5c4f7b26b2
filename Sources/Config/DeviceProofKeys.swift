import Access

/// How devices are proven: `applications.<name>.device-proofs`, and the condition `device-proof`.
enum DeviceProofKeys {
    private static let words = DeviceProofKind.allCases.map(\.rawValue)

    static let application: [KeySpec] = [
        .optional(
            "device-proofs", .oneOrMore(.choice(words)),
            "How a person's device may be proven here: by the local agent, or by the client certificate of the "
                + "connection; see [client-certificates.md](client-certificates.md).",
            standard: "`agent`", example: "[agent, certificate]")
    ]
    static let conditions: [KeySpec] = [
        ConditionSection.optional(
            "device-proof", .section(table), "The device is proven in one of these ways.",
            "{ by: certificate, minimum: strong }")
    ]
    static let table = KeyTable(
        "applications.<name>.policies[].include[].device-proof",
        [
            .required("by", .oneOrMore(.choice(words)), "Any of them will do.", example: "certificate"),
            .optional(
                "minimum", .choice([Verdict.Strength.medium, .strong].map(\.rawValue)),
                "How surely a certificate has to name the device: `strong` by its id, `medium` by its name too.",
                standard: "`medium`", example: "strong"),
        ])

    /// - Parameter asksForDevice: whether a policy asks for a device.
    static func proofs(_ application: SectionReader, asksForDevice: Bool) -> [DeviceProofKind] {
        if !asksForDevice {
            application.ineffective("device-proofs", because: "no policy asks for a device", "remove it")
        }
        let read = ConditionSection.checked(application.texts("device-proofs")) { text in
            application.choice(text, "device-proofs").flatMap(DeviceProofKind.init(rawValue:))
        }
        // In one order, so that the same choice written otherwise is the same policy.
        let proofs = DeviceProofKind.allCases.filter { read?.contains($0) ?? false }
        guard !proofs.isEmpty else { return [.agent] }
        if asksForDevice, !proofs.contains(.agent) {
            application.ineffective("agent", because: "device-proofs does not name it", "remove it")
        }
        return proofs
    }

    static func condition(_ reader: SectionReader) -> Condition? {
        guard let node = reader.node("device-proof"),
            let inner = SectionReader(node, table, path: reader.key("device-proof"), reader.context)
        else { return nil }
        let read = ConditionSection.checked(inner.texts("by")) { text in
            inner.choice(text, "by").flatMap(DeviceProofKind.init(rawValue:))
        }
        let strength = inner.choice("minimum").flatMap(Verdict.Strength.init(rawValue:))
        guard let read, !read.isEmpty, strength != nil || !inner.has("minimum") else { return nil }
        let proofs = DeviceProofKind.allCases.filter(read.contains)
        if !proofs.contains(.certificate) {
            inner.ineffective("minimum", because: "by does not name certificate", "remove it")
        }
        return .deviceProof(DeviceProofCondition(proofs: proofs, minimum: strength ?? .medium))
    }

    /// A condition on a proof that does not count at the application never holds there.
    static func check(_ application: Application, _ reader: SectionReader) {
        for proof in application.askedProofs where !application.accepts(proof) {
            reader.problem(
                "device-proofs",
                "a device-proof condition asks for \(proof.rawValue), which proves no device here",
                "add \(proof.rawValue) to device-proofs, or take it out of the condition")
        }
    }
}

extension Application {
    /// What conditions ask of the device's proof, each once.
    fileprivate var askedProofs: [DeviceProofKind] {
        func asked(_ condition: Condition) -> [DeviceProofKind] {
            switch condition {
            case .deviceProof(let condition): condition.proofs
            case .meets(let group): (group.include + group.require + group.exclude).flatMap(asked)
            case _: []
            }
        }
        let all = policies.flatMap { ($0.include + $0.require + $0.exclude).flatMap(asked) }
        return DeviceProofKind.allCases.filter(all.contains)
    }
}
