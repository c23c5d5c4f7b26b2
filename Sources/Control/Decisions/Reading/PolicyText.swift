import Access
import Foundation

/// The JSON of a policy, cut between its applications: they are nearly all of it and say nothing of each other, so
/// they are decoded side by side.
struct PolicyText {
    private let bytes: [UInt8]
    /// Where each application stands.
    private var applications: [Range<Int>] = []
    /// Everything but the applications.
    private let others: [UInt8]

    /// Arrays and objects inside one another; what is deeper is decoded in one piece, by the decoder's own bound.
    private static let depthMax = 64
    private static let begin = Array(#"{"applications":["#.utf8)

    /// As if it were decoded in one piece.
    static func decoded(_ bytes: [UInt8]) throws -> PolicySnapshot {
        try PolicyText(bytes)?.decoded() ?? JSONDecoder().decode(PolicySnapshot.self, from: Data(bytes))
    }

    /// nil: it is not written as we write it, which the decoder has to judge as a whole.
    private init?(_ bytes: [UInt8]) {
        guard bytes.starts(with: Self.begin) else { return nil }
        var at = Self.begin.count
        while true {
            guard let end = Self.objectEnd(in: bytes, from: at) else { return nil }
            applications.append(at..<end)
            guard end < bytes.count, bytes[end] == UInt8(ascii: ",") else {
                at = end
                break
            }
            at = end + 1
        }
        let rest = bytes[at...]
        // Members twice, whatever hides them: the decoder says which one counts.
        guard rest.first == UInt8(ascii: "]"), !rest.contains(UInt8(ascii: "\\")),
            rest.firstRange(of: Array("\"applications\"".utf8)) == nil
        else { return nil }
        self.bytes = bytes
        others = Self.begin + rest
    }

    /// nil: some part of it is no policy's.
    private func decoded() -> PolicySnapshot? {
        guard
            var policy = try? JSONDecoder().decode(PolicySnapshot.self, from: Data(others)),
            policy.applications.isEmpty
        else { return nil }
        let read = onAllCores(applications) { [bytes] part -> [Application?] in
            guard let first = part.first, let last = part.last else { return [] }
            var text = Data("[".utf8)
            text.append(contentsOf: bytes[first.lowerBound..<last.upperBound])
            text.append(UInt8(ascii: "]"))
            return (try? JSONDecoder().decode([Application].self, from: text)) ?? [nil]
        }
        let found = read.compactMap { $0 }
        guard found.count == applications.count else { return nil }
        policy.applications = found
        return policy
    }

    /// Where the object that begins at a byte ends, by its brackets and strings alone.
    private static func objectEnd(in bytes: [UInt8], from start: Int) -> Int? {
        guard start < bytes.count, bytes[start] == UInt8(ascii: "{") else { return nil }
        var depth = 0
        var isInString = false
        var at = start
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "\\") where isInString: at += 1
            case UInt8(ascii: "\""): isInString.toggle()
            case _ where isInString: break
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                guard depth <= depthMax else { return nil }
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                if depth == 0 { return at + 1 }
            case _: break
            }
            at += 1
        }
        return nil
    }
}
