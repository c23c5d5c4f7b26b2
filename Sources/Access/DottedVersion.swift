/// A version of one to four decimal numbers between dots: `7.2`, `10.0.1`. Missing numbers are zero.
struct DottedVersion: Comparable {
    private let numbers: [Int]

    /// - Returns: nil for anything else, so that a strange version is not known rather than compared.
    init?(_ text: String) {
        let parts = text.utf8.split(separator: 0x2e, omittingEmptySubsequences: false)
        guard parts.count <= 4 else { return nil }
        var numbers: [Int] = []
        for part in parts {
            guard (1...9).contains(part.count) else { return nil }
            var number = 0
            for digit in part {
                guard digit >= 0x30 && digit <= 0x39 else { return nil }
                number = number * 10 + Int(digit - 0x30)
            }
            numbers.append(number)
        }
        self.numbers = numbers + Array(repeating: 0, count: 4 - numbers.count)
    }

    /// The dotted numbers that a version of an operating system or kernel begins with: `6.1.0` of
    /// `6.1.0-18-amd64`. What follows is left to whoever packaged it.
    init?(leading text: String) {
        let head = text.utf8.prefix { $0 == 0x2e || (0x30...0x39).contains($0) }
        guard head.count <= 64 else { return nil }
        self.init(head.last == 0x2e ? String(Substring(head.dropLast())) : String(Substring(head)))
    }

    static func < (left: DottedVersion, right: DottedVersion) -> Bool {
        left.numbers.lexicographicallyPrecedes(right.numbers)
    }
}
