import Border

/// When the request or command that ends sessions reached the control plane: how long what is open outlives its ending
/// is measured from then, not from when the store has been written and the revocation is sent.
enum Arrival {
    /// Monotonic nanoseconds of this host; nil in a task that carries out nothing of the kind.
    ///
    /// Bound around endings alone: a task that lives on after its request (a schedule, a refresh) inherits the value,
    /// and would date whatever it tells much later by it.
    @TaskLocal static var nanoseconds: UInt64?

    /// What revocations of this moment are dated by: the arrival, otherwise now.
    static var eventNanoseconds: UInt64 { nanoseconds ?? monotonicNanoseconds() }

    /// Commands that end sessions, devices or machines at an administrator's word.
    static let commands: Set<String> = [
        "session-end", "session-revoke", "device-revoke", "device-accept-key", "service-token-revoke",
    ]
}

extension ControlRequest {
    /// Whether it asks to end sessions: of the person, or of those that a provider names.
    var endsSessions: Bool {
        purpose == .reserved
            && (path == "/.gatepost/sign-out" || path.hasPrefix(ProviderLogoutPath.backchannel)
                || path.hasPrefix(ProviderLogoutPath.frontchannel))
    }
}
