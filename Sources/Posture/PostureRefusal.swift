public import Access

/// A refused handshake, enrolment or renewal: a normal decision, answered with its `reason`.
public struct PostureRefusal: Error, Sendable, Hashable {
    /// The stable word for the page, the log and the metric.
    public var reason: Reason
    /// For the log only: it may name ids and times. The page shows the reason and a request id.
    public var detail: String
    /// Whether an administrator should look: a copied key, an id that belongs to another device.
    public var isAlert: Bool
    /// How old what was too old is, for the page; nil where age is not the matter.
    public var ageSeconds: Int64?
    /// Another device has proved itself in this session: what the session was given is not this device's to use.
    public var endsSession = false

    /// Makes a refusal.
    public init(_ reason: Reason, _ detail: String, isAlert: Bool = false, ageSeconds: Int64? = nil) {
        self.reason = reason
        self.detail = detail
        self.isAlert = isAlert
        self.ageSeconds = ageSeconds
    }
}
