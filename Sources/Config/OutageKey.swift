import Access

/// `applications.<name>.outage`: a word, or how long the last verdict counts.
enum OutageKey {
    static let table = KeyTable(
        "applications.<name>.outage",
        [
            .required(
                "unsafe-last-verdict", .duration(60...OutageSetting.secondsMax),
                "An expired verdict still counts for this long, but never one of a device that any provider "
                    + "calls non-compliant.",
                example: "24h")
        ])

    static func read(_ application: SectionReader) -> OutageSetting? {
        guard let node = application.node("outage") else { return nil }
        if case .mapping = node.content {
            return application.section("outage", table)
                .flatMap { $0.duration("unsafe-last-verdict") }.map { .unsafeLastVerdict(seconds: $0) }
        }
        return application.choice("outage").map { $0 == "partial" ? .partial : .failClosed }
    }
}
