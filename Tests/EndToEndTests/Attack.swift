import Foundation

/// Bytes of one connection, as a hostile client sends them.
struct Attack: CustomStringConvertible {
    var host = AttackStage.closed
    var bytes: [UInt8]
    /// Responses that are waited for.
    var answers = 1
    /// The same as fields, for HTTP/2; nil: only the bytes say what is meant.
    private var fields: [(name: String, value: String)]?
    private(set) var version = Version.http1

    enum Version: CaseIterable { case http1, http2 }

    /// - Parameter text: every character is one byte (Latin-1).
    init(_ text: String, to host: String = AttackStage.closed, answers: Int = 1) {
        self.host = host
        self.answers = answers
        bytes = Self.bytes(text)
    }

    /// - Parameter fields: lines without their ends.
    static func get(
        _ target: String, _ fields: String..., method: String = "GET", to host: String = AttackStage.closed,
        named: String? = nil
    ) -> Attack { get(target, lines: fields, method: method, to: host, named: named) }

    static func get(
        _ target: String, lines: [String], method: String = "GET", to host: String = AttackStage.closed,
        named: String? = nil
    ) -> Attack {
        let all = ["Host: \(named ?? host)"] + lines
        var attack = Attack(
            "\(method) \(target) HTTP/1.1\r\n\(all.joined(separator: "\r\n"))\r\n\r\n", to: host)
        let pseudo: [(name: String, value: String)] = [
            (":method", method), (":scheme", "https"), (":authority", named ?? host), (":path", target),
        ]
        attack.fields = pseudo + lines.map(field)
        return attack
    }

    /// A line as a field: only what stands in front of the value's begin is left out, as both versions do.
    private static func field(_ line: String) -> (name: String, value: String) {
        guard let colon = line.dropFirst().firstIndex(of: ":") else { return (line.lowercased(), "") }
        let value = line[line.index(after: colon)...].drop { $0 == " " }
        return (line[..<colon].lowercased(), String(value))
    }

    /// The same request in that version.
    func over(_ version: Version) -> Attack {
        precondition(version == .http1 || fields != nil, "an attack of bytes alone: \(self)")
        var other = self
        other.version = version
        return other
    }

    /// What the program that sends it is told.
    var job: [String: Any] {
        var job: [String: Any] = ["name": "", "host": host]
        if version == .http2 {
            job["fields"] = (fields ?? []).map {
                [Self.hex(Self.bytes($0.name)), Self.hex(Self.bytes($0.value))]
            }
        } else {
            job["parts"] = [Self.hex(bytes)]
            job["answers"] = answers
        }
        return job
    }

    private static func bytes(_ text: String) -> [UInt8] {
        text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { String(format: "%02x", $0) }.joined()
    }

    var description: String {
        "\(version) " + String(String(decoding: bytes, as: UTF8.self).debugDescription.prefix(200))
    }
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
        var source: String
        var answers: [Answer]
        var end: String
        var reached: [Reached]
    }

    var attack: Attack
    /// The address that the connection came from.
    var source: String
    var answers: [Answer]
    /// How the connection stood afterwards: `open`, `closed`, `timeout` or `broken: …`.
    var end: String
    /// What arrived at the upstream meanwhile.
    var reached: [Reached]

    var status: Int? { answers.first?.status }
    /// In HTTP/2 what is malformed is reset (RFC 9113 §8.1.1).
    var isReset: Bool { attack.version == .http2 && answers.isEmpty && end == "reset 1" }
    var said: String { "\(attack): \(answers.map { "\($0.status) \($0.reason ?? "")" }) \(end) \(reached)" }

    static func decode(_ json: String, _ attacks: [Attack]) throws -> [Outcome] {
        let all = try JSONDecoder().decode([Raw].self, from: Data(json.utf8))
        guard all.count == attacks.count else { throw Failure(description: "\(all.count) outcomes: \(json)") }
        return zip(attacks, all).map {
            Outcome(attack: $0, source: $1.source, answers: $1.answers, end: $1.end, reached: $1.reached)
        }
    }
}

extension AttackStage {
    /// Sends each on a connection of its own, one after the other; all in the same version.
    func play(_ attacks: [Attack]) throws -> [Outcome] {
        let job = try job(["record": path("python.seen"), "cases": attacks.map(\.job)])
        let isHTTP2 = attacks.first?.version == .http2
        let (python, program) =
            isHTTP2 ? (try Programs.httpClients(), "raw2.py") : ("/usr/bin/python3", "raw.py")
        let json = try run(python, ["-B", Self.file(program), job], seconds: 100)
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
