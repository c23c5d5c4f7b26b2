public import Access

/// Control plane → reactor, ordinary lane (bounded; a full lane makes the sender wait).
public enum ToReactor: Sendable, Codable, Hashable {
    /// Answer to `pullSession`. nil: no such session, or one that may not be used here.
    case session(Ticket, SessionRecord?)
    /// The other answer to `pullSession`: whether there is such a session cannot be read now, and what is at fault.
    case sessionUnavailable(Ticket, Reason = .storeUnavailable)
    case response(ControlResponse)
    /// The other answer to a `request` of purpose `recheck`: the request goes on as it was decided.
    case proceed(Ticket)
    /// Stop accepting, finish what is open, end at the deadline (milliseconds from now).
    case drain(deadlineMilliseconds: Int)
}

/// Control plane → every reactor, the lane that never drops. Sequences grow by one, process-wide.
public struct Revocation: Sendable, Codable, Hashable {
    public enum Effect: Sendable, Codable, Hashable {
        case endSession(String)
        case endPerson(String)
        case endDevice(String)
        case endApplication(String)
        /// A certificate's serial number, as `CertificateFacts.number`, that an administrator revoked: for good,
        /// whoever issued it. What it opened is decided as if no certificate had been shown.
        case revokeCertificate(String)
        /// A new residual for a session that stays: open streams are re-decided by it at once. The record's
        /// `tokenDigest` names the application session.
        case replace(SessionRecord)
    }
    public var sequence: UInt64
    /// When the event that caused it was known (monotonic nanoseconds of this host): event-to-cut is measured from
    /// here. Of a request or a command it is the arrival at the control plane, before anything was read or stored.
    public var eventNanoseconds: UInt64
    public var effect: Effect
    public init(sequence: UInt64, eventNanoseconds: UInt64, effect: Effect) {
        self.sequence = sequence
        self.eventNanoseconds = eventNanoseconds
        self.effect = effect
    }
}

/// Reactor → control plane (bounded; when it is full the request is answered 503 `overloaded`).
public enum ToControl: Sendable, Codable, Hashable {
    /// An unknown token at an application: digest of the secret, 32 bytes.
    case pullSession(Ticket, tokenDigest: [UInt8], application: String)
    /// An unknown service token: what it is known by at the application's host, 32 bytes. Not asked as a session's, so
    /// that a wrong one costs no look into the store. Answered as `pullSession` is.
    case pullService(Ticket, tokenDigest: [UInt8], application: String)
    /// A bearer token that is not known at an application: 32 bytes that it is known by there, and the token
    /// itself, whose signature nobody has checked. Answered as `pullSession` is.
    case pullBearer(Ticket, tokenDigest: [UInt8], token: [UInt8], application: String)
    /// A client certificate that is not known at an application; answered as `pullSession` is.
    case pullMachine(Ticket, MachineClaim, application: String)
    /// A session's token beside a client certificate that may stand for the device: digest of the secret, 32 bytes.
    /// Answered as `pullSession` is, by a record that names the certificate.
    case pullCertified(Ticket, tokenDigest: [UInt8], MachineClaim, application: String)
    case request(ControlRequest)
    /// A session's record nears its end of validity; the answer is a `replace` revocation.
    case renew(tokenDigest: [UInt8], application: String)
    /// Streams of this reactor that a revocation ended, and how long that took.
    case cut(sequence: UInt64, reactor: UInt16, streams: Int, nanoseconds: UInt64)
    case upstream(UpstreamNews)
}
