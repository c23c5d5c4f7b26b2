/// `gateway.blast-radius`: `off`, or how much may be cut at once by what nobody said.
enum BlastRadiusSection {
    static let table = KeyTable(
        "gateway.blast-radius",
        [
            .optional(
                "share", .percent(0...100),
                "Of the sessions in use, so many may lose something at once; one more and the change is held, "
                    + "when `sessions` is exceeded too.",
                standard: "`20%`", example: "20%"),
            .optional(
                "sessions", .integer(0...1_000_000),
                "So many sessions may lose something, whatever their share.",
                standard: "`10`", example: "10"),
            .optional(
                "window", .duration(1...86_400), "Losses within this time count together.",
                standard: "`5m`", example: "5m"),
            .optional(
                "hold", .duration(60...604_800),
                "A change that nobody released has its effect after this time.",
                standard: "`24h`", example: "24h"),
        ])

    /// - Returns: nil for `off`.
    static func read(_ gateway: SectionReader) -> BlastRadiusSettings? {
        var settings = BlastRadiusSettings()
        guard let node = gateway.node("blast-radius") else { return settings }
        guard case .mapping = node.content else {
            return gateway.choice("blast-radius") == "off" ? nil : settings
        }
        guard let reader = gateway.section("blast-radius", table) else { return settings }
        if let share = reader.percent("share") { settings.sharePercent = Int(share) }
        if let sessions = reader.integer("sessions") { settings.sessions = Int(sessions) }
        if let window = reader.duration("window") { settings.windowSeconds = window }
        if let hold = reader.duration("hold") { settings.holdSeconds = hold }
        return settings
    }
}
