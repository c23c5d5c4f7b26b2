import Access

/// `gateway.listeners[].client-certificates`.
enum ClientCertificatesSection {
    static let table = KeyTable(
        "gateway.listeners[].client-certificates",
        [
            .required(
                "authorities", .file,
                "PEM file with the authorities whose certificates count, each by itself: an issuing one needs no root.",
                example: "certs/device-ca.pem"),
            .optional(
                "crl", .file,
                "File with the revocation list of every authority of a path: PEM, or one list in DER, at most "
                    + "8 MiB; read again when it changes. One that is missing or out of date refuses.",
                standard: "revocation is not asked about", example: "certs/device-ca.crl"),
            .optional(
                "mode", .choice(["optional", "required"]),
                "`required` ends the handshake of a client without a certificate; one that does not hold ends it "
                    + "always.", standard: "`optional`", example: "required"),
            .optional(
                "platform", .choice(Platform.allCases.map(\.rawValue)),
                "What devices with such certificates run: device policies are per platform.",
                standard: "not known", example: "windows"),
            .optional(
                "device-suffix", .host,
                "A DNS name of the certificate may have the device's Intune id as first label under this name.",
                standard: "the id stands alone", example: "devices.corp.example"),
            .optional(
                "match-common-name", .flag,
                "A common name is the device's name at its providers, a match of medium strength; see "
                    + "[machines.md](machines.md).", standard: "`false`", example: "true"),
            .optional(
                "device-domain", .host,
                "With `match-common-name`: what may stand behind the device's name, on either side.",
                standard: "names are compared whole", example: "corp.example"),
        ])

    static func read(_ listener: SectionReader) -> ClientCertificateSettings? {
        guard let reader = listener.section("client-certificates", table) else { return nil }
        let files = NamedFiles(reader: reader)
        let authorities = files.file("authorities", holding: "CERTIFICATE")
        let lists = reader.has("crl") ? files.revocationLists("crl") : nil
        let mode = reader.choice("mode")
        let suffix = GatewaySection.host("device-suffix", reader)
        let matchesCommonName = reader.flag("match-common-name") ?? false
        if !matchesCommonName {
            reader.ineffective("device-domain", because: "match-common-name is not set", "remove it")
        }
        let domain = GatewaySection.host("device-domain", reader)
        guard let authorities, lists != nil || !reader.has("crl"), mode != nil || !reader.has("mode") else {
            return nil
        }
        var settings = ClientCertificateSettings(
            authoritiesPEM: authorities, revocations: lists?.bytes, revocationsPath: lists?.path,
            isRequired: mode == "required",
            platform: reader.choice("platform").flatMap(Platform.init(rawValue:)), deviceSuffix: suffix)
        settings.matchesCommonName = matchesCommonName
        settings.deviceDomain = domain
        return settings
    }
}
