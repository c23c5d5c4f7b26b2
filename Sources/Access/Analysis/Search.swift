/// Looks for a case of which given statements hold. Complete: `nothing` means that there is none, unless the search
/// was cut.
struct Search {
    enum Answer {
        /// Every choice among what is left is such a case.
        case found(Formulas.Domain)
        case nothing
        /// Given up after `stepsMax` steps: nobody knows.
        case undecided
    }

    /// A bound on one question, some tenths of a second. Questions of real policies take tens of steps; of 16,000
    /// random pairs of policies one took more than 20,000.
    static let stepsMax = 100_000

    private let formulas: Formulas
    private var steps = 0

    init(_ formulas: Formulas) { self.formulas = formulas }

    /// - Parameter guess: a case in which little holds. Most questions are answered by it, with the few values changed
    ///   that they ask for: that is tried before anything is searched, and counts only where every statement holds.
    mutating func first(
        of wanted: [Formulas.Node], in domain: Formulas.Domain, near guess: Formulas.Domain? = nil
    ) -> Answer {
        steps = 0
        if let guess, let found = changed(guess, for: wanted, in: domain) { return .found(found) }
        if let found = solve(wanted, domain) { return .found(found) }
        return steps > Self.stepsMax ? .undecided : .nothing
    }

    /// `guess`, with values changed one statement after the other; nil where they do not all hold at the end.
    private func changed(
        _ guess: Formulas.Domain, for wanted: [Formulas.Node], in domain: Formulas.Domain
    ) -> Formulas.Domain? {
        var found = guess
        for _ in 0..<2 {
            var isChanged = false
            for node in wanted where formulas.truth(node, in: found) != .yes {
                guard formulas.change(&found, to: node, in: domain) else { return nil }
                isChanged = true
            }
            if !isChanged { return found }
        }
        return nil
    }

    /// What is left once every conclusion is drawn that needs no choice; nil: there is no such case.
    func conclusions(of wanted: [Formulas.Node], in domain: Formulas.Domain) -> Formulas.Domain? {
        var (pending, domain, fewest) = (wanted, domain, (index: -1, count: Int.max))
        return propagate(&pending, &domain, &fewest) ? domain : nil
    }

    private mutating func solve(_ wanted: [Formulas.Node], _ start: Formulas.Domain) -> Formulas.Domain? {
        steps += 1
        guard steps <= Self.stepsMax else { return nil }
        var domain = start
        var pending = wanted
        // Where to branch: the statement with the fewest ways to hold.
        var fewest = (index: -1, count: Int.max)
        guard propagate(&pending, &domain, &fewest) else { return nil }
        guard fewest.index >= 0 else { return domain }
        let branch = pending.remove(at: fewest.index)
        for way in formulas.parts(of: branch) {
            if formulas.truth(way, in: domain) == .no { continue }
            if let found = solve(pending + [way], domain) { return found }
            // What was tried in vain need not be tried again beside another way.
            if formulas.nodes[way].kind == .literal, !remove(way, from: &domain) { return nil }
        }
        return nil
    }

    /// Draws every conclusion that needs no choice; false: they cannot all hold.
    private func propagate(
        _ pending: inout [Formulas.Node], _ domain: inout Formulas.Domain,
        _ fewest: inout (index: Int, count: Int)
    ) -> Bool {
        var isNarrower = true
        while isNarrower {
            isNarrower = false
            fewest = (-1, .max)
            var next: [Formulas.Node] = []
            next.reserveCapacity(pending.count)
            var index = 0
            while index < pending.count {
                let node = pending[index]
                index += 1
                switch formulas.nodes[node].kind {
                case .never: return false
                case .always: continue
                case .literal:
                    guard formulas.narrow(&domain, to: node, &isNarrower) else { return false }
                case .all:
                    pending += formulas.parts(of: node)
                case .any:
                    let (open, last, isSettled) = ways(of: node, domain)
                    if isSettled { continue }
                    if open == 0 { return false }
                    if open == 1 {
                        pending.append(last)
                    } else {
                        if open < fewest.count { fewest = (next.count, open) }
                        next.append(node)
                    }
                }
            }
            pending = next
        }
        return true
    }

    /// How many parts of an `any` may still hold, the last of them, and whether one certainly holds.
    private func ways(of node: Formulas.Node, _ domain: Formulas.Domain) -> (Int, Formulas.Node, Bool) {
        var open = 0
        var last = Formulas.never
        let record = formulas.nodes[node]
        for index in record.start..<(record.start + record.count) {
            let part = formulas.parts[index]
            switch formulas.truth(part, in: domain) {
            case .yes: return (0, part, true)
            case .indeterminate:
                open += 1
                last = part
            case .no: continue
            }
        }
        return (open, last, false)
    }

    private func remove(_ literal: Formulas.Node, from domain: inout Formulas.Domain) -> Bool {
        let record = formulas.nodes[literal]
        let shape = formulas.shapes[record.start]
        var left: UInt64 = 0
        for word in 0..<shape.wordCount {
            domain[shape.firstWord + word] &= ~formulas.words[record.count + word]
            left |= domain[shape.firstWord + word]
        }
        return left != 0
    }
}
