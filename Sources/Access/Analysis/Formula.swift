/// Statements about a case that analysis searches: "this axis has one of these values", joined by and and or. Nodes
/// stand in one array and name each other by index, because a search reads millions of them.
struct Formulas {
    /// A statement; the index of its node.
    typealias Node = Int

    enum Kind: UInt8 { case never, always, literal, all, any }

    /// Where the values of one axis stand in a `Domain`.
    struct Shape {
        var firstWord: Int
        var wordCount: Int
        var valueCount: Int
    }

    /// For each axis the values that are still possible, one bit each.
    typealias Domain = [UInt64]

    /// Holds in no case.
    static let never: Node = 0
    /// Holds in every case.
    static let always: Node = 1

    /// One statement.
    struct Record {
        var kind: Kind
        /// Of a literal its axis, of the others where their parts begin in `parts`.
        var start = 0
        /// Of a literal where its bits begin in `words`, of the others how many parts they have.
        var count = 0
        /// Of a literal of an axis of one word, which most are: where that stands in a domain, and its bits.
        var word = -1
        var mask: UInt64 = 0
    }

    private(set) var nodes = [Record(kind: .never), Record(kind: .always)]
    private(set) var parts: [Node] = []
    private(set) var words: [UInt64] = []
    private(set) var shapes: [Shape] = []
    /// Of each node its opposite; -1: not made yet.
    private var negations: [Node] = [Self.always, Self.never]
    private var wordCount = 0

    /// A new axis with so many values.
    mutating func axis(valueCount: Int) -> Int {
        let shape = Shape(firstWord: wordCount, wordCount: (valueCount + 63) / 64, valueCount: valueCount)
        shapes.append(shape)
        wordCount += shape.wordCount
        return shapes.count - 1
    }

    /// Everything is possible.
    var everything: Domain {
        var domain: Domain = []
        domain.reserveCapacity(wordCount)
        for shape in shapes {
            for word in 0..<shape.wordCount {
                let left = shape.valueCount - word * 64
                domain.append(left >= 64 ? ~0 : (1 << UInt64(left)) - 1)
            }
        }
        return domain
    }

    /// The axis has one of the values for which `isIn` is true.
    mutating func literal(_ axis: Int, where isIn: (Int) -> Bool) -> Node {
        let shape = shapes[axis]
        var bits = [UInt64](repeating: 0, count: shape.wordCount)
        var count = 0
        for value in 0..<shape.valueCount where isIn(value) {
            bits[value >> 6] |= 1 << UInt64(value & 63)
            count += 1
        }
        if count == 0 { return Self.never }
        if count == shape.valueCount { return Self.always }
        words += bits
        var record = Record(kind: .literal, start: axis, count: words.count - bits.count)
        if bits.count == 1 { (record.word, record.mask) = (shape.firstWord, bits[0]) }
        return add(record)
    }

    private mutating func add(_ record: Record) -> Node {
        nodes.append(record)
        negations.append(-1)
        return nodes.count - 1
    }

    /// All hold.
    mutating func all(_ nodes: [Node]) -> Node {
        joined(nodes, .all, neutral: Self.always, ruling: Self.never)
    }

    /// At least one holds.
    mutating func any(_ nodes: [Node]) -> Node {
        joined(nodes, .any, neutral: Self.never, ruling: Self.always)
    }

    /// Both hold.
    mutating func all(_ one: Node, _ other: Node) -> Node {
        if one == Self.never || other == Self.never { return Self.never }
        if one == Self.always || one == other { return other }
        return other == Self.always ? one : pair(one, other, .all)
    }

    /// One of two holds.
    mutating func any(_ one: Node, _ other: Node) -> Node {
        if one == Self.always || other == Self.always { return Self.always }
        if one == Self.never || one == other { return other }
        return other == Self.never ? one : pair(one, other, .any)
    }

    private mutating func pair(_ one: Node, _ other: Node, _ kind: Kind) -> Node {
        parts.append(one)
        parts.append(other)
        return add(Record(kind: kind, start: parts.count - 2, count: 2))
    }

    /// Does not hold.
    mutating func not(_ node: Node) -> Node {
        if negations[node] >= 0 { return negations[node] }
        let negation: Node
        let record = nodes[node]
        switch record.kind {
        case .never: negation = Self.always
        case .always: negation = Self.never
        case .literal:
            let bits = Array(words[record.count..<(record.count + shapes[record.start].wordCount)])
            negation = literal(record.start) { bits[$0 >> 6] >> UInt64($0 & 63) & 1 == 0 }
        case .all, .any:
            // By index: a slice would hold `parts` while it grows, and every step would copy all of it.
            var negated: [Node] = []
            negated.reserveCapacity(record.count)
            for index in record.start..<(record.start + record.count) { negated.append(not(parts[index])) }
            negation = record.kind == .all ? any(negated) : all(negated)
        }
        negations[node] = negation
        return negation
    }

    /// Of an `all` or `any`.
    func parts(of node: Node) -> ArraySlice<Node> {
        parts[nodes[node].start..<(nodes[node].start + nodes[node].count)]
    }

    /// What is left of a statement where only `domain` is possible.
    mutating func simplified(_ node: Node, in domain: Domain) -> Node {
        switch nodes[node].kind {
        case .never, .always: return node
        case .literal:
            switch truth(node, in: domain) {
            case .yes: return Self.always
            case .no: return Self.never
            case .indeterminate: return node
            }
        case .all: return simplified(node, in: domain, ruling: Self.never)
        case .any: return simplified(node, in: domain, ruling: Self.always)
        }
    }

    private mutating func simplified(_ node: Node, in domain: Domain, ruling: Node) -> Node {
        let record = nodes[node]
        var left: [Node] = []
        left.reserveCapacity(record.count)
        var isSame = true
        for index in record.start..<(record.start + record.count) {
            let part = parts[index]
            let next = simplified(part, in: domain)
            if next == ruling { return ruling }
            if next != part { isSame = false }
            left.append(next)
        }
        if isSame { return node }
        return record.kind == .all ? all(left) : any(left)
    }

    private mutating func joined(_ nodes: [Node], _ kind: Kind, neutral: Node, ruling: Node) -> Node {
        var open: [Node] = []
        open.reserveCapacity(nodes.count)
        for node in nodes where node != neutral {
            if node == ruling { return ruling }
            if !open.contains(node) { open.append(node) }
        }
        if open.isEmpty { return neutral }
        if open.count == 1 { return open[0] }
        parts += open
        return add(Record(kind: kind, start: parts.count - open.count, count: open.count))
    }
}

extension Formulas {
    /// What is certain of a statement while only `domain` is known; `indeterminate` may still be a tautology.
    func truth(_ node: Node, in domain: Domain) -> Ternary {
        let record = nodes[node]
        switch record.kind {
        case .never: return .no
        case .always: return .yes
        case .literal:
            if record.word >= 0 {
                let have = domain[record.word]
                if have & record.mask == 0 { return .no }
                return have & ~record.mask == 0 ? .yes : .indeterminate
            }
            return wideTruth(record, in: domain)
        case .all:
            var sum = Ternary.yes
            for index in record.start..<(record.start + record.count) {
                let next = truth(parts[index], in: domain)
                if next == .no { return .no }
                if next == .indeterminate { sum = .indeterminate }
            }
            return sum
        case .any:
            var sum = Ternary.no
            for index in record.start..<(record.start + record.count) {
                let next = truth(parts[index], in: domain)
                if next == .yes { return .yes }
                if next == .indeterminate { sum = .indeterminate }
            }
            return sum
        }
    }

    private func wideTruth(_ record: Record, in domain: Domain) -> Ternary {
        let shape = shapes[record.start]
        var isPossible = false
        var isCertain = true
        for word in 0..<shape.wordCount {
            let (have, mask) = (domain[shape.firstWord + word], words[record.count + word])
            if have & mask != 0 { isPossible = true }
            if have & ~mask != 0 { isCertain = false }
        }
        return !isPossible ? .no : isCertain ? .yes : .indeterminate
    }

    /// Keeps only what a literal admits; false: nothing is left. `isNarrower` becomes true when something went.
    func narrow(_ domain: inout Domain, to node: Node, _ isNarrower: inout Bool) -> Bool {
        let record = nodes[node]
        let shape = shapes[record.start]
        var left: UInt64 = 0
        for word in 0..<shape.wordCount {
            let index = shape.firstWord + word
            let next = domain[index] & words[record.count + word]
            if next != domain[index] { isNarrower = true }
            domain[index] = next
            left |= next
        }
        return left != 0
    }

    /// Changes the values of a case so that a statement holds, the first way that `domain` allows, without a look at
    /// what else held; false: no way was found, which says nothing.
    func change(_ found: inout Domain, to node: Node, in domain: Domain) -> Bool {
        let record = nodes[node]
        switch record.kind {
        case .never: return false
        case .always: return true
        case .literal:
            let shape = shapes[record.start]
            for word in 0..<shape.wordCount {
                let left = domain[shape.firstWord + word] & words[record.count + word]
                if left == 0 { continue }
                for other in 0..<shape.wordCount { found[shape.firstWord + other] = 0 }
                found[shape.firstWord + word] = left & (~left &+ 1)
                return true
            }
            return false
        case .all:
            for index in record.start..<(record.start + record.count)
            where truth(parts[index], in: found) != .yes {
                if !change(&found, to: parts[index], in: domain) { return false }
            }
            return true
        case .any:
            for index in record.start..<(record.start + record.count)
            where truth(parts[index], in: domain) != .no {
                if change(&found, to: parts[index], in: domain) { return true }
            }
            return false
        }
    }

    /// One case of a domain: the first value of every axis.
    func first(of domain: Domain) -> Domain {
        var found = domain
        for axis in shapes.indices { put(axis, at: firstValue(of: axis, in: domain), in: &found) }
        return found
    }

    /// Leaves one value of an axis.
    func put(_ axis: Int, at value: Int, in domain: inout Domain) {
        let shape = shapes[axis]
        for word in 0..<shape.wordCount { domain[shape.firstWord + word] = 0 }
        domain[shape.firstWord + value >> 6] = 1 << UInt64(value & 63)
    }

    /// The first value of an axis that is still possible.
    func firstValue(of axis: Int, in domain: Domain) -> Int {
        let shape = shapes[axis]
        for word in 0..<shape.wordCount where domain[shape.firstWord + word] != 0 {
            return word * 64 + domain[shape.firstWord + word].trailingZeroBitCount
        }
        return 0
    }
}
