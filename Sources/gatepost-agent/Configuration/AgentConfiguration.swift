import Foundation
import Glibc
import JSON

/// What the machine's administrator decides about the agent: further ports, and for each gateway what it may
/// learn and whose browsers are answered. One JSON file; without it the gateway's port and the users named at
/// enrolment count, and every claim that is asked for is answered.
///
/// JSON, because the product's strict reader is in the agent anyway: bounded, and a member that is doubled or
/// unknown is an error. A mistake stops the agent; it never widens what is said.
struct AgentConfiguration: Sendable {
    static let defaultPath = "/etc/gatepost-agent/agent.json"
    static let bytesMax = 64 << 10
    static let portsMax = 8

    struct Gateway: Sendable {
        var permitted = PermittedClaims.all
        /// Instead of those named at enrolment; nil: those.
        var users: [UInt32]?
    }

    /// Tried in this order when a gateway's own port is taken. The gateway must list them too.
    var ports: [UInt16] = []
    /// By the gateway's origin.
    var gateways: [[UInt8]: Gateway] = [:]

    /// Once any gateway is named, one that is not learns nothing: a slip in its name must not tell it everything.
    subscript(origin: String) -> Gateway {
        gateways[Array(origin.utf8)] ?? Gateway(permitted: gateways.isEmpty ? .all : .only([]))
    }

    init() {}

    /// - Parameter path: nil reads the default file, which may be missing.
    init(path: String?) throws(AgentError) {
        let file = path ?? Self.defaultPath
        var info = stat()
        guard stat(file, &info) == 0 else {
            guard path == nil, errno == ENOENT else {
                throw AgentError("\(file): cannot be read", remedy: "name a file with --config")
            }
            self.init()
            return
        }
        // Whoever can write here decides what the agent tells, and to whom it answers.
        guard info.st_uid == 0 || info.st_uid == geteuid(), info.st_mode & 0o022 == 0 else {
            throw AgentError(
                "\(file): others can change it", remedy: "run: chown root \(file); chmod 644 \(file)")
        }
        guard info.st_mode & S_IFMT == S_IFREG, info.st_size <= Self.bytesMax,
            let data = FileManager.default.contents(atPath: file), data.count <= Self.bytesMax
        else {
            throw AgentError("\(file): cannot be read", remedy: "make it a readable file of at most 64 KiB")
        }
        do throws(Problem) {
            try self.init(bytes: Array(data))
        } catch {
            throw AgentError("\(file): \(error.what)", remedy: "see docs/agent.md, or remove the file")
        }
    }

    struct Problem: Error {
        var what: String
    }

    init(bytes: [UInt8], user: (String) -> UInt32? = { try? LocalUsers.identifier($0) }) throws(Problem) {
        guard let value = try? JSONValue(parsing: bytes, limits: JSONLimits(bytesMax: Self.bytesMax)),
            let members = value.object
        else { throw Problem(what: "no JSON object, or a member stands in it twice") }
        for (name, value) in members.members {
            switch name {
            case "ports": ports = try Self.ports(value)
            case "gateways":
                guard let entries = value.object else { throw Problem(what: "gateways: is no object") }
                for (origin, rules) in entries.members {
                    guard Enrolment.isOrigin(origin) else {
                        throw Problem(what: "gateways: \(origin) is no https://host[:port]")
                    }
                    gateways[Array(origin.utf8)] = try Self.gateway(rules, origin, user)
                }
            default: throw Problem(what: "\(name): is unknown; known are ports and gateways")
            }
        }
    }

    private static func ports(_ value: JSONValue) throws(Problem) -> [UInt16] {
        let numbers = (value.array ?? []).compactMap { $0.integer.flatMap(UInt16.init(exactly:)) }
        guard let list = value.array, numbers.count == list.count, list.count <= portsMax,
            // Lower ones need a privilege that the agent has not.
            numbers.allSatisfy({ $0 >= 1024 }), Set(numbers).count == numbers.count
        else { throw Problem(what: "ports: is no list of at most \(portsMax) different ports from 1024 on") }
        return numbers
    }

    private static func gateway(
        _ value: JSONValue, _ origin: String, _ user: (String) -> UInt32?
    ) throws(Problem) -> Gateway {
        guard let members = value.object else { throw Problem(what: "\(origin): is no object") }
        var gateway = Gateway()
        for (name, value) in members.members {
            let words = (value.array ?? []).compactMap(\.string)
            guard let list = value.array, words.count == list.count else {
                throw Problem(what: "\(origin).\(name): is no list of names")
            }
            switch name {
            case "permit":
                if let unknown = words.first(where: { !PermittedClaims.isName($0) }) {
                    throw Problem(what: "\(origin).permit: no fact is called \(unknown)")
                }
                gateway.permitted = .only(Set(words))
            case "users":
                var identifiers: [UInt32] = []
                for word in words {
                    guard let found = user(word) else {
                        throw Problem(what: "\(origin).users: there is no local user \(word)")
                    }
                    identifiers.append(found)
                }
                guard !identifiers.isEmpty else { throw Problem(what: "\(origin).users: names nobody") }
                gateway.users = identifiers
            default: throw Problem(what: "\(origin).\(name): is unknown; known are permit and users")
            }
        }
        return gateway
    }
}
