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
        let all = [header] + rows.map { $0.map(Self.printable) }
        let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            let line = zip(row, widths).map { cell, width in
                cell + String(repeating: " ", count: width - cell.count)
            }.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed())
        }.joined(separator: "\n")
    }

    /// Cells hold text of providers and devices; a terminal must not take it for commands.
    static func printable(_ cell: String) -> String {
        var plain = String.UnicodeScalarView()
        for scalar in cell.unicodeScalars {
            let isControl = scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
            plain.append(isControl ? "\u{fffd}" : scalar)
        }
        return String(plain)
    }
}
