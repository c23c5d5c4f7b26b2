/// A query in which a name may come several times.
struct RepeatedParameters {
    private var pairs: [(name: String, value: String)]

    init(_ query: String) {
        pairs = query.split(separator: "&").compactMap { part in
            let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Parameters.decode(halves[0]) else { return nil }
            return (name, halves.count == 2 ? Parameters.decode(halves[1]) ?? "" : "")
        }
    }

    subscript(_ name: String) -> String? { pairs.first { $0.name == name }?.value }
    func all(_ name: String) -> [String] { pairs.filter { $0.name == name }.map(\.value) }
}
