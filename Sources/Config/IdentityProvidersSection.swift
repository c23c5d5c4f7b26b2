/// `identity-providers.<name>`: who signs people in.
enum IdentityProvidersSection {
    static let table = KeyTable(
        "identity-providers.<name>",
        [
            .required(
                "issuer", .url, "The provider's issuer, byte for byte as in its tokens.",
                example: "https://login.corp.example/realms/corp"),
            TenantKeys.tenants,
            .required("client-id", .text, "Our client id at the provider.", example: "gatepost"),
            ClientAuthenticationKeys.secret,
            .optional(
                "display-name", .text,
                "What people read when they may choose; unique, at most 64 characters.",
                standard: "the name", example: "\"Corp (managed devices)\""),
            .optional(
                "scopes", .list(.text), "Scopes to ask for; with `openid`.",
                standard: "`[openid, profile, email]`", example: "[openid, email, groups]"),
            .optional(
                "authorities", .file, "PEM file with the only authorities trusted for this provider.",
                standard: "the system's", example: "certs/corp-ca.pem"),
            .optional(
                "unsafe-allow-http", .flag, "Accepts an `http://` issuer, on loopback only.",
                standard: "`false`", example: "true"),
        ] + ClientAuthenticationKeys.further + ChooserKeys.provider + SignInKeys.provider
            + FurtherClaimsKeys.keys)

    static func read(_ root: SectionReader) -> [IdentityProviderSettings] {
        var providers: [IdentityProviderSettings] = []
        var displayNames: [String: String] = [:]
        let entries = RootSection.named(root, "identity-providers", offering: "corp: { issuer: … }")
        for entry in entries {
            let path = "identity-providers.\(entry.name)"
            guard let reader = SectionReader(entry.value, table, path: path, root.context) else { continue }
            let shown = displayName(reader) ?? entry.name
            if let other = displayNames[shown.lowercased()] {
                reader.problem(
                    "display-name", "\"\(shown)\" is also what \(other) is called", "choose another")
            }
            displayNames[shown.lowercased()] = entry.name
            if let provider = read(reader, entry.name, shown) { providers.append(provider) }
        }
        return providers
    }

    private static func read(_ reader: SectionReader, _ name: String, _ shown: String)
        -> IdentityProviderSettings?
    {
        let allowsPlain = reader.flag("unsafe-allow-http") ?? false
        let issuer = PlainHTTPRule.url("issuer", reader, allowed: allowsPlain)
        let clientID = reader.text("client-id")
        let files = NamedFiles(reader: reader)
        let authentication = ClientAuthenticationKeys.read(reader)
        let further = FurtherClaimsKeys.read(reader, allowsPlain: allowsPlain)
        if further?.graphURL?.hasPrefix("http://") != true {
            PlainHTTPRule.refuseUseless(reader, urls: [issuer])
        }
        let authorities = files.file("authorities", holding: "CERTIFICATE")
        let scopes = scopes(reader)
        var signIn = SignInKeys.read(reader)
        signIn.sessionSeconds = reader.duration("session")
        let emailDomains = ChooserKeys.emailDomains(reader)
        let refresh = reader.durationOrOff("refresh", standard: SignInKeys.refreshSeconds)
        let tenants = TenantKeys.read(reader, issuer: issuer?.text)
        let grace = reader.duration("refresh-grace")
        if refresh == nil {
            reader.ineffective("refresh-grace", because: "refresh is off", "remove it, or refresh sign-ins")
        }
        let asksForACRS = reader.choice("step-up") == "acrs"
        guard let issuer, let clientID, let authentication, let further, let scopes, let tenants else {
            return nil
        }
        var settings = IdentityProviderSettings(
            name: name, displayName: shown, issuer: issuer.text, clientID: clientID,
            authentication: authentication, scopes: scopes,
            authoritiesPEM: reader.has("authorities") ? authorities : nil, allowsPlainHTTP: allowsPlain,
            signIn: signIn, asksForACRS: asksForACRS, emailDomains: emailDomains, further: further)
        settings.tenants = tenants
        settings.refreshSeconds = refresh
        settings.refreshGraceSeconds = grace ?? SignInKeys.refreshGraceSeconds
        return settings
    }

    private static func displayName(_ reader: SectionReader) -> String? {
        guard let text = reader.text("display-name") else { return nil }
        if text.count <= 64 { return text }
        reader.problem("display-name", "is longer than 64 characters", "shorten it")
        return nil
    }

    private static func scopes(_ reader: SectionReader) -> [String]? {
        guard reader.has("scopes") else { return ["openid", "profile", "email"] }
        guard let scopes = reader.texts("scopes") else { return nil }
        SignInKeys.checkScopes(scopes, reader)
        if !scopes.contains("openid") {
            reader.problem(
                "scopes", "openid is not among them", "add openid; without it there is no id token")
        }
        return scopes
    }
}

/// Where plain HTTP may be used: nowhere, but on loopback for those who say `unsafe`.
enum PlainHTTPRule {
    struct Checked {
        var text: String
        var url: PlainURL
    }

    static func url(_ name: String, _ reader: SectionReader, allowed: Bool, standard: String? = nil)
        -> Checked?
    {
        let text = reader.has(name) ? reader.text(name) : standard
        guard let text else { return nil }
        let url: PlainURL
        do { url = try PlainURL(text) } catch {
            reader.problem(name, error.problem, error.remedy)
            return nil
        }
        guard !url.isTLS else { return Checked(text: text, url: url) }
        guard HostSyntax.isLoopback(url.host) else {
            reader.problem(name, "plain HTTP to \(url.host), which is not loopback", "use https://")
            return nil
        }
        guard allowed else {
            reader.problem(
                name, "plain HTTP", "use https://, or for tests on loopback set unsafe-allow-http: true")
            return nil
        }
        return Checked(text: text, url: url)
    }

    static func refuseUseless(_ reader: SectionReader, urls: [Checked?]) {
        // Only when every URL could be read: otherwise the key may have been written for the broken one.
        guard urls.allSatisfy({ $0?.url.isTLS == true }) else { return }
        reader.ineffective("unsafe-allow-http", because: "no URL here is plain HTTP", "remove it")
    }
}
