import Access

/// `applications.<name>.posture`: what the application asks of the handshake that proves a device.
enum PostureKey {
    static let table = KeyTable(
        "applications.<name>.posture",
        [
            .optional(
                "max-age", .durationOrOff(60...86_400),
                "How long a proof counts here; never longer than the integration's `max-age`. `off`: as long as the "
                    + "sign-in, so that an agent that has gone takes nothing away.",
                standard: "`15m`, or the integration's if that is shorter", example: "5m"),
            .optional(
                "modes", .list(.choice(HandshakeMode.allCases.map(\.rawValue))),
                "How devices may prove themselves; `static` only where the integration allows that.",
                standard: "`[x5c, stmt]`", example: "[x5c]"),
            .optional(
                "transports", .list(.choice(HandshakeTransport.allCases.map(\.rawValue))),
                "The ways between browser and agent that count. Without `popup` or `navigation` browsers of the "
                    + "WebKit family cannot prove a device.",
                standard: "all", example: "[fetch, popup]"),
            .optional(
                "minimum-version", .text, "Agents below this version do not count here.", standard: "any",
                example: "\"1.2.0\""),
        ])

    static let keys: [KeySpec] = [
        .optional(
            "posture", .section(table),
            "A device counts here only while its handshake is as fresh and of the kind that this says.",
            standard: "every handshake counts, for `15m`, or the integration's `max-age` if that is shorter",
            example: "{ max-age: 5m, transports: [fetch] }")
    ]
    private static let standardSeconds: Int64 = 900

    /// - Parameters:
    ///   - agent: name and settings of the integration that proves devices here; nil: it has problems of its own.
    ///   - asksForDevice: whether a policy asks for a device.
    static func read(
        _ application: SectionReader, agent: (name: String, settings: EndpointAgentSettings)?,
        asksForDevice: Bool
    ) -> PostureDemand? {
        guard let node = application.node("posture") else {
            guard asksForDevice, let agent else { return nil }
            return .aging(ageSecondsMax: min(standardSeconds, agent.settings.ageSecondsMax))
        }
        if !asksForDevice {
            application.ineffective(
                "posture", because: "no policy asks for a device that an agent proves", "remove it")
        }
        guard
            let reader = SectionReader(
                node, table, path: application.key("posture"), application.context)
        else { return nil }
        var demand = PostureDemand()
        if let modes = choices("modes", reader, HandshakeMode.init(rawValue:)) { demand.modes = modes }
        if let ways = choices("transports", reader, HandshakeTransport.init(rawValue:)) {
            demand.transports = ways
        }
        demand.minimumVersion = EndpointAgentSection.version("minimum-version", reader)
        demand.ageSecondsMax = reader.durationOrOff("max-age", standard: standardSeconds)
        guard let agent else { return demand }
        checkModes(demand.modes, agent.name, offered(by: agent.settings), reader)
        guard let seconds = demand.ageSecondsMax else { return demand }
        let bound = agent.settings.ageSecondsMax
        if reader.has("max-age"), seconds > bound {
            reader.problem(
                "max-age", "has no effect beyond the \(bound)s of integrations.\(agent.name).max-age",
                "write at most that, or raise the integration's")
        }
        demand.ageSecondsMax = min(seconds, bound)
        return demand
    }

    /// How devices can prove themselves to an integration at all.
    private static func offered(by settings: EndpointAgentSettings) -> [HandshakeMode] {
        let modes = settings.modes.compactMap(HandshakeMode.init(rawValue:))
        let isShared = modes.contains(.statement) && settings.statements?.allowsSharedKey == true
        return modes + (isShared ? [.unsafeStatic] : [])
    }

    private static func checkModes(
        _ modes: [HandshakeMode], _ agent: String, _ offered: [HandshakeMode], _ reader: SectionReader
    ) {
        if modes.contains(.unsafeStatic), !offered.contains(.unsafeStatic) {
            reader.problem(
                "modes", "integrations.\(agent) has no key for static",
                "remove static: one key on all devices lets each of them be any other")
        } else if !modes.contains(where: offered.contains) {
            reader.problem(
                "modes", "integrations.\(agent) proves devices by none of them",
                "name one of \(offered.map(\.rawValue).joined(separator: ", "))")
        }
    }

    private static func choices<Value>(
        _ name: String, _ reader: SectionReader, _ value: (String) -> Value?
    ) -> [Value]? {
        guard let texts = reader.texts(name) else { return nil }
        let values = texts.compactMap { reader.choice($0, name).flatMap(value) }
        return values.isEmpty ? nil : values
    }
}
