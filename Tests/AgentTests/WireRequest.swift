/// A request as it came, split and hardly judged.
struct WireRequest {
    var method = ""
    var target = ""
    var fields: [(name: String, value: String)] = []
    var body: [UInt8] = []
    /// Malformed: refused like everything else.
    var isBad = false

    /// - Parameters:
    ///   - takesBadHeads: a head counts whatever its size, with folded fields and zero bytes.
    ///   - takesAnyFraming: the first length counts, whatever else says where the body ends.
    /// - Returns: nil: the head is not complete.
    init?(_ bytes: [UInt8], takesBadHeads: Bool = false, takesAnyFraming: Bool = false) {
        guard let end = Self.headEnd(bytes) else {
            guard bytes.count > 8_192, !takesBadHeads else { return nil }
            isBad = true
            return
        }
        let lines = String(decoding: bytes[..<end], as: UTF8.self).split(
            separator: "\r\n", omittingEmptySubsequences: false)
        body = Array(bytes[(end + 4)...])
        let words = lines[0].split(separator: " ", omittingEmptySubsequences: false)
        isBad = words.count != 3
        if !takesBadHeads { isBad = isBad || end > 8_192 || bytes[..<end].contains(0) }
        guard words.count == 3 else { return }
        method = String(words[0])
        target = String(words[1])
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":"), line.first != " " else {
                isBad = isBad || !takesBadHeads
                continue
            }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            fields.append((line[..<colon].lowercased(), String(value)))
        }
        let lengths = all("content-length").count
        if !takesAnyFraming, lengths > 1 || (isChunked && lengths > 0) { isBad = true }
        if ["CONNECT", "TRACE"].contains(method) { isBad = true }
    }

    var length: Int { Int(first("content-length") ?? "0") ?? 0 }
    var isChunked: Bool { first("transfer-encoding") != nil }
    func first(_ name: String) -> String? { all(name).first }
    func all(_ name: String) -> [String] { fields.filter { $0.name == name }.map(\.value) }

    private static func headEnd(_ bytes: [UInt8]) -> Int? {
        guard bytes.count >= 4 else { return nil }
        for index in 0...(bytes.count - 4)
        where bytes[index] == 13 && bytes[index + 1] == 10 && bytes[index + 2] == 13 && bytes[index + 3] == 10
        {
            return index
        }
        return nil
    }
}
