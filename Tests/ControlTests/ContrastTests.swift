import Foundation
import Testing

@testable import Control

/// WCAG 2.2, 1.4.3 and 1.4.11, computed from the style sheet itself.
@Suite("The pages' colours can be told apart, in light and in dark")
struct ContrastTests {
    /// Text, and what it stands on.
    static let texts: [(String, String)] = [
        ("ink", "card"), ("ink", "paper"), ("ink", "line"), ("soft", "card"), ("soft", "paper"),
        ("accent", "card"), ("accent", "paper"), ("accent", "warn-paper"), ("accent-ink", "accent"),
        ("warn", "warn-paper"),
    ]
    /// The ring around what has the keyboard, buttons, and the edges of fields.
    static let parts: [(String, String)] = [("accent", "card"), ("accent", "paper"), ("soft", "card")]

    /// The sheet's colours by name: `:root{--name:#rrggbb;…}`, first for light, then what dark has instead.
    private static func colours(isDark: Bool) -> [String: String] {
        var found: [String: String] = [:]
        let blocks = Style.sheet.components(separatedBy: ":root{").dropFirst().prefix(isDark ? 2 : 1)
        for block in blocks {
            for line in block.prefix(while: { $0 != "}" }).split(separator: ";") {
                let parts = line.split(separator: ":", maxSplits: 1)
                guard parts.count == 2, parts[0].hasPrefix("--"), parts[1].hasPrefix("#") else { continue }
                found[String(parts[0].dropFirst(2))] = String(parts[1].dropFirst())
            }
        }
        return found
    }

    /// Relative luminance (WCAG 2.2, "relative luminance").
    private static func luminance(_ colour: String) throws -> Double {
        let digits = colour.count == 3 ? colour.map { "\($0)\($0)" }.joined() : colour
        let value = try #require(digits.count == 6 ? Int(digits, radix: 16) : nil)
        func channel(_ shift: Int) -> Double {
            let part = Double((value >> shift) & 0xff) / 255
            return part <= 0.04045 ? part / 12.92 : pow((part + 0.055) / 1.055, 2.4)
        }
        let (red, green, blue) = (channel(16), channel(8), channel(0))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    private static func contrast(_ one: String, _ other: String) throws -> Double {
        let (a, b) = (try luminance(one), try luminance(other))
        return (max(a, b) + 0.05) / (min(a, b) + 0.05)
    }

    @Test("black on white is 21 to 1, and a colour on itself 1") func known() throws {
        #expect(abs(try Self.contrast("000", "ffffff") - 21) < 0.001)
        #expect(try Self.contrast("1f6f54", "1f6f54") == 1)
        #expect(abs(try Self.contrast("777777", "ffffff") - 4.48) < 0.01)
    }

    @Test("text has 4.5 to 1 and what is no text 3 to 1", arguments: [false, true])
    func enough(_ isDark: Bool) throws {
        let colours = Self.colours(isDark: isDark)
        #expect(colours.count >= 9, "\(colours)")
        for (pairs, least) in [(Self.texts, 4.5), (Self.parts, 3)] {
            for (front, back) in pairs {
                let ratio = try Self.contrast(
                    try #require(colours[front], "\(front)"), try #require(colours[back], "\(back)"))
                #expect(ratio >= least, "\(front) on \(back): \(ratio), dark: \(isDark)")
            }
        }
    }
}
