/// What every section needs while it is read.
final class ReadContext {
    let diagnostics = Diagnostics()
    let environment: [String: String]
    let readsFiles: Bool
    /// What conditions may name; filled before applications are read.
    var names = ConditionNames()
    /// `gateway.link-schemes`; nil before, and where the gateway's section cannot be read.
    var linkSchemes: [String]?
    /// Files that were named and read, for whoever watches them.
    var filesRead: Set<String> = []

    init(environment: [String: String], readsFiles: Bool) {
        self.environment = environment
        self.readsFiles = readsFiles
    }
}

/// Reads one mapping by its key table: unknown and missing keys are reported when it is made, values when
/// they are asked for. A getter returns nil when the key is absent or wrong; wrong ones have been reported.
struct SectionReader {
    let table: KeyTable
    let path: String
    let place: Place
    let context: ReadContext
    private var entries: [String: ConfigNode.Entry] = [:]

    /// nil when the node is no mapping (reported).
    ///
    /// `siblings` are tables of other kinds: their keys get a message of their own.
    init?(
        _ node: ConfigNode, _ table: KeyTable, path: String, _ context: ReadContext, siblings: [KeyTable] = []
    ) {
        self.table = table
        self.path = path
        self.place = node.place
        self.context = context
        guard case .mapping(let entries) = node.content else {
            context.diagnostics.problem(
                node.place, path, "must be a mapping, not \(node.kindWord)",
                "write key: value pairs, for example \(table.keys[0].name): \(table.keys[0].example)")
            return nil
        }
        for entry in entries { accept(entry, siblings) }
        for spec in table.keys where spec.isRequired && self.entries[spec.name] == nil {
            problem(spec.name, at: place, "is missing", "add it, for example \(spec.name): \(spec.example)")
        }
    }

    private mutating func accept(_ entry: ConfigNode.Entry, _ siblings: [KeyTable]) {
        if table[entry.name] != nil {
            entries[entry.name] = entry
            return
        }
        if entry.name == "<<" {
            problem(entry.name, at: entry.place, "merge keys are not supported", "write the keys out")
            return
        }
        if let owner = siblings.first(where: { $0[entry.name] != nil })?.kind {
            problem(entry.name, at: entry.place, "belongs to provider \(owner)", "remove it here")
            return
        }
        let known = table.keys.map(\.name)
        let remedy =
            NearestName.of(entry.name, among: known).map { "did you mean \($0)?" }
            ?? "remove it or use one of \(known.joined(separator: ", "))"
        problem(entry.name, at: entry.place, "is not a key that is known here", remedy)
    }

    // Messages

    func key(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

    func problem(_ name: String, at place: Place, _ problem: String, _ remedy: String) {
        context.diagnostics.problem(place, key(name), problem, remedy)
    }

    /// Reports a problem at the key's own line (the section's when it is absent).
    func problem(_ name: String, _ problem: String, _ remedy: String) {
        self.problem(name, at: entries[name]?.place ?? place, problem, remedy)
    }

    /// A key that is legal here but changes nothing: an error, because somebody relies on it.
    func ineffective(_ name: String, because reason: String, _ remedy: String) {
        guard has(name) else { return }
        problem(name, "has no effect: \(reason)", remedy)
    }

    // Values

    func has(_ name: String) -> Bool { node(name) != nil }

    func place(of name: String) -> Place { entries[name]?.place ?? place }

    func node(_ name: String) -> ConfigNode? {
        precondition(table[name] != nil, "\(table.title) has no key \(name) in its table")
        return entries[name]?.value
    }

    /// The mapping below a key; nil when it is not there, or is none (reported).
    func section(_ name: String, _ table: KeyTable) -> SectionReader? {
        node(name).flatMap { SectionReader($0, table, path: key(name), context) }
    }

    /// The names that are there, in the table's order.
    var presentNames: [String] { table.keys.map(\.name).filter { entries[$0] != nil } }

    /// One value; not empty.
    func text(_ name: String) -> String? { node(name).flatMap { scalar($0, name)?.text } }

    func flag(_ name: String) -> Bool? {
        guard let node = node(name), let (text, isPlain) = scalar(node, name) else { return nil }
        if isPlain && (text == "true" || text == "false") { return text == "true" }
        problem(name, "\"\(text)\" is not true or false", "use true or false, without quotes")
        return nil
    }

    func choice(_ name: String) -> String? {
        guard let text = text(name) else { return nil }
        return choice(text, name)
    }

    func integer(_ name: String) -> Int64? {
        guard case .integer(let range)? = table[name]?.shape, let text = text(name) else { return nil }
        return quantity(name) { () throws(Quantity.Refusal) in try Quantity.integer(text, in: range) }
    }

    /// Seconds.
    func duration(_ name: String) -> Int64? {
        guard case .duration(let range)? = table[name]?.shape, let text = text(name) else { return nil }
        return quantity(name) { () throws(Quantity.Refusal) in try Quantity.duration(text, in: range) }
    }

    /// Seconds, or nil for `off`; what is not there, or cannot be read, is the standard.
    func durationOrOff(_ name: String, standard: Int64) -> Int64? {
        guard case .durationOrOff(let range)? = table[name]?.shape, let text = text(name) else {
            return standard
        }
        if text == "off" { return nil }
        return quantity(name) { () throws(Quantity.Refusal) in try Quantity.duration(text, in: range) }
    }

    /// Bytes.
    func size(_ name: String) -> Int64? {
        guard case .size(let range)? = table[name]?.shape, let text = text(name) else { return nil }
        return quantity(name) { () throws(Quantity.Refusal) in try Quantity.size(text, in: range) }
    }

    /// Percent.
    func percent(_ name: String) -> Int64? {
        guard case .percent(let range)? = table[name]?.shape, let text = text(name) else { return nil }
        return quantity(name) { () throws(Quantity.Refusal) in try Quantity.percent(text, in: range) }
    }

    /// The items of a list (`oneOrMore` shapes take a single value too). An empty list is a problem.
    func items(_ name: String, offering offered: [String] = []) -> [ConfigNode]? {
        guard let node = node(name) else { return nil }
        if case .sequence(let items) = node.content {
            guard items.isEmpty else { return items }
            let remedy = offered.isEmpty ? "remove the key or name at least one" : "name at least one of "
            problem(name, "list is empty", remedy + offered.joined(separator: ", "))
            return nil
        }
        if case .oneOrMore? = table[name]?.shape { return [node] }
        problem(name, "must be a list, not \(node.kindWord)", "write [ … ], even around one value")
        return nil
    }

    /// A list of texts without doubles.
    func texts(_ name: String, offering offered: [String] = []) -> [String]? {
        guard let items = items(name, offering: offered) else { return nil }
        var values: [String] = []
        for (index, item) in items.enumerated() {
            guard let text = scalar(item, "\(name)[\(index)]")?.text else { continue }
            if values.contains(text) {
                problem("\(name)[\(index)]", at: item.place, "\"\(text)\" is listed twice", "remove one")
                continue
            }
            values.append(text)
        }
        return values
    }

    /// The text of a node that belongs to the key `name` (which may carry an index).
    func scalar(_ node: ConfigNode, _ name: String) -> (text: String, isPlain: Bool)? {
        guard case .scalar(let text, let isPlain) = node.content else {
            problem(name, at: node.place, "must be a single value, not \(node.kindWord)", "write one value")
            return nil
        }
        let isNull = isPlain && (text.isEmpty || text == "~" || text == "null")
        guard !isNull, !text.isEmpty else {
            problem(name, at: node.place, "has no value", "give it one or remove the key")
            return nil
        }
        guard text.utf8.count <= 4_096,
            !text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F })
        else {
            problem(
                name, at: node.place, "has a control character or more than 4096 bytes",
                "write it on one line")
            return nil
        }
        return (text, isPlain)
    }

    /// The text when it is one of the key's choices.
    func choice(_ text: String, _ name: String, at place: Place? = nil) -> String? {
        let shape = table[name.prefixBeforeBracket]?.shape
        guard let choices = shape?.choices else {
            preconditionFailure("\(name) of \(table.title) is no choice")
        }
        if choices.contains(text) { return text }
        let nearest = NearestName.of(text, among: choices).map { "did you mean \($0)? " } ?? ""
        let remedy = "\(nearest)use one of \(choices.joined(separator: ", "))"
        problem(name, at: place ?? self.place(of: name), "\"\(text)\" is not known", remedy)
        return nil
    }

    private func quantity(_ name: String, _ read: () throws(Quantity.Refusal) -> Int64) -> Int64? {
        do { return try read() } catch {
            problem(name, error.problem, error.remedy)
            return nil
        }
    }
}

extension Shape {
    /// Whether names are free, so that several files may add some.
    var isNamed: Bool {
        switch self {
        case .named, .namedKinds: true
        default: false
        }
    }

    /// The choices of a choice, also inside a list.
    var choices: [String]? {
        if case .choice(let choices) = self { return choices }
        if case .list(.choice(let choices)) = self { return choices }
        if case .oneOrMore(.choice(let choices)) = self { return choices }
        if case .alternative(let choices, _) = self { return choices }
        return nil
    }
}

extension String {
    /// `methods[2]` → `methods`.
    fileprivate var prefixBeforeBracket: String { String(prefix { $0 != "[" }) }
}
