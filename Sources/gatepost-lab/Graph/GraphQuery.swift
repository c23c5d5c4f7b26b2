/// The part of OData that Intune's collections understand: $top, $select, $count, $skip, $filter.

import JSON

/// Why a query was refused; becomes a 400 with code BadRequest.
struct QueryRefusal: Error, Equatable {
    var what: String
}

struct GraphQuery: Sendable {
    static let topMax = 1000

    struct Comparison: Sendable, Equatable {
        enum Operation: String, Sendable { case eq, ge }
        var field: String
        var operation: Operation
        var value: String
    }

    /// Fields that Intune is known to filter by, and with what.
    static let filterable: [String: Comparison.Operation] = [
        "azureADDeviceId": .eq, "complianceState": .eq, "operatingSystem": .eq, "deviceName": .eq,
        "serialNumber": .eq, "userPrincipalName": .eq, "lastSyncDateTime": .ge,
    ]

    var top = Self.topMax
    var select: [String] = []
    var wantsCount = false
    /// The vendor's known defect: a collection answers $skip with empty pages that have a next link.
    var hasSkip = false
    /// All of one kind: either every one must hold, or any.
    var comparisons: [Comparison] = []
    var matchesAny = false
    var skipToken: String?

    init(_ parameters: Parameters) throws(QueryRefusal) {
        for (name, value) in parameters.pairs {
            switch name {
            case "$top":
                guard let count = Int(value), (1...Self.topMax).contains(count) else {
                    throw QueryRefusal(what: "$top must be 1 to \(Self.topMax)")
                }
                top = count
            case "$select":
                select = value.split(separator: ",").map { String($0.drop { $0 == " " }) }
                guard !select.isEmpty else { throw QueryRefusal(what: "$select is empty") }
            case "$count":
                guard value == "true" || value == "false" else {
                    throw QueryRefusal(what: "$count is true or false")
                }
                wantsCount = value == "true"
            case "$skip": hasSkip = true
            case "$skiptoken": skipToken = value
            case "$filter": try readFilter(value)
            default:
                throw QueryRefusal(what: "query option '\(name)' is not supported")
            }
        }
    }

    private mutating func readFilter(_ text: String) throws(QueryRefusal) {
        var words = try Self.words(text)[...]
        var joiners: Set<String> = []
        while true {
            guard let field = words.popFirst(), let name = words.popFirst(), let value = words.popFirst()
            else {
                throw QueryRefusal(what: "$filter is incomplete")
            }
            guard let allowed = Self.filterable[field.text], !field.isQuoted else {
                throw QueryRefusal(what: "$filter by '\(field.text)' is not supported")
            }
            guard name.text == allowed.rawValue, value.isQuoted == (allowed == .eq) else {
                throw QueryRefusal(what: "$filter operator of '\(field.text)' is not supported")
            }
            comparisons.append(Comparison(field: field.text, operation: allowed, value: value.text))
            guard let joiner = words.popFirst() else { break }
            guard joiner.text == "or" || joiner.text == "and", !joiner.isQuoted else {
                throw QueryRefusal(what: "$filter has a word too many")
            }
            joiners.insert(joiner.text)
        }
        guard joiners.count <= 1 else { throw QueryRefusal(what: "$filter mixes 'and' with 'or'") }
        matchesAny = joiners.contains("or")
    }

    private struct Word {
        var text: String
        var isQuoted: Bool
    }

    /// Words by spaces; in quotes a doubled quote is one.
    private static func words(_ text: String) throws(QueryRefusal) -> [Word] {
        var words: [Word] = []
        var rest = Substring(text)
        while let character = rest.first {
            if character == " " {
                rest = rest.dropFirst()
                continue
            }
            guard character == "'" else {
                let word = rest.prefix { $0 != " " }
                words.append(Word(text: String(word), isQuoted: false))
                rest = rest.dropFirst(word.count)
                continue
            }
            rest = rest.dropFirst()
            var value = ""
            while true {
                value += rest.prefix { $0 != "'" }
                rest = rest.drop { $0 != "'" }
                guard !rest.isEmpty else { throw QueryRefusal(what: "$filter has an open quote") }
                rest = rest.dropFirst()
                guard rest.first == "'" else { break }
                value += "'"
                rest = rest.dropFirst()
            }
            words.append(Word(text: value, isQuoted: true))
        }
        return words
    }

    /// - Parameter onlyFirst: the vendor's defect that only the first branch of an `or` finds anything
    func matches(_ record: JSONObject, onlyFirst: Bool) -> Bool {
        func holds(_ comparison: Comparison) -> Bool {
            guard let value = record[comparison.field]?.string else { return false }
            switch comparison.operation {
            case .eq: return value.lowercased() == comparison.value.lowercased()
            // RFC 3339 in UTC sorts as text.
            case .ge: return value >= comparison.value
            }
        }
        guard matchesAny else { return comparisons.allSatisfy(holds) }
        return onlyFirst ? comparisons.prefix(1).allSatisfy(holds) : comparisons.contains(where: holds)
    }

    /// The record with the selected members; `id` always.
    func reduce(_ record: JSONObject) -> JSONObject {
        guard !select.isEmpty else { return record }
        return JSONObject(
            record.members.filter { $0.name == "id" || select.contains($0.name) }.map { ($0.name, $0.value) })
    }
}
