import Foundation

/// Bytes of one connection, as a hostile client sends them.
struct Attack: CustomStringConvertible {
    var host = AttackStage.closed
    var bytes: [UInt8]
    /// Responses that are waited for.
    var answers = 1

    /// - Parameter text: every character is one byte (Latin-1).
    init(_ text: String, to host: String = AttackStage.closed, answers: Int = 1) {
        self.host = host
        self.answers = answers
        bytes = text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
    }

    /// - Parameter fields: lines without their ends.
    static func get(
        _ target: String, _ fields: String..., method: String = "GET", to host: String = AttackStage.closed,
        named: String? = nil
    ) -> Attack {
        let lines = ["Host: \(named ?? host)"] + fields
        return Attack("\(method) \(target) HTTP/1.1\r\n\(lines.joined(separator: "\r\n"))\r\n\r\n", to: host)
    }

    var description: String { String(String(decoding: bytes, as: UTF8.self).debugDescription.prefix(200)) }
}

/// What an attack came to.
struct Outcome {
    struct Reached: Decodable {
        var method: String?
        var target: String?
        var fields: [[String]]?
        /// Why the upstream's parser refused it.
        var malformed: String?

        /// Names as they arrived, and values.
        var named: [(name: String, value: String)] {
            (fields ?? []).map { pair in
                let digits = Array(pair[1].utf8)
                let bytes = stride(from: 0, to: digits.count, by: 2).compactMap {
                    UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)
                }
                return (pair[0], String(decoding: bytes, as: UTF8.self))
            }
        }
    }

    struct Answer: Decodable {
        var status: Int
        var fields: [[String]]
        var body: String

        var reason: String? { fields.first { $0[0] == "gatepost-reason" }?[1] }
    }

    private struct Raw: Decodable {
        var answers: [Answer]
        var end: String
        var reached: [Reached]
    }

    var attack: Attack
    var answers: [Answer]
    /// How the connection stood afterwards: `open`, `closed`, `timeout` or `broken: …`.
    var end: String
    /// What arrived at the upstream meanwhile.
    var reached: [Reached]

    var status: Int? { answers.first?.status }
    var said: String { "\(attack): \(answers.map { "\($0.status) \($0.reason ?? "")" }) \(end) \(reached)" }

    static func decode(_ json: String, _ attacks: [Attack]) throws -> [Outcome] {
        let all = try JSONDecoder().decode([Raw].self, from: Data(json.utf8))
        guard all.count == attacks.count else { throw Failure(description: "\(all.count) outcomes: \(json)") }
        return zip(attacks, all).map {
            Outcome(attack: $0, answers: $1.answers, end: $1.end, reached: $1.reached)
        }
    }
}

extension AttackStage {
    /// Sends each on a connection of its own, one after the other.
    func play(_ attacks: [Attack]) throws -> [Outcome] {
        let cases = attacks.map { attack -> [String: Any] in
            let digits = attack.bytes.map { String(format: "%02x", $0) }.joined()
            return ["name": "", "host": attack.host, "parts": [digits], "answers": attack.answers]
        }
        let job = try job(["record": path("python.seen"), "cases": cases])
        let json = try run("/usr/bin/python3", ["-B", Self.file("raw.py"), job], seconds: 100)
        return try Outcome.decode(json, attacks)
    }

    /// A file with what every program of the folder is told, and more.
    func job(_ more: [String: Any], port: Int = AttackStage.port) throws -> String {
        let common: [String: Any] = [
            "address": "127.0.0.1", "port": port, "authority": path("certs/dev-ca.pem"),
        ]
        let name = "job-\(UUID().uuidString).json"
        let data = try JSONSerialization.data(withJSONObject: common.merging(more) { $1 })
        try write(name, String(decoding: data, as: UTF8.self))
        return path(name)
    }
}
