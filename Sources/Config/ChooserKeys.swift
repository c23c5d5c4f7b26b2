/// Keys about choosing one of several identity providers.
enum ChooserKeys {
    static let provider: [KeySpec] = [
        .optional(
            "email-domains", .list(.text),
            "Domains of the addresses that its people have, at most 64: where several providers are "
                + "accepted, who types such an address is brought here. Exactly this domain, none below it. "
                + "Several providers may have the same one; then they are what is chosen from.",
            standard: "none: its people choose by name", example: "[corp.example]")
    ]
    static let application: [KeySpec] = [
        .optional(
            "remembered-provider", .choice(["offer", "use"]),
            "Where several providers are accepted: the one that the browser used last stands first on the "
                + "chooser, or is gone to without a question. After a refusal the next try asks in any case.",
            standard: "`offer`", example: "use")
    ]

    private static let domainsMax = 64

    static func emailDomains(_ reader: SectionReader) -> [String] {
        guard let domains = reader.texts("email-domains") else { return [] }
        if domains.count > domainsMax {
            reader.problem("email-domains", "has more than \(domainsMax) domains", "keep the most used ones")
        }
        for domain in domains {
            if domain.contains("@") {
                reader.problem(
                    "email-domains", "\"\(domain)\" is an address", "write only what stands behind the @")
            } else if let refusal = HostSyntax.nameProblem(domain) {
                reader.problem("email-domains", refusal.problem, refusal.remedy)
            }
        }
        return domains
    }

    static func usesRemembered(_ reader: SectionReader, providers: [String]?) -> Bool {
        if let providers, providers.count < 2 {
            reader.ineffective(
                "remembered-provider", because: "only one provider is accepted, so nobody chooses",
                "remove it")
        }
        return reader.choice("remembered-provider") == "use"
    }

    /// Legal, because a second provider may be on its way; but nobody will ever type an address.
    static func warnOfIdle(
        _ read: [IdentityProviderSettings], _ root: SectionReader, _ apps: [ApplicationsSection.Read]
    ) {
        let chosen = Set(apps.map(\.settings.identityProviders).filter { $0.count > 1 }.joined())
        for provider in read where !provider.emailDomains.isEmpty && !chosen.contains(provider.name) {
            root.context.diagnostics.warn(
                root.place(of: "identity-providers"), "identity-providers.\(provider.name).email-domains",
                "no application accepts it beside another one, so nobody is asked for an address",
                "remove it, or accept several providers in an application")
        }
    }
}
