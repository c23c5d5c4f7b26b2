import Yams

/// One node of a configuration file: what the sections read, with its place and without anchors.
struct ConfigNode {
    indirect enum Content {
        /// `isPlain`: written without quotes, so `true` and `8` may be something else than text.
        case scalar(String, isPlain: Bool)
        case sequence([ConfigNode])
        case mapping([Entry])
    }

    /// One key of a mapping, in the order of the file.
    struct Entry {
        var name: String
        var place: Place
        var value: ConfigNode
    }

    var content: Content
    var place: Place

    /// What it is, for messages.
    var kindWord: String {
        switch content {
        case .scalar: "a single value"
        case .sequence: "a list"
        case .mapping: "a mapping"
        }
    }

    /// The key's value, when this is a mapping that has it.
    func child(_ name: String) -> ConfigNode? {
        guard case .mapping(let entries) = content else { return nil }
        return entries.first { $0.name == name }?.value
    }

    /// The text of a scalar.
    var scalarText: String? {
        guard case .scalar(let text, _) = content else { return nil }
        return text
    }
}

/// Turns the YAML library's tree into ours. Aliases are expanded here, under a budget: nested aliases
/// multiply ("billion laughs"), and everything after this walks a tree of bounded size.
struct NodeReader {
    static let depthMax = 32
    static let nodesMax = 100_000

    let diagnostics: Diagnostics
    let file: String
    let folder: String
    private var nodesLeft = nodesMax
    private var isExhausted = false

    init(diagnostics: Diagnostics, file: String, folder: String) {
        self.diagnostics = diagnostics
        self.file = file
        self.folder = folder
    }

    /// nil when a bound was reached (reported).
    mutating func read(_ node: Node, depth: Int = 0) -> ConfigNode? {
        let place = Place(file: file, folder: folder, line: node.mark?.line ?? 0)
        guard spend(at: place, depth: depth) else { return nil }
        switch node {
        case .scalar(let scalar):
            let isPlain = scalar.style == .plain || scalar.style == .any
            return ConfigNode(content: .scalar(scalar.string, isPlain: isPlain), place: place)
        case .sequence(let sequence):
            var items: [ConfigNode] = []
            for item in sequence {
                guard let read = read(item, depth: depth + 1) else { return nil }
                items.append(read)
            }
            return ConfigNode(content: .sequence(items), place: place)
        case .mapping(let mapping):
            guard let entries = read(mapping, depth: depth) else { return nil }
            return ConfigNode(content: .mapping(entries), place: place)
        case .alias:
            // The composer has replaced aliases by what they name.
            diagnostics.problem(place, "", "an alias names nothing", "write the value out")
            return nil
        }
    }

    private mutating func read(_ mapping: Node.Mapping, depth: Int) -> [ConfigNode.Entry]? {
        var entries: [ConfigNode.Entry] = []
        for (key, value) in mapping {
            let place = Place(file: file, folder: folder, line: key.mark?.line ?? 0)
            guard let name = key.scalar?.string else {
                diagnostics.problem(place, "", "a key is a list or a mapping", "use a plain word as key")
                continue
            }
            guard let read = read(value, depth: depth + 1) else { return nil }
            guard !DuplicateKeys.isMarked(name) else { continue }
            entries.append(ConfigNode.Entry(name: name, place: place, value: read))
        }
        return entries
    }

    private mutating func spend(at place: Place, depth: Int) -> Bool {
        guard !isExhausted else { return false }
        if depth > Self.depthMax {
            isExhausted = true
            diagnostics.problem(
                place, "", "nested more than \(Self.depthMax) levels deep",
                "no key needs that; check brackets")
            return false
        }
        nodesLeft -= 1
        if nodesLeft < 0 {
            isExhausted = true
            diagnostics.problem(
                place, "", "more than \(Self.nodesMax) values once aliases are expanded",
                "write fewer aliases")
            return false
        }
        return true
    }
}
