import ArgumentParser
import Foundation
import Glibc

/// `gatepost-agent status`
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Prints the gateways of this machine and how each enrolment stands.",
        discussion: "Ends with status 1 when one of them needs somebody.")

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
                    statement: StatementFile.state(in: identity, nowSeconds: now), nowSeconds: now)
                print(status.text)
                needsSomebody = needsSomebody || status.needsSomebody
            } catch {
                print("\(folder.path)\n  unusable      \(error)")
                needsSomebody = true
            }
        }
        let answers = CollectorProbe(path: inputs.collector, names: []).answer() != nil
        print("collector       \(answers ? "answers" : "does not answer") at \(inputs.collector)")
        if needsSomebody { throw ExitCode(1) }
    }
}

/// One enrolment in words.
struct EnrolmentStatus {
    let enrolment: Enrolment
    let rules: AgentConfiguration.Gateway
    /// Of the management server's words, when a file holds some.
    var statement: (problem: String?, ends: Int64?) = (nil, nil)
    let nowSeconds: Int64

    var needsSomebody: Bool { isEnding || statement.problem != nil }

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
              port          \(enrolment.port)
              may learn     \(learns)
            """ + statementLine
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
