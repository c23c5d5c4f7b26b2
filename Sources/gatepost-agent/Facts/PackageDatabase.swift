import JSON

/// What is installed, by dpkg's own file or by rpm.
struct PackageDatabase {
    static let statusPath = "/var/lib/dpkg/status"
    static let statusBytesMax = 32 << 20
    static let rpm = "/usr/bin/rpm"

    let machine: Machine

    init(_ machine: Machine) { self.machine = machine }

    /// Debian policy 5.6.1 and rpm's names: nothing that a command could take for an option.
    static func isName(_ name: String) -> Bool {
        guard (1...128).contains(name.utf8.count), let first = name.utf8.first, first != 0x2d else {
            return false
        }
        return name.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                || [0x2b, 0x2d, 0x2e, 0x5f].contains(byte)
        }
    }

    /// Whether a package is installed, in at least that version; nil: no database could be read.
    func has(_ name: String, minimumVersion: String?) -> Bool? {
        if machine.root.exists(Self.statusPath) {
            guard let bytes = machine.root.bytes(Self.statusPath, bytesMax: Self.statusBytesMax) else {
                return nil
            }
            let versions = Self.installed(name, status: bytes)
            return meets(versions, minimumVersion) { PackageVersion.debian($0, $1) }
        }
        let query = ProbeCommand(
            path: Self.rpm, arguments: ["-q", "--queryformat", "%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\n", name])
        switch machine.commands.run(query) {
        case .ended(0, let output):
            guard let text = String(validating: output, as: UTF8.self) else { return nil }
            let versions = text.split(separator: "\n").prefix(64).map(String.init)
            return meets(versions, minimumVersion) { PackageVersion.rpm($0, $1) }
        // rpm says 1 for "not installed", and in its own words; other failures look different.
        case .ended(1, let output):
            let text = String(validating: output, as: UTF8.self) ?? ""
            return text.contains("is not installed") ? false : nil
        case .ended, .notRun, .timedOut, .tooMuchOutput, .failed: return nil
        }
    }

    /// Every installed copy must be new enough: the old one of two can still be the one that runs.
    private func meets(_ versions: [String], _ minimum: String?, _ compare: (String, String) -> Int) -> Bool {
        guard let minimum else { return !versions.isEmpty }
        return !versions.isEmpty && versions.allSatisfy { compare($0, minimum) >= 0 }
    }

    /// The versions of a package that are fully installed, one for each architecture.
    static func installed(_ name: String, status: [UInt8]) -> [String] {
        var versions: [String] = []
        var package: ArraySlice<UInt8>?
        var isInstalled = false
        var version: ArraySlice<UInt8>?
        func value(_ line: ArraySlice<UInt8>, _ field: StaticString) -> ArraySlice<UInt8>? {
            let isField = field.withUTF8Buffer { line.starts(with: $0) }
            guard isField else { return nil }
            return line.dropFirst(field.utf8CodeUnitCount).drop { $0 == 0x20 }
        }
        func end() {
            if isInstalled, let package, package.elementsEqual(name.utf8), let version,
                let text = String(validating: version, as: UTF8.self), !text.isEmpty
            {
                versions.append(text)
            }
            (package, isInstalled, version) = (nil, false, nil)
        }
        for line in status.split(separator: 0x0a, omittingEmptySubsequences: false) {
            if line.isEmpty {
                end()
            } else if let found = value(line, "Package:") {
                package = found
            } else if let found = value(line, "Status:") {
                isInstalled = found.split(separator: 0x20).last?.elementsEqual("installed".utf8) == true
            } else if let found = value(line, "Version:") {
                version = found
            }
        }
        // What is not ended by an empty line was cut off in the middle of being written.
        return versions
    }
}

/// Versions as package managers order them.
enum PackageVersion {
    /// Debian policy 5.6.12. Negative, 0 or positive.
    static func debian(_ left: String, _ right: String) -> Int {
        let (a, b) = (parts(left), parts(right))
        if a.epoch != b.epoch { return a.epoch < b.epoch ? -1 : 1 }
        let upstream = debianPart(a.upstream, b.upstream)
        return upstream != 0 ? upstream : debianPart(a.revision, b.revision)
    }

    /// rpm's own order of epoch, version and release.
    static func rpm(_ left: String, _ right: String) -> Int {
        let (a, b) = (parts(left), parts(right))
        if a.epoch != b.epoch { return a.epoch < b.epoch ? -1 : 1 }
        let version = rpmPart(a.upstream, b.upstream)
        // A release that is not asked for is not compared.
        return version != 0 || a.revision.isEmpty || b.revision.isEmpty
            ? version : rpmPart(a.revision, b.revision)
    }

    private static func parts(_ text: String) -> (epoch: Int, upstream: [UInt8], revision: [UInt8]) {
        var rest = Array(text.utf8)[...]
        var epoch = 0
        if let colon = rest.firstIndex(of: 0x3a) {
            epoch = Int(String(decoding: rest[..<colon], as: UTF8.self)) ?? 0
            rest = rest[(colon + 1)...]
        }
        guard let dash = rest.lastIndex(of: 0x2d) else { return (epoch, Array(rest), []) }
        return (epoch, Array(rest[..<dash]), Array(rest[(dash + 1)...]))
    }

    private static func isDigit(_ byte: UInt8?) -> Bool { byte.map { (0x30...0x39).contains($0) } ?? false }
    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7a).contains(byte | 0x20) }

    /// "~" before the end, the end before letters, letters before the rest.
    private static func weight(_ byte: UInt8?) -> Int {
        guard let byte else { return 0 }
        if byte == 0x7e { return -1 }
        if isDigit(byte) { return 0 }
        return isLetter(byte) ? Int(byte) : Int(byte) + 256
    }

    private static func debianPart(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var (a, b) = (left[...], right[...])
        while !a.isEmpty || !b.isEmpty {
            while a.first.map({ !isDigit($0) }) ?? false || b.first.map({ !isDigit($0) }) ?? false {
                let (one, other) = (weight(a.first), weight(b.first))
                if one != other { return one - other }
                a = a.dropFirst()
                b = b.dropFirst()
            }
            let numbers = number(&a, &b)
            if numbers != 0 { return numbers }
        }
        return 0
    }

    /// Takes the digits at the beginning of both and compares them, of any length.
    private static func number(_ a: inout ArraySlice<UInt8>, _ b: inout ArraySlice<UInt8>) -> Int {
        let one = a.prefix { isDigit($0) }.drop { $0 == 0x30 }
        let other = b.prefix { isDigit($0) }.drop { $0 == 0x30 }
        a = a.drop { isDigit($0) }
        b = b.drop { isDigit($0) }
        if one.count != other.count { return one.count < other.count ? -1 : 1 }
        if one.elementsEqual(other) { return 0 }
        return one.lexicographicallyPrecedes(other) ? -1 : 1
    }

    private static func rpmPart(_ left: [UInt8], _ right: [UInt8]) -> Int {
        func isWord(_ byte: UInt8) -> Bool { isDigit(byte) || isLetter(byte) }
        func isMark(_ byte: UInt8) -> Bool { byte == 0x7e || byte == 0x5e }
        var (a, b) = (left[...], right[...])
        while !a.isEmpty || !b.isEmpty {
            a = a.drop { !isWord($0) && !isMark($0) }
            b = b.drop { !isWord($0) && !isMark($0) }
            // "~" is before everything, also before the end; "^" is after the end and before everything else.
            if a.first == 0x7e || b.first == 0x7e {
                guard a.first == b.first else { return a.first == 0x7e ? -1 : 1 }
                (a, b) = (a.dropFirst(), b.dropFirst())
                continue
            }
            if a.first == 0x5e || b.first == 0x5e {
                if a.isEmpty { return -1 }
                if b.isEmpty { return 1 }
                guard a.first == b.first else { return a.first == 0x5e ? -1 : 1 }
                (a, b) = (a.dropFirst(), b.dropFirst())
                continue
            }
            guard let one = a.first, let other = b.first else { break }
            if isDigit(one) != isDigit(other) { return isDigit(one) ? 1 : -1 }
            if isDigit(one) {
                let numbers = number(&a, &b)
                if numbers != 0 { return numbers }
            } else {
                let (word, counter) = (a.prefix { isLetter($0) }, b.prefix { isLetter($0) })
                if !word.elementsEqual(counter) { return word.lexicographicallyPrecedes(counter) ? -1 : 1 }
                (a, b) = (a.dropFirst(word.count), b.dropFirst(counter.count))
            }
        }
        if a.isEmpty && b.isEmpty { return 0 }
        return a.isEmpty ? -1 : 1
    }
}
