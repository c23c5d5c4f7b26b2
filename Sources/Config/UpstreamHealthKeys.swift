/// `applications.<name>.upstreams.health` and `.ejection`: which endpoints are left out.
enum UpstreamHealthKeys {
    static let health = KeyTable(
        "applications.<name>.upstreams.health",
        [
            .required(
                "path", .text, "What is asked for with GET; the `Host` is the application's.",
                example: "/healthz"),
            .optional(
                "interval", .duration(1...3_600), "Between two checks of an endpoint, a tenth more or less.",
                standard: "`10s`", example: "5s"),
            .optional(
                "timeout", .duration(1...60), "For a check, from the connection on.", standard: "`2s`",
                example: "1s"),
            .optional(
                "status", .oneOrMore(.integer(200...599)), "What a healthy endpoint answers.",
                standard: "200 to 299", example: "[200, 204]"),
            .optional(
                "healthy", .integer(1...10),
                "So many good answers one behind the other make it healthy again.",
                standard: "`2`", example: "1"),
            .optional(
                "unhealthy", .integer(1...10),
                "So many failures one behind the other make it unhealthy; the first check of all counts alone.",
                standard: "`3`", example: "2"),
        ])

    static let ejection = KeyTable(
        "applications.<name>.upstreams.ejection",
        [
            .optional(
                "failures", .integer(1...100),
                "So many failures one behind the other: connections that end without an answer, answers that do not "
                    + "come in time or break HTTP.",
                standard: "`5`", example: "3"),
            .optional(
                "error-share", .percent(1...100),
                "This share of answers of 500 and above within ten seconds, of at least twenty.",
                standard: "none: they are the application's answers", example: "50%"),
            .optional(
                "time", .duration(1...3_600),
                "How long the first time; twice as long each time that it fails again soon.",
                standard: "`2s`", example: "10s"),
            .optional(
                "time-max", .duration(1...86_400), "The longest.",
                standard: "`1m`, or `time` when that is more",
                example: "5m"),
        ])

    static func readHealth(_ upstreams: SectionReader) -> UpstreamHealthSettings? {
        guard let reader = upstreams.section("health", health),
            let path = reader.text("path")
        else { return nil }
        // It becomes a request line: no blank, no fragment, nothing beyond ASCII.
        guard path.hasPrefix("/"), path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x23 }) else {
            reader.problem(
                "path", "\"\(path)\" is no path that can be asked for", "write for example /healthz")
            return nil
        }
        var settings = UpstreamHealthSettings(path: path)
        settings.intervalSeconds = reader.duration("interval") ?? settings.intervalSeconds
        settings.timeoutSeconds = reader.duration("timeout") ?? settings.timeoutSeconds
        settings.healthyAfter = reader.integer("healthy").map { Int($0) } ?? settings.healthyAfter
        settings.unhealthyAfter = reader.integer("unhealthy").map { Int($0) } ?? settings.unhealthyAfter
        settings.statuses = (reader.items("status") ?? []).enumerated().compactMap { index, item in
            status(item, "status[\(index)]", reader)
        }
        return settings
    }

    private static func status(_ item: ConfigNode, _ name: String, _ reader: SectionReader) -> Int? {
        guard let text = reader.scalar(item, name)?.text else { return nil }
        do {
            return Int(try Quantity.integer(text, in: 200...599))
        } catch {
            reader.problem(name, at: item.place, error.problem, error.remedy)
            return nil
        }
    }

    static func readEjection(_ upstreams: SectionReader) -> UpstreamEjectionSettings? {
        var settings = UpstreamEjectionSettings()
        guard let node = upstreams.node("ejection") else { return settings }
        guard case .mapping = node.content else {
            return upstreams.choice("ejection") == "off" ? nil : settings
        }
        guard let reader = upstreams.section("ejection", ejection) else { return settings }
        settings.failures = reader.integer("failures").map { Int($0) } ?? settings.failures
        settings.errorPercent = reader.percent("error-share").map { Int($0) }
        settings.seconds = reader.duration("time") ?? settings.seconds
        let longest = reader.duration("time-max")
        if let longest, longest < settings.seconds {
            reader.problem("time-max", "is shorter than time", "make it longer, or remove it")
        }
        settings.secondsMax = longest ?? max(settings.secondsMax, settings.seconds)
        return settings
    }
}
