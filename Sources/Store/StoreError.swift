/// What went wrong with durable state, and what an operator can do about it.
///
/// Nothing is ever acknowledged before it is on the disk: a thrown error means that the write did not happen.
public struct StoreError: Error, Hashable, CustomStringConvertible {
    /// Selects the reaction; the text says the rest.
    public enum Kind: String, Sendable, CaseIterable {
        /// A file is damaged. It is never silently replaced by an empty one.
        case corrupt
        /// The file was written by a newer version of this program.
        case newerSchema
        /// The disk (or the quota) is full.
        case full
        /// The folder or a file cannot be opened, read or written, or others could read it.
        case inaccessible
        /// Another process held the file for longer than the busy timeout.
        case busy
        /// The global session that an application session points at is gone: signed out or revoked meanwhile.
        case globalSessionGone
        /// A session, token or pinned provider id with this key belongs to something else already.
        case conflict
        /// A stored row cannot be read as what it should be.
        case malformedRow
        /// The store was closed.
        case closed
        /// Any other answer of the database engine.
        case engine
    }

    /// Selects the reaction.
    public var kind: Kind
    /// The file or folder concerned.
    public var file: String
    /// What happened, in plain words.
    public var what: String
    /// What the operator can do.
    public var remedy: String

    /// Makes an error out of its parts.
    public init(_ kind: Kind, file: String, what: String, remedy: String) {
        self.kind = kind
        self.file = file
        self.what = what
        self.remedy = remedy
    }

    /// `file: what; remedy`
    public var description: String { "\(file): \(what); \(remedy)" }
}
