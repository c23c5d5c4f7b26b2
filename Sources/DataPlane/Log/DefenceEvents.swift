import Access
import JSON

/// What the gateway did to protect itself, as lines of the log: each kind at most once a second and reactor,
/// because an attack must not fill the disk; how often it happened is in the counters.
enum DefenceEvent: Int {
    case connectionsOfAddress, handshakesOfAddress, handshakesOfAll, descriptorsExhausted, tooSlow
    case memoryOfConnection, memoryOfAddress, memoryOfAll, http2Flood, clientCertificate

    /// Word of the log line.
    var word: String {
        switch self {
        case .connectionsOfAddress: "address-connections-refused"
        case .handshakesOfAddress: "address-handshakes-refused"
        case .handshakesOfAll: "accepting-paused"
        case .descriptorsExhausted: "descriptors-exhausted"
        case .tooSlow: "slow-client-cut"
        case .memoryOfConnection: "connection-memory-exceeded"
        case .memoryOfAddress: "address-connection-shed"
        case .memoryOfAll: "connection-shed"
        case .http2Flood: "http2-flood"
        case .clientCertificate: "client-certificate-refused"
        }
    }
}

extension Reactor {
    private static let reportEveryMilliseconds: UInt64 = 1_000

    /// - Parameters:
    ///   - client: whom it happened to, where it was one.
    ///   - bytes: memory that the connection held.
    ///   - more: further members.
    func report(
        _ event: DefenceEvent, client: NetworkAddress? = nil, bytes: Int? = nil,
        more: (inout JSONLineWriter) -> Void = { _ in }
    ) {
        let last = state.pointee.defence.reportedAtMilliseconds[event.rawValue]
        guard last == 0 || nowMilliseconds - last >= Self.reportEveryMilliseconds else { return }
        state.pointee.defence.reportedAtMilliseconds[event.rawValue] = nowMilliseconds
        var line = JSONLineWriter()
        line.beginObject()
        line.field("event", event.word)
        line.field("reactor", Int64(number))
        if let client {
            let address = AddressText(client)
            line.field("client", bytes: address.bytes.span.extracting(0..<address.count))
        }
        if let bytes { line.field("bytes", bytes) }
        more(&line)
        line.endObject()
        if !log.write(line.bytes.span) { counters.add(.logLinesDropped) }
    }

    /// A handshake failed. Says so where a certificate was the reason: its owner sees an alert of TLS and nothing else.
    func reportRefusedCertificate(_ slot: Int32) {
        let ssl = ssl(of: slot)
        guard let refused = RefusedCertificate.of(ssl) else { return }
        counters.add(refused.refusal.counter)
        report(.clientCertificate, client: downstreams[slot].pointee.client) { line in
            line.field("reason", refused.refusal.word)
            line.field("serial", refused.serial)
            if let issuer = refused.issuerDigest { line.field("issuer", issuer) }
            line.field("listener", Int64(ServerContext.listener(of: ssl)))
            if let name = ServerContext.serverName(of: ssl) { line.field("server_name", name) }
        }
    }
}
