/// `applications.<name>.upstreams`: a list of URLs, or a mapping that says how they are used.
enum UpstreamsKey {
    static let upstreamsMax = 64

    static let endpointTable = KeyTable(
        "applications.<name>.upstreams.endpoints[]",
        [
            .required(
                "url", .url,
                "Scheme, host and port, no path. `http` and `https` speak HTTP/1.1, `h2` speaks HTTP/2 over TLS, "
                    + "`h2c` without.", example: "http://10.0.4.7:8080"),
            .optional(
                "weight", .integer(1...100), "Its share of requests beside the others'.", standard: "`1`",
                example: "2"),
        ])

    static let table = KeyTable(
        "applications.<name>.upstreams",
        [
            .required(
                "endpoints", .list(.either(.url, endpointTable)),
                "Where requests go. All addresses of a name are used, IPv4 and IPv6.",
                example: "[ \"https://10.0.4.7:8443\", { url: \"https://10.0.4.8:8443\", weight: 2 } ]"),
            .optional(
                "balance", .choice(UpstreamUseSettings.Balance.allCases.map(\.rawValue)),
                "Which endpoint is asked. `session-hash` keeps a session (without one: a client address) at its "
                    + "endpoint as long as that is well; when one leaves, only its own move.",
                standard: "`round-robin`", example: "least-connections"),
            .optional(
                "tls", .section(UpstreamTLSKeys.table),
                "How upstreams with `https` prove themselves, and the gateway.",
                standard: "the host of the URL, the system's authorities, no certificate shown",
                example: "{ authorities: certs/inside-ca.pem }"),
            .optional(
                "health", .section(UpstreamHealthKeys.health),
                "Health checks. Each reactor checks for itself, beside all requests.", standard: "none",
                example: "{ path: /healthz }"),
            .optional(
                "ejection", .alternative(["off"], UpstreamHealthKeys.ejection),
                "When an endpoint is left out for a while because requests fail there. A connection that cannot be "
                    + "made is enough. The last one that is left stays.",
                standard: "the defaults below", example: "{ error-share: 50% }"),
            .optional(
                "retries", .integer(0...5),
                "How often a request is tried again: when no connection could be made, or when it has no body and "
                    + "changes nothing (GET, HEAD, OPTIONS, PUT, DELETE) and the connection ended before any answer. "
                    + "One for five requests at the most, and three a second.",
                standard: "`2`", example: "0"),
            .optional(
                "connect", .duration(1...120), "Deadline of a connection.",
                standard: "`gateway.limits.upstream-connect`", example: "2s"),
            .optional(
                "first-byte", .duration(1...3_600), "Deadline of a response head.",
                standard: "`gateway.limits.upstream-head`", example: "30s"),
            .optional(
                "idle", .duration(1...86_400), "Longest silence of a body, an event stream or a WebSocket.",
                standard: "`gateway.limits.body-idle`", example: "5m"),
            .optional(
                "concurrency", .integer(1...65_536),
                "Requests and WebSockets that are open at a time. The reactors share it evenly, each has one at least.",
                standard: "no limit", example: "200"),
            .optional(
                "connections", .integer(1...256),
                "HTTP/2 connections of each reactor to one endpoint. Another one is made when all streams of the "
                    + "others are in use; when no more may be made, the answer is 503 with `upstream-busy`.",
                standard: "`16`", example: "4"),
            .optional(
                "queue", .integer(0...4_096),
                "Requests that wait for a place, in order; beyond that, and for a session (without one: a client "
                    + "address) with half of them, the answer is 503 with `upstream-busy` and `Retry-After`.",
                standard: "`0`", example: "100"),
            .optional(
                "queue-wait", .duration(1...60), "How long they wait.", standard: "`5s`", example: "2s"),
            .optional(
                "resolve", .duration(1...3_600),
                "How often names are asked again. An answer that fails or is empty changes nothing.",
                standard: "`30s`",
                example: "10s"),
        ])

    static func read(_ application: SectionReader) -> (
        endpoints: [UpstreamSettings], use: UpstreamUseSettings
    )? {
        guard let node = application.node("upstreams") else { return nil }
        guard case .mapping = node.content else {
            return endpoints("upstreams", application).map { ($0, UpstreamUseSettings()) }
        }
        guard
            let reader = SectionReader(
                node, table, path: application.key("upstreams"), application.context)
        else { return nil }
        let endpoints = endpoints("endpoints", reader)
        let use = use(reader, endpoints ?? [])
        if use.tls.authoritiesPEM != nil {
            application.ineffective(
                "upstream-authorities", because: "upstreams.tls.authorities is there", "remove one of them")
        }
        return endpoints.map { ($0, use) }
    }

    // MARK: Addresses

    private static func endpoints(_ name: String, _ reader: SectionReader) -> [UpstreamSettings]? {
        guard let items = reader.items(name) else { return nil }
        if items.count > upstreamsMax {
            reader.problem(
                name, "more than \(upstreamsMax) of them", "put a load balancer behind the gateway")
        }
        var found: [UpstreamSettings] = []
        for (index, item) in items.enumerated() {
            guard let upstream = endpoint(item, "\(name)[\(index)]", reader) else { continue }
            if found.contains(where: { $0.url == upstream.url }) {
                reader.problem(
                    "\(name)[\(index)]", at: item.place, "\"\(upstream.url)\" is listed twice", "remove one")
                continue
            }
            found.append(upstream)
        }
        if Set(found.map(\.isTLS)).count > 1 {
            reader.problem(name, "mixes http and https", "use one scheme for one application")
        }
        return found.isEmpty ? nil : found
    }

    private static func endpoint(
        _ item: ConfigNode, _ name: String, _ reader: SectionReader
    ) -> UpstreamSettings? {
        guard case .mapping = item.content, reader.table["endpoints"] != nil else {
            return reader.scalar(item, name).flatMap { url($0.text, name, item, reader) }
        }
        guard
            let section = SectionReader(item, endpointTable, path: reader.key(name), reader.context),
            let text = section.text("url")
        else { return nil }
        var upstream = url(text, "url", item, section)
        upstream?.weight = section.integer("weight").map { Int($0) } ?? 1
        return upstream
    }

    private static func url(
        _ text: String, _ name: String, _ item: ConfigNode, _ reader: SectionReader
    ) -> UpstreamSettings? {
        do {
            let (plain, speaksHTTP2) = withoutProtocol(text)
            let url = try PlainURL(plain)
            guard url.path.isEmpty else {
                reader.problem(
                    name, at: item.place, "\"\(text)\" has a path",
                    "leave it out; paths are forwarded as they are")
                return nil
            }
            var upstream = UpstreamSettings(url: text, isTLS: url.isTLS, host: url.host, port: url.port)
            upstream.speaksHTTP2 = speaksHTTP2
            return upstream
        } catch {
            reader.problem(name, at: item.place, error.problem, error.remedy)
            return nil
        }
    }

    /// `h2` and `h2c` are https and http with another protocol on them.
    private static func withoutProtocol(_ text: String) -> (url: String, speaksHTTP2: Bool) {
        if text.hasPrefix("h2://") { return ("https://" + text.dropFirst(5), true) }
        if text.hasPrefix("h2c://") { return ("http://" + text.dropFirst(6), true) }
        return (text, false)
    }

    // MARK: Use

    private static func use(_ reader: SectionReader, _ endpoints: [UpstreamSettings]) -> UpstreamUseSettings {
        var use = UpstreamUseSettings()
        use.balance =
            reader.choice("balance").flatMap(UpstreamUseSettings.Balance.init(rawValue:)) ?? .roundRobin
        use.tls = UpstreamTLSKeys.read(reader)
        if !endpoints.isEmpty, !endpoints.contains(where: \.isTLS) {
            reader.ineffective("tls", because: "no endpoint is https or h2", "remove it")
        }
        use.health = UpstreamHealthKeys.readHealth(reader)
        use.ejection = UpstreamHealthKeys.readEjection(reader)
        use.retries = reader.integer("retries").map { Int($0) } ?? use.retries
        use.connectSeconds = reader.duration("connect")
        use.headSeconds = reader.duration("first-byte")
        use.idleSeconds = reader.duration("idle")
        use.concurrency = reader.integer("concurrency").map { Int($0) }
        use.connections = reader.integer("connections").map { Int($0) }
        if !endpoints.isEmpty, !endpoints.contains(where: \.speaksHTTP2) {
            reader.ineffective("connections", because: "no endpoint is h2 or h2c", "remove it")
        }
        use.queue = reader.integer("queue").map { Int($0) } ?? 0
        use.queueSeconds = reader.duration("queue-wait") ?? use.queueSeconds
        use.resolveSeconds = reader.duration("resolve") ?? use.resolveSeconds
        if !reader.has("concurrency") {
            reader.ineffective(
                "queue", because: "there is no concurrency that it is in front of", "add concurrency")
        }
        if use.queue == 0 {
            reader.ineffective("queue-wait", because: "there is no queue", "add queue")
        }
        if !endpoints.isEmpty, endpoints.allSatisfy({ HostSyntax.address($0.host) != nil }) {
            reader.ineffective("resolve", because: "no endpoint has a name", "remove it")
        }
        return use
    }
}
