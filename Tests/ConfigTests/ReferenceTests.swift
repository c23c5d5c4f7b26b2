import Foundation
import Testing

@testable import Config

@Suite("The reference and the schema are made from the tables that validate")
struct ReferenceTests {
    static let document = "\(Repository.root)/docs/configuration.md"
    static let begin = "<!-- keys: made from the key tables; UPDATE_GOLDEN=1 rewrites them -->\n"
    static let end = "<!-- end of keys -->\n"

    @Test func `every key is documented with its default, unit and example`() throws {
        let text = try String(contentsOfFile: Self.document, encoding: .utf8)
        let head = try #require(text.range(of: Self.begin))
        let tail = try #require(text.range(of: Self.end))
        let made = text[..<head.upperBound] + Reference.markdown() + text[tail.lowerBound...]
        try expectGolden(Self.document, String(made))
    }

    @Test func `the schema is JSON and knows every key`() throws {
        let object = try JSONSerialization.jsonObject(with: Data(ConfigSchema.json().utf8))
        let root = try #require(object as? [String: Any])
        let properties = try #require(root["properties"] as? [String: Any])
        #expect(Set(properties.keys) == Set(RootSection.table.keys.map(\.name)))
        #expect(root["additionalProperties"] as? Bool == false)
        let text = ConfigSchema.json()
        for table in Reference.tables(of: RootSection.table) {
            for key in table.keys { #expect(text.contains("\"\(key.name)\""), "\(key.name)") }
        }
    }

    @Test func `every limit of the data plane has its key`() {
        let members = Mirror(reflecting: LimitSettings()).children.count
        #expect(LimitsSection.table.keys.count == members)
    }
}

/// The reference's tables.
enum Reference {
    /// Every table below one, each once, in the order of the keys.
    static func tables(of table: KeyTable) -> [KeyTable] {
        var found: [KeyTable] = []
        func visit(_ table: KeyTable) {
            if table.title == DeviceRuleSection.anyTable.title && table.kind == nil {
                DeviceRuleSection.tables.forEach(visit)
                return
            }
            guard !found.contains(where: { $0.title == table.title && $0.kind == table.kind }) else { return }
            found.append(table)
            for key in table.keys { inner(key.shape).forEach(visit) }
        }
        visit(table)
        return found
    }

    private static func inner(_ shape: Shape) -> [KeyTable] {
        switch shape {
        case .section(let table), .variant(let table), .named(let table): [table]
        case .alternative(_, let table): [table]
        case .either(let short, let table): inner(short) + [table]
        case .namedKinds(_, let tables): tables
        case .list(let item), .oneOrMore(let item): inner(item)
        case .text, .host, .url, .flag, .integer, .duration, .durationOrOff, .size, .percent, .choice, .file,
            .privateFile, .secret,
            .texts,
            .facts:
            []
        }
    }

    static func markdown() -> String {
        tables(of: RootSection.table).map(section).joined()
    }

    private static func section(_ table: KeyTable) -> String {
        let kind = table.kind.map { " (provider `\($0)`)" } ?? ""
        let title = table.title == RootSection.table.title ? "The top level" : "`\(table.title)`"
        var text =
            "\n### \(title)\(kind)\n\n"
            + "| key | value | default | meaning | example |\n| --- | --- | --- | --- | --- |\n"
        for key in table.keys {
            let standard = key.standard ?? "**required**"
            text +=
                "| `\(key.name)` | \(words(key.shape)) | \(standard) | \(key.summary) | `\(key.example)` |\n"
        }
        return text
    }

    private static func words(_ shape: Shape) -> String {
        switch shape {
        case .text: "text"
        case .host: "host name"
        case .url: "URL"
        case .flag: "`true`, `false`"
        case .integer(let range):
            range.lowerBound == range.upperBound
                ? "\(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
        case .duration(let range):
            "duration, `\(Quantity.durationText(range.lowerBound))` to "
                + "`\(Quantity.durationText(range.upperBound))`"
        case .durationOrOff(let range): words(.duration(range)) + ", or `off`"
        case .size(let range): "bytes, \(range.lowerBound) to \(range.upperBound)"
        case .percent(let range): "percent, `\(range.lowerBound)%` to `\(range.upperBound)%`"
        case .choice(let choices): choices.map { "`\($0)`" }.joined(separator: ", ")
        case .file: "file"
        case .privateFile: "private file"
        case .secret: "secret"
        case .list(let item): "list of \(words(item))"
        case .oneOrMore(let item): "one or a list of \(words(item))"
        case .texts: "name: text pairs"
        case .facts: "values"
        case .alternative(let choices, _):
            choices.map { "`\($0)`" }.joined(separator: ", ") + ", or a mapping, below"
        case .either(let short, _): words(short) + ", or a mapping, below"
        case .section, .variant: "mapping, below"
        case .named, .namedKinds: "name: mapping pairs, below"
        }
    }
}
