/// `gateway.limits`: each key beside the setting it fills, so that neither can be forgotten.
enum LimitsSection {
    private enum Target {
        case count(any WritableKeyPath<LimitSettings, Int> & Sendable)
        case bytes(any WritableKeyPath<LimitSettings, Int> & Sendable)
        case deadline(any WritableKeyPath<LimitSettings, Int> & Sendable)
    }

    private struct Limit {
        var name: String
        var target: Target
        var range: ClosedRange<Int64>
        var summary: String
        var example: String
        /// Where `gatepost status` says how often it was met.
        var counters: [String]
    }

    private static let limits: [Limit] = [
        Limit(
            name: "connections-max", target: .count(\.connectionsMax), range: 16...1_000_000,
            summary: "Downstream connections of the whole gateway.", example: "20000",
            counters: ["connections_refused", "idle_connections_displaced"]),
        Limit(
            name: "head-bytes-max", target: .bytes(\.headBytesMax), range: 4_096...262_144,
            summary: "Bytes of one request head; in HTTP/2 of its field list as it is decoded.",
            example: "32KiB",
            counters: ["heads_too_large"]),
        Limit(
            name: "fields-max", target: .count(\.fieldsMax), range: 16...1_000,
            summary: "Fields of one head.", example: "100",
            counters: ["fields_too_many"]),
        Limit(
            name: "target-bytes-max", target: .bytes(\.targetBytesMax), range: 1_024...131_072,
            summary: "Bytes of one request target.", example: "16KiB",
            counters: ["targets_too_long"]),
        Limit(
            name: "handshake", target: .deadline(\.handshakeMilliseconds), range: 1...120,
            summary: "Deadline of a TLS handshake.", example: "10s",
            counters: ["handshakes_expired"]),
        Limit(
            name: "head", target: .deadline(\.headMilliseconds), range: 1...120,
            summary: "Deadline of a request head.", example: "10s",
            counters: ["heads_expired"]),
        Limit(
            name: "idle", target: .deadline(\.idleMilliseconds), range: 1...3_600,
            summary: "Longest silence between two requests of a connection.", example: "75s",
            counters: ["idle_expired"]),
        Limit(
            name: "body-idle", target: .deadline(\.bodyIdleMilliseconds), range: 1...3_600,
            summary: "Longest silence while a body is moving, in either direction.", example: "60s",
            counters: ["bodies_expired"]),
        Limit(
            name: "upstream-connect", target: .deadline(\.upstreamConnectMilliseconds), range: 1...120,
            summary: "Deadline of a connection to an upstream.", example: "5s",
            counters: ["upstream_connects_expired"]),
        Limit(
            name: "upstream-head", target: .deadline(\.upstreamHeadMilliseconds), range: 1...3_600,
            summary: "Deadline of an upstream's response head.", example: "60s",
            counters: ["upstream_heads_expired"]),
        Limit(
            name: "upstream-idle-per-reactor-max", target: .count(\.upstreamIdlePerReactorMax),
            range: 0...65_536,
            summary: "Idle upstream connections that each reactor keeps.", example: "256",
            counters: ["upstreams_not_kept"]),
        Limit(
            name: "parked-max", target: .count(\.parkedMax), range: 16...65_536,
            summary: "Requests of one reactor that may wait for the control plane.", example: "1024",
            counters: ["parked_refused"]),
        Limit(
            name: "parked", target: .deadline(\.parkedMilliseconds), range: 1...60,
            summary: "Deadline of such a wait.", example: "10s",
            counters: ["parked_expired"]),
        Limit(
            name: "first-contact", target: .deadline(\.firstContactMilliseconds), range: 1...9,
            summary: "How long the device check waits for the providers' first word about a device.",
            example: "3s",
            counters: ["first-contact-expired"]),
        Limit(
            name: "sessions-cached-max", target: .count(\.sessionsCachedMax), range: 1_000...10_000_000,
            summary: "Sessions that each reactor keeps at hand.", example: "100000",
            counters: ["sessions_evicted"]),
        Limit(
            name: "connections-per-address-max", target: .count(\.connectionsPerAddressMax),
            range: 0...1_000_000,
            summary:
                "Connections of one IPv4 address or IPv6 /64; one with HTTP/2 counts once more for each 16 "
                + "streams that it has open beyond the first 16. `0` is no bound.", example: "200",
            counters: ["address_connections_refused"]),
        Limit(
            name: "handshakes-per-address-per-second-max",
            target: .count(\.handshakesPerAddressPerSecondMax), range: 0...1_000_000,
            summary: "New connections of such an address; one more is closed. `0` is no bound.",
            example: "50",
            counters: ["address_handshakes_refused"]),
        Limit(
            name: "handshakes-per-second-max", target: .count(\.handshakesPerSecondMax),
            range: 0...1_000_000,
            summary: "New connections of the whole gateway; one more waits. `0` is no bound.",
            example: "2000",
            counters: ["accept_pauses"]),
        Limit(
            name: "body-rate-min", target: .count(\.bodyRateMin), range: 0...1_000_000,
            summary: "Bytes per second that a client sends or reads while it is waited for. `0` is no bound.",
            example: "1000",
            counters: ["slow_clients_cut"]),
        Limit(
            name: "body-patience", target: .deadline(\.bodyPatienceMilliseconds), range: 1...600,
            summary: "How far a client may be behind that rate, silence included; then it is cut.",
            example: "10s",
            counters: ["slow_clients_cut"]),
        Limit(
            name: "first-request", target: .deadline(\.firstRequestMilliseconds), range: 1...120,
            summary: "Longest silence of a connection before its first request.", example: "10s",
            counters: ["first_requests_expired"]),
        Limit(
            name: "connection-memory-max", target: .bytes(\.connectionMemoryBytesMax),
            range: 1_048_576...1_073_741_824,
            summary:
                "What the buffers of one connection may take, in HTTP/2 those of all its streams together; "
                + "beyond that the costliest stream is cut, or the connection.", example: "2MiB",
            counters: ["connection_memory_exceeded", "http2_streams_shed"]),
        Limit(
            name: "memory-per-address-max", target: .bytes(\.memoryPerAddressBytesMax),
            range: 0...1_099_511_627_776,
            summary:
                "What the buffers of all connections of one IPv4 address or IPv6 /64 may take, and over HTTP/2 the "
                + "records of requests whose answers it does not take; from half of it on no client of it is sent "
                + "more than it has read, and beyond it connections are cut, first those that do not read, of them "
                + "the costliest. `0` is no bound, else at least 1 MiB.",
            example: "64MiB",
            counters: ["address_connections_shed"]),
        Limit(
            name: "memory-max", target: .bytes(\.memoryBytesMax), range: 8_388_608...1_099_511_627_776,
            summary:
                "What the buffers of all connections may take; beyond that those that hold most are cut.",
            example: "1024MiB",
            counters: ["connections_shed"]),
        Limit(
            name: "http2-streams-max", target: .count(\.http2StreamsMax), range: 1...1_000,
            summary:
                "Streams of one HTTP/2 connection that are open at once; never more than "
                + "`connection-memory-max` has 40 KiB for.", example: "200",
            counters: ["http2_streams_refused"]),
        Limit(
            name: "http2-resets-per-second-max", target: .count(\.http2ResetsPerSecondMax), range: 8...4_096,
            summary:
                "Streams of one HTTP/2 connection that are reset within a second, beyond those that were "
                + "answered; one more ends it.", example: "64",
            counters: ["http2_reset_floods"]),
        Limit(
            name: "http2-frames-per-second-max", target: .count(\.http2FramesPerSecondMax), range: 32...4_096,
            summary:
                "Frames of one HTTP/2 connection within a second that bring nothing (PING, SETTINGS, "
                + "PRIORITY, window, empty DATA), beyond those that answers explain; one more ends it.",
            example: "512",
            counters: ["http2_frame_floods"]),
        Limit(
            name: "http2-continuations-max", target: .count(\.http2ContinuationsMax), range: 1...64,
            summary: "CONTINUATION frames of one field section; one more ends the connection.", example: "4",
            counters: ["http2_continuation_floods"]),
    ]

    static let table = KeyTable("gateway.limits", limits.map(spec))

    /// By the key: the counters in `gatepost status` that say how often a limit was met.
    static let counters: [String: [String]] = .init(
        uniqueKeysWithValues: limits.map { ($0.name, $0.counters) })

    private static func spec(_ limit: Limit) -> KeySpec {
        let defaults = LimitSettings()
        let (shape, standard): (Shape, String) =
            switch limit.target {
            case .count(let path): (.integer(limit.range), "\(defaults[keyPath: path])")
            case .bytes(let path): (.size(limit.range), sizeText(defaults[keyPath: path]))
            case .deadline(let path):
                (.duration(limit.range), Quantity.durationText(Int64(defaults[keyPath: path] / 1_000)))
            }
        let counted = limit.counters.map { "`\($0)`" }.joined(separator: ", ")
        return .optional(
            limit.name, shape, "\(limit.summary) Counted as \(counted).", standard: "`\(standard)`",
            example: limit.example)
    }

    private static func sizeText(_ bytes: Int) -> String {
        bytes % 1_048_576 == 0 ? "\(bytes / 1_048_576)MiB" : "\(bytes / 1_024)KiB"
    }

    static func read(_ reader: SectionReader) -> LimitSettings {
        var settings = LimitSettings()
        for limit in limits {
            switch limit.target {
            case .count(let path):
                if let value = reader.integer(limit.name) { settings[keyPath: path] = Int(value) }
            case .bytes(let path):
                if let value = reader.size(limit.name) { settings[keyPath: path] = Int(value) }
            case .deadline(let path):
                if let value = reader.duration(limit.name) { settings[keyPath: path] = Int(value) * 1_000 }
            }
        }
        if settings.targetBytesMax >= settings.headBytesMax {
            reader.problem(
                "target-bytes-max", "is not below head-bytes-max, which the target is a part of",
                "use less than \(settings.headBytesMax) bytes")
        }
        checkMemory(settings, reader)
        return settings
    }

    private static func checkMemory(_ settings: LimitSettings, _ reader: SectionReader) {
        // The standard is meant for the standard of `memory-max`, and says nothing where that is lower.
        let most = settings.memoryPerAddressBytesMax
        guard reader.has("memory-per-address-max"), most > 0 else { return }
        if most < 1_048_576 {
            reader.problem(
                "memory-per-address-max", "is less than one connection may need",
                "use at least 1MiB, or 0 for no bound")
        } else if most > settings.memoryBytesMax {
            reader.problem(
                "memory-per-address-max", "is above memory-max, which all addresses share",
                "use at most \(settings.memoryBytesMax) bytes, or 0 for no bound")
        }
    }
}
