import ArgumentParser
import Foundation
import Glibc

/// `gatepost-agent status`
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Prints the gateways of this machine and how each enrolment stands.",
        discussion: """
            Says of each gateway whether the certificate is good and renews itself, whose browsers are answered, \
            whether an agent answers at the port, and what the gateway may learn; then what about this machine \
            could not be found out. Words in capitals need somebody, and the exit status is 1 then.
            """)

    @OptionGroup var state: StateOptions
    @OptionGroup var inputs: SourceOptions

    func run() async throws {
        let folders = try state.opened().enrolledOrFail()
        let configuration = try inputs.configuration()
        let now = AgentClock.system.nowSeconds()
        var needsSomebody = false
        for folder in folders {
            do throws(AgentError) {
                let identity = try DeviceIdentity(folder: folder)
                let status = EnrolmentStatus(
                    enrolment: identity.enrolment, rules: configuration[identity.enrolment.authOrigin],
                    statement: StatementFile.state(in: identity, nowSeconds: now),
                    presences: ([identity.enrolment.port] + configuration.ports).map { ($0, .at($0)) },
                    nowSeconds: now)
                print(status.text)
                needsSomebody = needsSomebody || status.needsSomebody
            } catch {
                print("\(folder.path)\n  unusable      \(error)")
                needsSomebody = true
            }
        }
        let answers = CollectorProbe(path: inputs.collector, names: []).answer() != nil
        let without = answers ? "answers" : "does not answer: what only root can read is not known;"
        print("collector       \(without) at \(inputs.collector)")
        print(Self.facts(inputs.collector(HostRoot()), nowSeconds: now))
        if needsSomebody { throw ExitCode(1) }
    }

    private static func facts(_ collector: FactCollector, nowSeconds: Int64) -> String {
        let known = collector.sourced(nowSeconds: nowSeconds, patience: 10_000).count
        let unknown = collector.unknown(nowSeconds: nowSeconds).map(PermittedClaims.word)
        let names = Set(unknown).sorted().joined(separator: ", ")
        return "facts           \(known) known"
            + (names.isEmpty ? "" : "; not known: \(names) (see: gatepost-agent facts --sources)")
    }
}

/// One enrolment in words.
struct EnrolmentStatus {
    let enrolment: Enrolment
    let rules: AgentConfiguration.Gateway
    /// Of the management server's words, when a file holds some.
    var statement: (problem: String?, ends: Int64?) = (nil, nil)
    /// Who answers at the gateway's port and at the further ones; empty: nobody asked.
    var presences: [(port: UInt16, who: AgentPresence)] = []
    let nowSeconds: Int64

    var needsSomebody: Bool { isEnding || statement.problem != nil || isUnreachable }

    private var isUnreachable: Bool { !presences.isEmpty && !presences.contains { $0.who == .answers } }

    /// Ended, or so near its end that renewals must have failed for long.
    private var isEnding: Bool {
        enrolment.notAfterSeconds - nowSeconds
            < max(0, enrolment.notAfterSeconds - enrolment.renewedAtSeconds) / 4
    }

    var text: String {
        let users = rules.users ?? enrolment.users
        let left = enrolment.notAfterSeconds - nowSeconds
        var certificate = "until \(Self.day(enrolment.notAfterSeconds))"
        if left <= 0 {
            certificate += ", ENDED: enrol again with --force"
        } else if isEnding {
            certificate += ", renewals FAIL: see the journal"
        } else if enrolment.isRenewalDue(nowSeconds: nowSeconds) {
            certificate += ", renewal due"
        }
        let learns: String
        switch rules.permitted {
        case .all: learns = "whatever it asks for"
        case .only(let names): learns = names.isEmpty ? "nothing" : names.sorted().joined(separator: ", ")
        }
        return """
            \(enrolment.authOrigin)
              device        \(enrolment.deviceID)
              certificate   \(certificate), renewed \(Self.day(enrolment.renewedAtSeconds))
              gateway keys  announcement \(enrolment.keySequence)
              answers       \(users.isEmpty ? "its own user" : users.map(Self.name).joined(separator: ", "))
              port          \(portLine)
              may learn     \(learns)
            """ + statementLine
    }

    private var portLine: String {
        guard let first = presences.first else { return "\(enrolment.port)" }
        let other = presences.first { $0.who == .answers }.map(\.port)
        switch first.who {
        case .answers: return "\(enrolment.port), answered by an agent"
        case .another:
            let there = "\(enrolment.port), answered by ANOTHER PROGRAM (see: ss -tlnp)"
            return there + (other.map { "; an agent answers at \($0)" } ?? "")
        case .nobody:
            if let other { return "\(enrolment.port), answered by nobody; an agent answers at \(other)" }
            return "\(enrolment.port), answered by NOBODY: systemctl start gatepost-agent"
        }
    }

    private var statementLine: String {
        if let problem = statement.problem { return "\n  statement     NOT USED: \(problem)" }
        return statement.ends.map { "\n  statement     until \(Self.day($0))" } ?? ""
    }

    private static func day(_ seconds: Int64) -> String {
        Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
    }

    private static func name(_ user: UInt32) -> String {
        guard let entry = getpwuid(user), let name = entry.pointee.pw_name else { return "user \(user)" }
        return String(cString: name)
    }
}
