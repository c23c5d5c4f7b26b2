/// The members of a JSON object (RFC 8259 §4): names are unique, the order of insertion is kept for writing.
///
/// Two objects are equal when they have the same members in any order. Names are compared by code point.
/// Finding a member is linear up to 16 members and constant beyond.
public struct JSONObject: Sendable {
    /// Every member in order of insertion.
    public private(set) var members: [(name: String, value: JSONValue)]
    private var positions: [ExactName: Int] = [:]
    private static let linearMax = 16

    /// An object without members.
    public init() { members = [] }

    /// An object with `members` in their order; the last of two equal names wins, at the place of the first.
    ///
    /// Outside bytes never come this way: the parser refuses a doubled name.
    public init(_ members: [(String, JSONValue)]) {
        self.members = []
        self.members.reserveCapacity(members.count)
        for (name, value) in members { self[name] = value }
    }

    /// Adopts members whose names the parser has already proved to be different.
    init(distinct members: [(name: String, value: JSONValue)]) {
        self.members = members
        reindex()
    }

    /// The number of members.
    public var count: Int { members.count }
    /// Whether there is no member.
    public var isEmpty: Bool { members.isEmpty }
    /// The names in order of insertion.
    public var names: [String] { members.map(\.name) }

    /// The value of the member `name`. Setting nil removes the member; `.null` is a value.
    public subscript(name: String) -> JSONValue? {
        get { position(of: name).map { members[$0].value } }
        set {
            switch (position(of: name), newValue) {
            case (let position?, let value?):
                members[position].value = value
            case (let position?, nil):
                members.remove(at: position)
                reindex()
            case (nil, let value?):
                members.append((name, value))
                if !positions.isEmpty {
                    positions[ExactName(text: name)] = members.count - 1
                } else if members.count > Self.linearMax {
                    reindex()
                }
            case (nil, nil):
                break
            }
        }
    }

    private func position(of name: String) -> Int? {
        if !positions.isEmpty { return positions[ExactName(text: name)] }
        return members.firstIndex { $0.name.utf8.elementsEqual(name.utf8) }
    }

    private mutating func reindex() {
        positions = [:]
        guard members.count > Self.linearMax else { return }
        positions.reserveCapacity(members.count)
        for (position, member) in members.enumerated() { positions[ExactName(text: member.name)] = position }
    }
}

extension JSONObject: Hashable {
    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.members.count == right.members.count && left.members.allSatisfy { right[$0.name] == $0.value }
    }

    public func hash(into hasher: inout Hasher) {
        // Combined by exclusive or, because equality does not know the order of members.
        var sum = 0
        for member in members {
            var one = Hasher()
            one.combine(member.name)
            one.combine(member.value)
            sum ^= one.finalize()
        }
        hasher.combine(members.count)
        hasher.combine(sum)
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    /// A dictionary in source; the order is kept, and the last of two equal names wins.
    public init(dictionaryLiteral elements: (String, JSONValue)...) { self.init(elements) }
}

/// A name that equals only the same code points; `String` itself compares by canonical equivalence.
private struct ExactName: Hashable {
    let text: String
    static func == (left: ExactName, right: ExactName) -> Bool {
        left.text.utf8.elementsEqual(right.text.utf8)
    }
    func hash(into hasher: inout Hasher) { hasher.combine(text) }
}
