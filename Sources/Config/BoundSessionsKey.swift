import Access

/// `applications.<name>.bound-sessions` and `bound-lifetime`: sessions that are bound to a key of the browser.
enum BoundSessionsKey {
    static let keys: [KeySpec] = [
        .optional(
            "bound-sessions", .choice(["offer", "off"]),
            "Whether browsers are offered to bind their session to a key that never leaves the computer (Device Bound "
                + "Session Credentials). Those that cannot keep an ordinary session.",
            standard: "`offer` when a policy asks `key-bound`, else `off`", example: "offer"),
        .optional(
            "bound-lifetime", .duration(300...3_600),
            "How long the cookie of a bound session lasts; then the browser proves its key for the next one.",
            standard: "`10m`", example: "10m"),
    ]
    private static let standardSeconds: Int64 = 600

    /// - Returns: the cookie's lifetime; nil: nothing is offered.
    static func read(_ reader: SectionReader, _ policies: [ApplicationPolicy]) -> Int64? {
        let asks = policies.contains { ($0.include + $0.require + $0.exclude).contains(where: \.isAboutKey) }
        let choice = reader.choice("bound-sessions")
        let isOffered = choice.map { $0 == "offer" } ?? asks
        let seconds = reader.duration("bound-lifetime")
        if !isOffered {
            reader.ineffective("bound-lifetime", because: "no session is bound here", "remove it")
            if asks, choice != nil {
                reader.problem(
                    "bound-sessions", "is off, but a policy asks key-bound, which never holds then",
                    "write offer, or remove the condition")
            }
        }
        return isOffered ? seconds ?? standardSeconds : nil
    }
}
