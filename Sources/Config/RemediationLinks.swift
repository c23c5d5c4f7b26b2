import Access

/// Warns of links, in messages of device policies and in `remediation`, that lead to an application which itself
/// asks for a good device: whoever reads them could not open the page that helps.
enum RemediationLinks {
    static func warn(_ policies: [DevicePolicy], _ root: SectionReader, _ apps: [ApplicationsSection.Read]) {
        for policy in policies where policy.message != nil {
            for link in links(in: policy.message ?? "") {
                guard let app = closed(link, apps) else { continue }
                root.context.diagnostics.warn(
                    root.place(of: "device-policies"), "device-policies",
                    "the message of \(policy.name) links to \(link.host)\(link.path), which application "
                        + "\(app.settings.name) shows to good devices only",
                    "add a policy for that path without a condition on the device")
            }
        }
    }

    static func warn(
        _ remediation: [String: [Platform: [RemediationLink]]], _ root: SectionReader,
        _ apps: [ApplicationsSection.Read]
    ) {
        for (name, platforms) in remediation.sorted(by: { $0.key < $1.key }) {
            for (platform, shown) in platforms.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
                for own in shown.flatMap({ links(in: $0.url) }) {
                    guard let app = closed(own, apps) else { continue }
                    root.context.diagnostics.warn(
                        root.place(of: "integrations"),
                        "integrations.\(name).remediation.\(platform.rawValue)",
                        "links to \(own.host)\(own.path), which application \(app.settings.name) shows to "
                            + "good devices only",
                        "add a policy for that path without a condition on the device")
                }
            }
        }
    }

    /// The application that keeps everybody without a good device from this page.
    private static func closed(
        _ link: (host: String, path: String), _ apps: [ApplicationsSection.Read]
    ) -> ApplicationsSection.Read? {
        guard let app = apps.first(where: { $0.settings.host == link.host }),
            !app.decisions.policies.contains(where: { opens($0, link.path) })
        else { return nil }
        return app
    }

    /// Whether the policy may let in somebody without a good device.
    private static func opens(_ policy: ApplicationPolicy, _ path: String) -> Bool {
        guard policy.action == .allow || policy.action == .bypass else { return false }
        if policy.require.contains(where: { $0.subjects.contains(.device) || misses($0, path) }) {
            return false
        }
        if let below = policy.restriction?.pathPrefixes,
            !PathCondition(prefixes: below, exact: []).holds(path)
        {
            return false
        }
        return policy.include.contains { !$0.subjects.contains(.device) && !misses($0, path) }
    }

    private static func misses(_ condition: Condition, _ path: String) -> Bool {
        if case .path(let asked) = condition { !asked.holds(path) } else { false }
    }

    /// `https://host/path` in a sentence, without query and without the sentence's own punctuation.
    private static func links(in message: String) -> [(host: String, path: String)] {
        message.split(separator: " ").compactMap { word in
            guard let start = word.firstRange(of: "https://") else { return nil }
            var rest = word[start.upperBound...].prefix { $0 != "?" && $0 != "#" }
            while let last = rest.last, ".,;)!\"'".contains(last) { rest = rest.dropLast() }
            let host = rest.prefix { $0 != "/" && $0 != ":" }.lowercased()
            let path = rest.firstIndex(of: "/").map { String(rest[$0...]) } ?? "/"
            return host.isEmpty
                ? nil : (host, path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path)
        }
    }
}

extension PathCondition {
    /// Whether the path is one of these, by whole segments.
    func holds(_ path: String) -> Bool {
        exact.contains(path)
            || prefixes.contains { $0 == "/" || path == $0 || path.hasPrefix($0 + "/") }
    }
}
