/// What a broken gateway would do. The model has to notice each: a story that cannot fail proves nothing.
///
/// Planted in the stand-ins, so the control plane is the real one: a revocation that does not reach the reactors is
/// one that it forgot to send, whatever the reason.
enum PlantedFault: Sendable, Hashable, CaseIterable {
    /// The revocations of this ending are lost.
    case signOutLost, backchannelLost, sessionEndLost, deviceRevocationLost, signalLost, machineRevocationLost
    /// What is open goes on past the end of its record, and so does the record.
    case endIgnored
    /// A question that the store could not answer lets in.
    case outageOpens
    /// Sign-ins under way are not told of what ended.
    case underWayForgotten
    /// The same of a browser's sign-out alone.
    case signOutForgotten
    /// Endings are dated, and not counted.
    case countForgotten
    /// Nobody knows what the tabs of one browser have signed in to side by side.
    case browserForgotten

    /// The kind of ending whose revocations are lost.
    var lost: Ending? {
        switch self {
        case .signOutLost: .signOut
        case .backchannelLost: .backchannel
        case .sessionEndLost: .command
        case .deviceRevocationLost: .deviceRevocation
        case .signalLost: .signal
        case .machineRevocationLost: .machineRevocation
        case .endIgnored, .outageOpens, .underWayForgotten, .signOutForgotten, .countForgotten,
            .browserForgotten:
            nil
        }
    }

    /// Kinds of endings of a story.
    enum Ending {
        case signOut, backchannel, frontchannel, command, deviceRevocation, signal, machineRevocation
    }
}
