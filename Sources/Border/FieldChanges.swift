/// Fields that an application's configuration sets and removes in one direction, in every message.
public struct FieldChanges: Sendable, Codable, Hashable {
    /// Written in the place of whatever was sent under that name.
    public var written: [Field]
    /// Left out, whoever sent them.
    public var removed: [String]
    /// Nothing is changed.
    public init(written: [Field] = [], removed: [String] = []) {
        self.written = written
        self.removed = removed
    }
    /// Every name that does not get through as it came.
    public var names: [String] { written.map(\.name) + removed }
    public var isEmpty: Bool { written.isEmpty && removed.isEmpty }
}
