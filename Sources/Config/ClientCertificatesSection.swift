/// `gateway.listeners[].client-certificates`.
enum ClientCertificatesSection {
    static let table = KeyTable(
        "gateway.listeners[].client-certificates",
        [
            .required(
                "authorities", .file,
                "PEM file with the authorities whose certificates count, intermediate ones too where clients do not "
                    + "send them.", example: "certs/device-ca.pem"),
            .optional(
                "crl", .file,
                "PEM file with the revocation list of every authority of a path; one that is missing or out of date "
                    + "refuses.", standard: "revocation is not asked about", example: "certs/device-ca.crl"),
            .optional(
                "mode", .choice(["optional", "required"]),
                "`required` ends the handshake of a client without a certificate; one that does not hold ends it "
                    + "always.", standard: "`optional`", example: "required"),
        ])

    static func read(_ listener: SectionReader) -> ClientCertificateSettings? {
        guard let node = listener.node("client-certificates"),
            let reader = SectionReader(
                node, table, path: listener.key("client-certificates"), listener.context)
        else { return nil }
        let files = NamedFiles(reader: reader)
        let authorities = files.file("authorities", holding: "CERTIFICATE")
        let lists = reader.has("crl") ? files.file("crl", holding: "X509 CRL") : nil
        let mode = reader.choice("mode")
        guard let authorities, lists != nil || !reader.has("crl"), mode != nil || !reader.has("mode") else {
            return nil
        }
        return ClientCertificateSettings(
            authoritiesPEM: authorities, revocationsPEM: lists, isRequired: mode == "required")
    }
}
