import Access
import Border
import Config

/// The failed lines of an explanation, as the block page shows them.
struct FailedChecks: Sendable {
    static let countMax = 6

    /// What helps with an integration on the person's platform.
    var links: @Sendable (_ integration: String) -> [ShownLink] = { _ in [] }

    func of(_ record: ExplainRecord) -> [FailedCheck] {
        let failed = record.lines.filter { Self.isFailure($0, record) }
        // First what an administrator wrote for people, then what providers say.
        let lines = failed.filter { $0.integration == nil } + failed.filter { $0.integration != nil }
        let hasOwnChecks = lines.contains { $0.integration != nil }
        var checks: [FailedCheck] = []
        for line in lines where !(hasOwnChecks && line.remedy == DeviceCondition.generalRemedy) {
            guard let remedy = line.remedy, !checks.contains(where: { $0.remedy == remedy }),
                checks.count < Self.countMax
            else { continue }
            // Once, where they are needed first.
            let shown = checks.flatMap(\.links)
            let links = line.integration.map(self.links)?.filter { !shown.contains($0) } ?? []
            checks.append(FailedCheck(title: line.condition, remedy: remedy, links: links))
        }
        return checks
    }

    /// In the device policy that denied, what held is what has to be repaired.
    private static func isFailure(_ line: ExplainLine, _ record: ExplainRecord) -> Bool {
        guard line.outcome == .yes else { return true }
        guard let policy = record.devicePolicy, record.deviceClass == .denied else { return false }
        return line.rule.utf8.starts(with: "\(policy).rules[".utf8)
    }
}

/// A configured way to repair a device, as a page shows it.
struct ShownLink: Sendable, Hashable {
    var text: String
    var url: String
    /// False: the URL is shown as text, because nobody said that people may follow such links.
    var isLink: Bool
}

extension Services {
    /// What helps with an integration on a platform.
    func links(of integration: String, on platform: Platform?) -> [ShownLink] {
        guard let platform else { return [] }
        return (config.remediation[integration]?[platform] ?? []).map { link in
            ShownLink(
                text: link.text, url: link.url, isLink: config.gateway.linkSchemes.contains(link.scheme))
        }
    }
}

extension ControlRequest {
    /// The platform that the browser says it runs on: good for choosing what to show, and for nothing else.
    var browserPlatform: Platform? {
        // RFC 8941 string: in double quotes. Chromium sends it; Firefox and Safari have the User-Agent only.
        let hint = value("sec-ch-ua-platform")?.filter { $0 != "\"" }.lowercased()
        let hints: [String: Platform] = [
            "windows": .windows, "macos": .macos, "linux": .linux, "android": .android, "ios": .ios,
            "chrome os": .chromeos, "chromium os": .chromeos,
        ]
        if let hint, let platform = hints[hint] { return platform }
        let agent = value("user-agent") ?? ""
        // In this order: phones and Chrome OS name other systems, too.
        let words: [(String, Platform)] = [
            ("iPhone", .ios), ("iPad", .ios), ("Android", .android), ("CrOS", .chromeos),
            ("Windows", .windows),
            ("Macintosh", .macos), ("Linux", .linux),
        ]
        return words.first { agent.contains($0.0) }?.1
    }
}
