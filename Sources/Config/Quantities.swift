/// Reads durations and sizes. Every refusal says what to write instead.
enum Quantity {
    struct Refusal: Error {
        var problem: String
        var remedy: String
    }

    private static let durationUnits: [(String, Int64)] = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)]
    private static let sizeUnits: [(String, Int64)] = [("KiB", 1_024), ("MiB", 1_048_576)]

    /// Seconds.
    static func duration(_ text: String, in range: ClosedRange<Int64>) throws(Refusal) -> Int64 {
        let (number, unit) = split(text)
        let known = "use s, m, h or d"
        guard let number else { throw refuseNumber(text, "write a whole number and a unit, for example 15m") }
        if unit.isEmpty { throw Refusal(problem: "\"\(text)\" has no unit", remedy: known) }
        guard let factor = durationUnits.first(where: { $0.0 == unit })?.1 else {
            throw Refusal(problem: "\"\(text)\" has unknown unit \"\(unit)\"", remedy: known)
        }
        let (value, overflow) = number.multipliedReportingOverflow(by: factor)
        guard !overflow, range.contains(value) else {
            throw Refusal(
                problem: "\"\(text)\" is out of range",
                remedy: "use \(durationText(range.lowerBound)) to \(durationText(range.upperBound))")
        }
        return value
    }

    /// Bytes.
    static func size(_ text: String, in range: ClosedRange<Int64>) throws(Refusal) -> Int64 {
        let (number, unit) = split(text)
        guard let number else { throw refuseNumber(text, "write a whole number, alone or with KiB or MiB") }
        guard let factor = unit.isEmpty ? 1 : sizeUnits.first(where: { $0.0 == unit })?.1 else {
            throw Refusal(
                problem: "\"\(text)\" has unknown unit \"\(unit)\"",
                remedy: "use KiB, MiB or no unit for bytes")
        }
        let (value, overflow) = number.multipliedReportingOverflow(by: factor)
        guard !overflow, range.contains(value) else {
            throw Refusal(
                problem: "\"\(text)\" is out of range",
                remedy: "use \(range.lowerBound) to \(range.upperBound) bytes")
        }
        return value
    }

    /// A whole number with `%`.
    static func percent(_ text: String, in range: ClosedRange<Int64>) throws(Refusal) -> Int64 {
        let (number, unit) = split(text)
        let remedy = "use \(range.lowerBound)% to \(range.upperBound)%"
        guard let number else { throw refuseNumber(text, remedy) }
        guard unit == "%" else {
            throw Refusal(problem: "\"\(text)\" is no share in percent", remedy: remedy)
        }
        guard range.contains(number) else {
            throw Refusal(problem: "\"\(text)\" is out of range", remedy: remedy)
        }
        return number
    }

    /// A whole number without unit.
    static func integer(_ text: String, in range: ClosedRange<Int64>) throws(Refusal) -> Int64 {
        let (number, unit) = split(text)
        let remedy = "use a whole number from \(range.lowerBound) to \(range.upperBound)"
        guard let number, unit.isEmpty else { throw refuseNumber(text, remedy) }
        guard range.contains(number) else {
            throw Refusal(problem: "\"\(text)\" is out of range", remedy: remedy)
        }
        return number
    }

    /// The largest unit that divides it.
    static func durationText(_ seconds: Int64) -> String {
        guard seconds > 0 else { return "0s" }
        let unit = durationUnits.last { seconds % $0.1 == 0 } ?? ("s", 1)
        return "\(seconds / unit.1)\(unit.0)"
    }

    private static func split(_ text: String) -> (number: Int64?, unit: String) {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        return (Int64(digits), String(text.dropFirst(digits.count)))
    }

    private static func refuseNumber(_ text: String, _ remedy: String) -> Refusal {
        Refusal(problem: text.isEmpty ? "has no value" : "\"\(text)\" is not a whole number", remedy: remedy)
    }
}
