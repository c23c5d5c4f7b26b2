/// A time that has passed, in the unit in which people think of it.
struct Age: CustomStringConvertible {
    var seconds: Int64

    var description: String {
        switch seconds {
        case ..<120: "\(seconds) s"
        case ..<7_200: "\(seconds / 60) min"
        case ..<172_800: "\(seconds / 3_600) h"
        case _: "\(seconds / 86_400) d"
        }
    }
}

/// Columns of text, as wide as their widest cell.
struct Table {
    var header: [String]
    var rows: [[String]]

    var text: String {
        let all = ([header] + rows).map { $0.map(Self.printable) }
        let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            let line = zip(row, widths).map { cell, width in
                cell + String(repeating: " ", count: width - cell.count)
            }.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed())
        }.joined(separator: "\n")
    }

    /// Cells hold text of providers and devices; a terminal must not take it for commands, nor show it in another order
    /// than it has.
    static func printable(_ cell: String) -> String {
        var plain = String.UnicodeScalarView()
        for scalar in cell.unicodeScalars { plain.append(isPrintable(scalar) ? scalar : "\u{fffd}") }
        return String(plain)
    }

    /// The same for text of several lines.
    static func printableLines(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { printable(String($0)) }
            .joined(separator: "\n")
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7f...0x9f: false
        // What turns the direction of reading, and ends of lines that are none of ours.
        case 0x61c, 0x200e, 0x200f, 0x2028...0x202e, 0x2066...0x2069: false
        case _: true
        }
    }
}

/// Rows as the other commands show them, for programs that bring their own.
public enum EventTable {
    /// Lines for a terminal: text of whoever wrote a file must not command it.
    public static func printableLines(_ text: String) -> String { Table.printableLines(text) }

    /// Columns under their heading, control characters made visible.
    public static func text(header: [String]?, rows: [[String]]) -> String {
        guard let header = header ?? rows.first else { return "" }
        return Table(header: header, rows: header == rows.first ? Array(rows.dropFirst()) : rows).text
    }
}
