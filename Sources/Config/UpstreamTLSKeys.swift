/// `applications.<name>.upstreams.tls`.
enum UpstreamTLSKeys {
    static let table = KeyTable(
        "applications.<name>.upstreams.tls",
        [
            .optional(
                "authorities", .file, "PEM file with the only authorities trusted.", standard: "the system's",
                example: "certs/inside-ca.pem"),
            .optional(
                "server-name", .text, "The name, or the address, that certificates must carry.",
                standard: "the host of the URL", example: "wiki.inside.example"),
            .optional(
                "certificate", .file, "PEM file with the certificate that the gateway shows, and its chain.",
                standard: "none", example: "certs/gateway.pem"),
            .optional(
                "key", .privateFile, "PEM file with the key of `certificate`.", standard: "none",
                example: "certs/gateway.key"),
            .optional(
                "unsafe-no-verification", .flag,
                "Any certificate will do: whoever stands in the way reads and changes everything.",
                standard: "`false`", example: "true"),
        ])

    static func read(_ upstreams: SectionReader) -> UpstreamTLSSettings {
        var tls = UpstreamTLSSettings()
        guard let reader = upstreams.section("tls", table) else { return tls }
        let files = NamedFiles(reader: reader)
        tls.authoritiesPEM = files.file("authorities", holding: "CERTIFICATE")
        tls.serverName = reader.text("server-name").flatMap { name(lowercased: $0, reader) }
        tls.isUnverified = reader.flag("unsafe-no-verification") ?? false
        if tls.isUnverified {
            reader.ineffective("authorities", because: "certificates are not verified", "remove one of them")
        }
        guard reader.has("certificate") == reader.has("key") else {
            let (there, missing) = reader.has("key") ? ("key", "certificate") : ("certificate", "key")
            reader.problem(there, "is of no use without \(missing)", "add \(missing), or remove it")
            return tls
        }
        tls.chainPEM = files.file("certificate", holding: "CERTIFICATE")
        tls.key = files.privateFile("key", holding: "PRIVATE KEY")
        return tls
    }

    private static func name(lowercased text: String, _ reader: SectionReader) -> String? {
        guard HostSyntax.address(text) == nil, let problem = HostSyntax.nameProblem(text) else { return text }
        reader.problem("server-name", problem.problem, problem.remedy)
        return nil
    }
}
