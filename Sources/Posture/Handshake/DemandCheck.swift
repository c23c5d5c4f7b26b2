import Access

/// What one application asks of a handshake (`applications.<name>.posture`): once when the challenge is made, so that
/// nothing else is offered, and once when the answer has come, because an offer binds nobody who writes the answer
/// himself.
enum DemandCheck {
    /// Of the transports that this gateway speaks, those that the application accepts.
    static func transports(_ spoken: Set<String>, for demand: PostureDemand?) -> [String] {
        guard let demand else { return spoken.sorted() }
        return spoken.sorted().filter { word in
            HandshakeTransport(wire: word).map(demand.transports.contains) ?? false
        }
    }

    /// Of the profiles that a challenge may name, those that the application accepts.
    ///
    /// - Parameter isSharedKeyAccepted: answers of the profile `stmt` may then be signed by the key of all devices.
    static func profiles(
        _ spoken: [HandshakeProfile], _ isSharedKeyAccepted: Bool, for demand: PostureDemand?
    ) -> [HandshakeProfile] {
        guard let demand else { return spoken }
        return spoken.filter { profile in
            switch profile {
            case .certificate: demand.modes.contains(.x5c)
            case .statement:
                demand.modes.contains(.statement)
                    || (isSharedKeyAccepted && demand.modes.contains(.unsafeStatic))
            }
        }
    }

    /// What the answer really says. A way that was not offered is a downgrade: somebody wrote the answer himself.
    static func verify(
        mode: HandshakeMode, transport: String, agentVersion: String, by demand: PostureDemand?
    ) throws(PostureRefusal) {
        guard let demand else { return }
        guard let way = HandshakeTransport(wire: transport), demand.transports.contains(way) else {
            throw PostureRefusal(
                .statementInvalid, "transport \(transport) is not accepted by the application", isAlert: true)
        }
        guard demand.modes.contains(mode) else {
            throw PostureRefusal(
                .statementInvalid, "mode \(mode.rawValue) is not accepted by the application", isAlert: true)
        }
        guard demand.accepts(agentVersion: agentVersion) else {
            throw PostureRefusal(
                .agentOutdated,
                "agent version \(agentVersion) is older than \(demand.minimumVersion ?? "") of the application"
            )
        }
    }
}
