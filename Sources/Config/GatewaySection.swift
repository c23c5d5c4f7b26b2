import Foundation

/// `gateway`: what concerns the whole process.
enum GatewaySection {
    static let table = KeyTable(
        "gateway",
        [
            .required(
                "auth-host", .host, "The host that talks to identity providers and to the local agent.",
                example: "auth.corp.example"),
            .optional(
                "public-port", .integer(1...65_535),
                "The port in people's URLs, when something in front maps it.",
                standard: "the first listener's port", example: "443"),
            .required(
                "listeners", .list(.section(ListenerSection.table)), "The bound addresses, 1,024 at most.",
                example: "[ { address: \"0.0.0.0:443\", certificates: [ … ] } ]"),
            .optional(
                "workers", .integer(1...256), "Number of reactors.", standard: "one per core", example: "4"),
            .optional(
                "processes", .choice(["one", "two"]),
                "`two`: what faces the network and what holds secrets and store are processes of their own; "
                    + "either starts again while the other goes on. `one`: a single process, for laptops.",
                standard: "`two`", example: "two"),
            .optional(
                "user", .text, "The user that both processes become after the ports are bound.",
                standard: "the one who starts the gateway", example: "gatepost"),
            .optional(
                "reload-on-change", .choice(["on", "off"]),
                "`on`: the configuration is read again when its files change, certificates and secrets included. "
                    + "`off`: only when it is told (`gatepost reload`, SIGHUP).",
                standard: "`off`", example: "on"),
            .optional(
                "access-log", .choice(["json", "off"]), "JSON lines on standard output, or nothing.",
                standard: "`json`", example: "json"),
            .required(
                "store", .text, "Where durable state lives: `sqlite:` and a folder.",
                example: "sqlite:/var/lib/gatepost"),
            .optional(
                "keys-folder", .text, "Folder of the key ring; made with mode 0700 at the first start.",
                standard: "`keys` in the store's folder", example: "/var/lib/gatepost/keys"),
            .optional(
                "admin-socket", .text, "Unix socket that the command line talks to.",
                standard: "`gatepost.sock` in the store's folder", example: "/run/gatepost/gatepost.sock"),
            .optional(
                "decision-log", .text,
                "Folder of the decision log, made with mode 0700, or `off`: see docs/decisions.md.",
                standard: "`decisions` in the store's folder", example: "/var/log/gatepost/decisions"),
            .optional(
                "decision-log-bytes", .size(16 << 20...1 << 40),
                "Bytes of the decision log's files together; the oldest are removed.",
                standard: "`1024MiB`", example: "4096MiB"),
            .optional(
                "decision-log-age", .duration(3_600...315_360_000),
                "Files of the decision log that are older than this are removed.", standard: "`30d`",
                example: "90d"),
            .optional(
                "decision-webhook", .section(DecisionWebhookSection.table),
                "Who gets the decision log's lines, without what they say of persons, as they are written.",
                standard: "nobody", example: "{ url: \"https://siem.corp.example/gatepost\" }"),
            .optional(
                "shadow-policy", .text,
                "A candidate configuration, a file or a folder: its policies are decided beside the live ones, "
                    + "counted and logged, without effect.",
                standard: "none", example: "/etc/gatepost/candidate.yaml"),
            .optional(
                "link-schemes", .list(.text),
                "Schemes of `remediation` URLs that pages show as links; others are shown as text.",
                standard: "`[https]`", example: "[https, wsonehub]"),
            .optional(
                "limits", .section(LimitsSection.table), "Bounds and deadlines of the data plane.",
                standard: "the defaults below", example: "{ idle: 60s }"),
            .optional(
                "blast-radius", .alternative(["off"], BlastRadiusSection.table),
                "How much silence of a provider or a reload may cut at once; beyond it the change is held "
                    + "(`gatepost held`). `off` cuts everything.",
                standard: "the defaults below", example: "{ share: 10%, hold: 8h }"),
        ])

    static func read(_ reader: SectionReader) -> GatewaySettings? {
        let authHost = host("auth-host", reader)
        let listeners = ListenerSection.read(reader)
        let publicPort = reader.integer("public-port").map { UInt16($0) } ?? listeners?.first?.port
        let workers = reader.integer("workers").map { Int($0) }
        let accessLog = reader.choice("access-log") ?? "json"
        let limits = reader.section("limits", LimitsSection.table)
        let limitSettings = limits.map(LimitsSection.read) ?? LimitSettings()
        let blastRadius = BlastRadiusSection.read(reader)
        let schemes = linkSchemes(reader)
        let store = storeFolder(reader)
        let keys = folder("keys-folder", reader)
        let socket = socketPath(reader, store: store)
        guard let authHost, let listeners, let publicPort, let store, let socket else { return nil }
        var settings = GatewaySettings(
            authHost: authHost, publicPort: publicPort, listeners: listeners, workers: workers,
            accessLog: accessLog == "json", storeFolder: store, keysFolder: keys ?? "\(store)/keys",
            adminSocket: socket, linkSchemes: schemes, limits: limitSettings, blastRadius: blastRadius,
            decisionLog: decisionLog(reader, store: store), shadowPolicy: folder("shadow-policy", reader))
        settings.decisionWebhook = DecisionWebhookSection.read(
            reader, hasLog: settings.decisionLog != nil)
        settings.hasTwoProcesses = reader.choice("processes") != "one"
        settings.user = reader.text("user")
        settings.reloadsOnChange = reader.choice("reload-on-change") == "on"
        if settings.user != nil, !settings.hasTwoProcesses {
            reader.problem("user", "has no effect with processes: one", "remove one of the two")
        }
        return settings
    }

    private static func decisionLog(_ reader: SectionReader, store: String) -> DecisionLogSettings? {
        let bytes = reader.size("decision-log-bytes")
        let age = reader.duration("decision-log-age")
        if reader.text("decision-log") == "off" {
            for name in ["decision-log-bytes", "decision-log-age"] where reader.has(name) {
                reader.problem(name, "has no effect while decision-log is off", "remove it")
            }
            return nil
        }
        return DecisionLogSettings(
            folder: folder("decision-log", reader) ?? "\(store)/decisions", bytesMax: bytes ?? 1 << 30,
            ageSecondsMax: age ?? 30 * 86_400)
    }

    private static func linkSchemes(_ reader: SectionReader) -> [String] {
        guard reader.has("link-schemes") else { return LinkScheme.standard }
        let schemes = reader.texts("link-schemes") ?? []
        for scheme in schemes {
            guard let refusal = LinkScheme.problem(scheme) else { continue }
            reader.problem("link-schemes", refusal.problem, refusal.remedy)
        }
        return schemes
    }

    /// A host name of ours: what clients write into the Host field, without the port.
    static func host(_ name: String, _ reader: SectionReader) -> String? {
        guard let text = reader.text(name) else { return nil }
        guard let refusal = HostSyntax.nameProblem(text) else { return text }
        reader.problem(name, refusal.problem, refusal.remedy)
        return nil
    }

    private static func storeFolder(_ reader: SectionReader) -> String? {
        guard let text = reader.text("store") else { return nil }
        let remedy = "write sqlite: and a folder, for example sqlite:/var/lib/gatepost"
        if text.hasPrefix("postgresql:") || text.hasPrefix("postgres:") {
            reader.problem("store", "PostgreSQL is not available in this version", remedy)
            return nil
        }
        guard text.hasPrefix("sqlite:"), text.utf8.count > 7 else {
            reader.problem("store", "\"\(text)\" names no store that is known", remedy)
            return nil
        }
        let folder = String(text.dropFirst(7))
        if folder.hasPrefix("//") {
            reader.problem(
                "store", "\"\(text)\" is written like a URL", "write sqlite:/folder with one slash")
            return nil
        }
        return NamedFiles(reader: reader).path(folder, reader.place(of: "store"))
    }

    private static func folder(_ name: String, _ reader: SectionReader) -> String? {
        reader.text(name).map { NamedFiles(reader: reader).path($0, reader.place(of: name)) }
    }

    private static func socketPath(_ reader: SectionReader, store: String?) -> String? {
        guard let path = folder("admin-socket", reader) ?? store.map({ "\($0)/gatepost.sock" }) else {
            return nil
        }
        // sockaddr_un.sun_path has 108 bytes with the final zero (unix(7)).
        guard path.utf8.count > 107 else { return path }
        reader.problem(
            "admin-socket", "the socket's path has \(path.utf8.count) bytes; the system allows 107",
            "set admin-socket to a shorter path")
        return nil
    }
}

/// `gateway.listeners[]`.
enum ListenerSection {
    static let table = KeyTable(
        "gateway.listeners[]",
        [
            .required(
                "address", .text,
                "Numeric address and port; IPv6 in brackets. Port 0 takes a free one, on loopback.",
                example: "\"0.0.0.0:443\""),
            .required(
                "certificates", .list(.section(certificateTable)),
                "Chosen by the name that the client asks for; the first is the default.",
                example: "[ { chain: certs/corp.pem, key: certs/corp.key } ]"),
            .optional(
                "client-certificates", .section(ClientCertificatesSection.table),
                "Asks clients for a certificate, at the hosts of applications whose policies look at one.",
                standard: "nobody is asked",
                example: "{ authorities: certs/device-ca.pem, mode: optional }"),
            .optional(
                "protocols", .list(.choice(["h2", "http/1.1"])),
                "What clients may choose in the TLS handshake (ALPN); `http/1.1` is always one of them.",
                standard: "`[h2, http/1.1]`", example: "[http/1.1]"),
        ] + ClientAddressKeys.keys)
    static let certificateTable = KeyTable(
        "gateway.listeners[].certificates[]",
        [
            .required(
                "chain", .file, "PEM file: the certificate, then its issuers.", example: "certs/corp.pem"),
            .required(
                "key", .privateFile, "PEM file with the private key, mode 0600.", example: "certs/corp.key"),
        ])

    private static let countMax = 1_024

    static func read(_ gateway: SectionReader) -> [ListenerSettings]? {
        guard let items = gateway.items("listeners") else { return nil }
        guard items.count <= countMax else {
            gateway.problem(
                "listeners", "is a list of \(items.count), and each worker has one of each",
                "name at most \(countMax)")
            return nil
        }
        var listeners: [ListenerSettings] = []
        var isComplete = true
        for (index, item) in items.enumerated() {
            let path = gateway.key("listeners[\(index)]")
            guard let reader = SectionReader(item, table, path: path, gateway.context) else { return nil }
            let address = address(reader)
            let certificates = certificates(reader)
            let clients = ClientCertificatesSection.read(reader)
            let offersHTTP2 = offersHTTP2(reader)
            let addresses = ClientAddressKeys.read(reader)
            guard let address, let certificates, clients != nil || !reader.has("client-certificates") else {
                isComplete = false
                continue
            }
            if listeners.contains(where: { $0.address == address.0 && $0.port == address.1 && address.1 != 0 }
            ) {
                reader.problem("address", "another listener has this address", "keep one of them")
            }
            listeners.append(
                ListenerSettings(
                    address: address.0, port: address.1, certificates: certificates,
                    clientCertificates: clients, offersHTTP2: offersHTTP2, clientAddresses: addresses))
        }
        return isComplete ? listeners : nil
    }

    private static func offersHTTP2(_ reader: SectionReader) -> Bool {
        guard let texts = reader.texts("protocols") else { return true }
        let known = texts.compactMap { reader.choice($0, "protocols") }
        if known.count == texts.count, !known.contains("http/1.1") {
            reader.problem(
                "protocols", "lacks http/1.1, which clients without ALPN speak", "add http/1.1")
        }
        return known.contains("h2")
    }

    /// The address of a listener and its port.
    static func split(_ text: String) -> (address: String, port: UInt16)? {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        var address = String(text[..<colon])
        if address.hasPrefix("[") && address.hasSuffix("]") {
            address = String(address.dropFirst().dropLast())
            guard address.contains(":") else { return nil }
        } else if address.contains(":") {
            return nil
        }
        guard HostSyntax.address(address) != nil,
            let port = PlainURL.port(String(text[text.index(after: colon)...]))
        else {
            return nil
        }
        return (address, port)
    }

    private static func address(_ reader: SectionReader) -> (String, UInt16)? {
        guard let text = reader.text("address") else { return nil }
        guard let found = split(text) else {
            reader.problem(
                "address", "\"\(text)\" is not a numeric address and a port",
                "write for example \"0.0.0.0:443\" or \"[::]:443\"")
            return nil
        }
        if found.port == 0 && !HostSyntax.isLoopback(found.address) {
            reader.problem("address", "port 0 outside loopback", "name the port, for example 443")
            return nil
        }
        return found
    }

    private static func certificates(_ listener: SectionReader) -> [CertificateSettings]? {
        guard let items = listener.items("certificates") else { return nil }
        var certificates: [CertificateSettings] = []
        for (index, item) in items.enumerated() {
            let path = listener.key("certificates[\(index)]")
            guard let reader = SectionReader(item, certificateTable, path: path, listener.context) else {
                continue
            }
            let files = NamedFiles(reader: reader)
            let chain = files.file("chain", holding: "CERTIFICATE")
            let key = files.privateFile("key", holding: "PRIVATE KEY")
            guard let chain, let key, let name = reader.text("chain") else { continue }
            let file = files.path(name, reader.place(of: "chain"))
            certificates.append(CertificateSettings(chainFile: file, chainPEM: chain, keyPEM: key))
        }
        return certificates.count == items.count ? certificates : nil
    }
}
