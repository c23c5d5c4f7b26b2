/// What our own verdict about a device says to a directory (issue of text 001: the other direction).
public struct PublishedState: Sendable, Hashable {
    /// By the device policies.
    public var isCompliant: Bool
    /// nil: we do not know, and leave what the directory has.
    public var isManaged: Bool?

    /// Takes the members as they are.
    public init(isCompliant: Bool, isManaged: Bool? = nil) {
        self.isCompliant = isCompliant
        self.isManaged = isManaged
    }

    /// As it rests in the store: `<object> <compliant> <managed>`.
    func text(objectID: String) -> String {
        "\(objectID) \(isCompliant) \(isManaged.map { "\($0)" } ?? "-")"
    }

    /// What `text` wrote; nil for anything else.
    static func read(_ text: String?) -> (objectID: String, state: PublishedState)? {
        let parts = text?.split(separator: " ").map(String.init) ?? []
        guard parts.count == 3, let isCompliant = Bool(parts[1]) else { return nil }
        guard parts[2] == "-" || Bool(parts[2]) != nil else { return nil }
        return (parts[0], PublishedState(isCompliant: isCompliant, isManaged: Bool(parts[2])))
    }
}

/// The last thing that was published about a device, and where it stands.
public struct Publication: Sendable, Hashable {
    /// The integration that it was written to.
    public var integration: String
    /// What was written; nil: nothing yet.
    public var state: PublishedState?
    /// When that was.
    public var atSeconds: Int64?
    /// What waits to be written; nil: nothing does.
    public var waiting: PublishedState?
}

/// How publishing to one integration goes, beside reading from it.
public struct PublishingStatus: Sendable, Hashable {
    /// Devices whose news is still to be written.
    public var waiting: Int
    /// Written since the start.
    public var written: Int
    /// News that found no place in the queue; it comes again with the next look at all devices.
    public var dropped: Int
    /// The last success.
    public var lastWrittenSeconds: Int64?
    /// What went wrong last, in words for an administrator; nil since the last success.
    public var problem: String?
    /// Nothing is written before; nil: writing goes on.
    public var pausedUntilSeconds: Int64?
}
