import Access
import ArgumentParser
import Config
import Foundation
import JSON

/// Questions about all cases at once, answered from the configuration alone; nothing has to run.
struct Analyze: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Answer questions about everybody a configuration lets in, exactly.",
        discussion: """
            No gateway is asked and none has to run. Answers are exact: every kind of person, device, moment and
            request that the policies can tell apart is taken into account. Where that could not be done, the
            answer says so.
            """,
        subcommands: [Reach.self, Unreachable.self, Equal.self, Cost.self])

    /// From now on: what only held in the past is never reached.
    static var nowSeconds: Int64 { Int64(Date().timeIntervalSince1970) }

    struct Reach: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Which applications let in somebody who is signed in, on such a device, and by which policy.",
            discussion: """
                --device takes a class of the device policies (compliant, partial, denied), "none", what at least one
                provider says (noncompliant, not_managed, grace, unknown, …), or what one provider says:
                intune=noncompliant, falcon=compliant. Several are all meant together.
                """)
        @Option(help: "windows, macos, linux, ios, android or chromeos; any when absent.") var platform:
            String?
        @Option(help: "The device's class or what providers say of it; any when absent.") var device:
            [String] = []
        @Option(help: "Only this person (email address); anybody when absent.") var user: String?
        @Option(help: "Only somebody in this group; several: in all of them.") var group: [String] = []
        @Option(help: "Only this application.") var application: String?
        @Flag(help: "With each policy a case that it lets in.") var examples = false
        @Flag(help: "Print JSON.") var json = false
        @OptionGroup var config: ConfigOption

        func run() throws {
            let snapshot = try ConfigurationFile(path: config.path, readsFiles: false).loadOrReport().policy
            let analysis = PolicyAnalysis(snapshot, fromSeconds: Analyze.nowSeconds)
            let query = ReachQuery(device: try deviceQuery(analysis.integrations), email: user, groups: group)
            let asked = try Analyze.applications(snapshot, named: application)
            let begun = ContinuousClock.now
            let reaches = Analyze.each(asked, analysis) { ($1, $0.reach(of: $1, query)) }
            let took = ContinuousClock.now - begun
            if json {
                print(
                    JSONValue.object(["applications": .array(reaches.map(AnalyzeJSON.reach))])
                        .serializedText())
            } else {
                print(AnalyzeText.reach(reaches, withExamples: examples) + Analyze.time(took))
            }
        }

        func deviceQuery(_ integrations: [String]) throws -> DeviceQuery {
            var query = DeviceQuery()
            if let platform {
                guard let known = Platform(rawValue: platform) else {
                    throw ValidationError(
                        "\(platform) is no platform; name one of \(Analyze.list(Platform.self)).")
                }
                query.platform = known
                query.isShown = true
            }
            for word in device {
                if word == "none" {
                    guard device.count == 1, platform == nil else {
                        throw ValidationError("\"none\" stands alone: no device is shown.")
                    }
                    query.isShown = false
                    continue
                }
                query.isShown = true
                if let known = DeviceClass(rawValue: word) {
                    query.deviceClass = known
                } else {
                    query.sayings.append(try saying(word, integrations))
                }
            }
            return query
        }

        private func saying(_ word: String, _ integrations: [String]) throws -> DeviceQuery.Saying {
            let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
            let name = parts.count == 2 ? parts[0] : nil
            if let name, !integrations.contains(name) {
                throw ValidationError(
                    "no policy asks an integration named \(name); these are asked: "
                        + "\(integrations.joined(separator: ", ")).")
            }
            // Administrators write names as in the configuration, verdicts have the vendors' underscores.
            let state = (parts.last ?? "").replacing("-", with: "_")
            guard let known = Verdict.State(rawValue: state) else {
                throw ValidationError(
                    "\(word) is no class (\(Analyze.list(DeviceClass.self))) and no state "
                        + "(\(Analyze.list(Verdict.State.self))).")
            }
            return DeviceQuery.Saying(integration: name, state: known)
        }
    }

    struct Unreachable: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Policies and device policies that nothing can reach, and conditions that never hold.",
            discussion: "Each with the earlier policies that decide all that it would.")
        @Option(help: "Only this application.") var application: String?
        @Flag(help: "Print JSON.") var json = false
        @OptionGroup var config: ConfigOption

        func run() throws {
            let snapshot = try ConfigurationFile(path: config.path, readsFiles: false).loadOrReport().policy
            let analysis = PolicyAnalysis(snapshot, fromSeconds: Analyze.nowSeconds)
            let asked = try Analyze.applications(snapshot, named: application)
            let begun = ContinuousClock.now
            let findings = Analyze.each(asked, analysis) { ($1, $0.unreachable(in: $1)) }
            let devices = analysis.unreachableDevicePolicies()
            let took = ContinuousClock.now - begun
            if json {
                print(AnalyzeJSON.unreachable(findings, devices).serializedText())
            } else {
                print(AnalyzeText.unreachable(findings, devices) + Analyze.time(took))
            }
        }
    }

    struct Equal: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Whether two configurations decide every case alike; if not, a case that they decide differently.",
            discussion: """
                Compared is who is let in, to what, and whether nobody is sent to sign in. Texts, names of policies and
                the words of refusals make no difference. Exit status: 0 equal, 1 different, 3 not known.
                """)
        @Argument(help: "A configuration: a YAML file, or a folder of *.yaml files.") var first: String
        @Argument(help: "The other one.") var second: String
        @Flag(help: "Print JSON.") var json = false

        func run() throws {
            let one = try ConfigurationFile(path: first, readsFiles: false).loadOrReport().policy
            let other = try ConfigurationFile(path: second, readsFiles: false).loadOrReport().policy
            let begun = ContinuousClock.now
            let analysis = PolicyAnalysis(one, fromSeconds: Analyze.nowSeconds)
            let rows =
                Analyze.each(one.applications, analysis) {
                    (application: $1.name, $0.comparison(of: $1, with: other))
                } + analysis.onlyIn(other)
            let took = ContinuousClock.now - begun
            if json {
                print(AnalyzeJSON.comparison(rows, one, other).serializedText())
            } else {
                print(AnalyzeText.comparison(rows, (first, one), (second, other)) + Analyze.time(took))
            }
            let isUndecided = rows.contains { if case .undecided = $0.1 { true } else { false } }
            let isDifferent = rows.contains {
                switch $0.1 {
                case .equal, .undecided: false
                case .different, .onlyInFirst, .onlyInSecond: true
                }
            }
            if isDifferent { throw ExitCode(1) }
            if isUndecided { throw ExitCode(3) }
        }
    }

    /// One answer for each application, on all cores; what is learned of devices stays with its core.
    fileprivate static func each<Answer: Sendable>(
        _ applications: [Application], _ analysis: PolicyAnalysis,
        _ ask: @Sendable (inout PolicyAnalysis, Application) -> Answer
    ) -> [Answer] {
        let parts = max(1, min(ProcessInfo.processInfo.activeProcessorCount, applications.count))
        let answers = LockedValue<[Int: [Answer]]>([:])
        DispatchQueue.concurrentPerform(iterations: parts) { part in
            var analysis = analysis
            let bounds = (part * applications.count / parts)..<((part + 1) * applications.count / parts)
            let own = applications[bounds].map { ask(&analysis, $0) }
            answers.change { $0[part] = own }
        }
        let all = answers.get()
        return (0..<parts).flatMap { all[$0] ?? [] }
    }

    /// How long the analysis alone took, in words.
    fileprivate static func time(_ duration: Duration) -> String {
        let milliseconds =
            duration.components.seconds * 1_000 + duration.components.attoseconds / 1_000_000_000_000_000
        return "\nanalysed in \(milliseconds) ms"
    }

    static func applications(_ snapshot: PolicySnapshot, named name: String?) throws -> [Application] {
        guard let name else { return snapshot.applications }
        guard let application = snapshot.application(named: name) else {
            throw ValidationError("no application is named \(name).")
        }
        return [application]
    }

    fileprivate static func list<Word: CaseIterable & RawRepresentable>(_ type: Word.Type) -> String
    where Word.RawValue == String {
        type.allCases.map(\.rawValue).joined(separator: ", ")
    }
}
