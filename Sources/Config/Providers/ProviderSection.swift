import Access

/// `integrations.<name>` of a posture provider, read by its kind.
struct ProviderSection {
    var kind: ProviderKind
    var reader: SectionReader

    func read() -> ProviderSettings? {
        kind.check(reader)
        let allowsPlain = reader.flag("unsafe-allow-http") ?? false
        let urls = kind.urls.map { key -> (name: String, url: PlainHTTPRule.Checked?) in
            (key.name, base(key, allowsPlain))
        }
        PlainHTTPRule.refuseUseless(reader, urls: urls.filter { isSet($0.name) }.map(\.url))
        var settings = ProviderSettings(provider: kind.name)
        settings.allowsPlainHTTP = allowsPlain
        var isComplete = true
        for (name, url) in urls {
            if let url { settings.texts[name] = url.text } else { isComplete = isComplete && !isSet(name) }
        }
        for key in kind.keys where !urls.contains(where: { $0.name == key.name }) {
            isComplete = read(key, into: &settings) && isComplete
        }
        readPace(into: &settings, isLoopback: isLoopback(urls.compactMap(\.url)))
        readTimeouts(into: &settings)
        if reader.has("authorities") {
            settings.authoritiesPEM = NamedFiles(reader: reader).file("authorities", holding: "CERTIFICATE")
            isComplete = isComplete && settings.authoritiesPEM != nil
        }
        return isComplete ? settings : nil
    }

    private func isSet(_ name: String) -> Bool {
        reader.has(name) || kind.urls.contains { $0.name == name && $0.standard != nil }
    }

    private func isLoopback(_ urls: [PlainHTTPRule.Checked]) -> Bool {
        !urls.isEmpty && urls.allSatisfy { HostSyntax.isLoopback($0.url.host) }
    }

    /// - Returns: false when the key is required or there, and could not be read (reported).
    private func read(_ key: KeySpec, into settings: inout ProviderSettings) -> Bool {
        guard reader.has(key.name) else { return !key.isRequired }
        switch key.shape {
        case .secret:
            settings.secrets[key.name] = NamedFiles(reader: reader).secret(key.name)
            return settings.secrets[key.name] != nil
        case .section(let table): return readPair(key, table, into: &settings)
        case .list: settings.lists[key.name] = reader.texts(key.name)
        case .choice: settings.texts[key.name] = reader.choice(key.name)
        case .flag: settings.texts[key.name] = reader.flag(key.name).map { $0 ? "true" : "false" }
        case .integer: settings.texts[key.name] = reader.integer(key.name).map(String.init)
        case .duration: settings.texts[key.name] = reader.duration(key.name).map(String.init)
        case .file:
            settings.files[key.name] = NamedFiles(reader: reader).file(key.name, holding: "CERTIFICATE")
            return settings.files[key.name] != nil
        case _: settings.texts[key.name] = reader.text(key.name)
        }
        return settings.texts[key.name] != nil || settings.lists[key.name] != nil
    }

    /// A nested certificate and its key, as `<key>.<file>` and `<key>.<secret>`.
    private func readPair(_ key: KeySpec, _ table: KeyTable, into settings: inout ProviderSettings) -> Bool {
        guard let inner = reader.section(key.name, table) else { return false }
        let files = NamedFiles(reader: inner)
        for spec in table.keys {
            let name = "\(key.name).\(spec.name)"
            switch spec.shape {
            case .file: settings.files[name] = files.file(spec.name, holding: "CERTIFICATE")
            case .secret: settings.secrets[name] = files.secret(spec.name, holding: "PRIVATE KEY")
            case _: settings.texts[name] = inner.text(spec.name)
            }
            guard settings.files[name] != nil || settings.secrets[name] != nil || settings.texts[name] != nil
            else { return false }
        }
        return true
    }

    private func base(_ key: ProviderKind.URLKey, _ allowsPlain: Bool) -> PlainHTTPRule.Checked? {
        guard
            let checked = PlainHTTPRule.url(key.name, reader, allowed: allowsPlain, standard: key.standard)
        else { return nil }
        guard checked.url.path.hasSuffix("/") else { return checked }
        reader.problem(key.name, "ends with a slash", "write \(checked.text.dropLast())")
        return nil
    }

    private func readPace(into settings: inout ProviderSettings, isLoopback: Bool) {
        let refresh = reader.duration("refresh") ?? kind.pace.refresh
        if refresh < kind.pace.refreshMin, !isLoopback {
            let least = Quantity.durationText(kind.pace.refreshMin)
            reader.problem(
                "refresh", "is below \(least); the provider would throttle it", "use \(least) to 1d")
        }
        let ttl = reader.duration("ttl") ?? max(kind.pace.ttl, 2 * refresh)
        if ttl < refresh {
            reader.problem(
                "ttl", "is shorter than refresh", "use at least \(Quantity.durationText(refresh))")
        }
        settings.refreshSeconds = refresh
        settings.ttlSeconds = ttl
        settings.deviceAgeSecondsMax = reader.duration("max-device-age") ?? kind.pace.deviceAge
    }

    private func readTimeouts(into settings: inout ProviderSettings) {
        settings.callSecondsMax = reader.duration("timeout") ?? settings.callSecondsMax
        for (key, path) in [
            ("connect-timeout", \ProviderSettings.connectSecondsMax),
            ("first-byte-timeout", \ProviderSettings.firstByteSecondsMax),
        ] {
            let standard = min(settings[keyPath: path], settings.callSecondsMax)
            settings[keyPath: path] = reader.duration(key) ?? standard
            if settings[keyPath: path] > settings.callSecondsMax {
                reader.problem(
                    key, "is longer than timeout, which bounds the whole call",
                    "use at most \(Quantity.durationText(settings.callSecondsMax))")
            }
        }
    }
}
