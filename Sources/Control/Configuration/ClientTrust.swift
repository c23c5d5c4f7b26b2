import Config
import JSON
import Posture
import Signatures
import Synchronization

/// What client certificates are judged by: authorities that end, and lists that are missing or end.
struct ClientTrust: Sendable {
    /// Authorities of one listener.
    static let authoritiesMax = 100

    /// A list, and whose it is; or that there is none.
    struct List: Sendable, Hashable {
        /// The listener's key in the configuration.
        var listener: String
        var authority: String
        /// Two lists of one authority are two.
        var thisUpdateSeconds: Int64
        /// nil: the authority has none.
        var nextUpdateSeconds: Int64?

        enum Stage: Int, Sendable, Comparable {
            case good, near, ended, missing

            static func < (left: Stage, right: Stage) -> Bool { left.rawValue < right.rawValue }
        }

        /// Near: a fifth of its time is left, at most two days.
        func stage(nowSeconds: Int64) -> Stage {
            guard let end = nextUpdateSeconds else { return .missing }
            if nowSeconds >= end { return .ended }
            let near = min((end - thisUpdateSeconds) / 5, 2 * CertificateState.daySeconds)
            return end - nowSeconds <= near ? .near : .good
        }

        /// nil: nothing is the matter.
        func problem(nowSeconds: Int64) -> String? {
            let end = CertificateState.time(nextUpdateSeconds ?? 0)
            switch stage(nowSeconds: nowSeconds) {
            case .good: return nil
            case .near:
                let left = Age(seconds: (nextUpdateSeconds ?? 0) - nowSeconds)
                return
                    "the revocation list of \(authority) ends at \(end), in \(left); then its certificates are refused"
            case .ended:
                return "the revocation list of \(authority) ended at \(end): its certificates are refused"
            case .missing: return "\(authority) has no revocation list: its certificates are refused"
            }
        }

        static let remedy = "put its newest list into the file"
    }

    var certificates: [TrustCertificate] = []
    var lists: [List] = []
    /// Files that are not used as they are.
    var refused: [(listener: String, problem: String)] = []

    /// - Parameter files: the lists in use.
    init(_ listeners: [ListenerSettings], _ files: [ClientLists.File]) {
        for (index, listener) in listeners.enumerated() {
            guard let settings = listener.clientCertificates else { continue }
            let key = "gateway.listeners[\(index)]"
            let authorities = Certificate.readable(
                pem: settings.authoritiesPEM, countMax: Self.authoritiesMax)
            certificates += authorities.map {
                TrustCertificate(integration: key, use: .clients, certificate: $0)
            }
            guard let file = files.first(where: { $0.listener == index }) else { continue }
            if let problem = file.problem ?? file.refusal {
                refused.append((key, "\(file.path): \(problem)"))
            }
            lists += file.lists.map {
                List(
                    listener: key, authority: $0.issuerName, thisUpdateSeconds: $0.thisUpdateSeconds,
                    nextUpdateSeconds: $0.nextUpdateSeconds)
            }
            lists += authorities.filter { authority in !file.lists.contains { $0.isOf(authority) } }.map {
                List(
                    listener: key, authority: $0.subjectCommonName ?? "serial \($0.serialHex)",
                    thisUpdateSeconds: 0, nextUpdateSeconds: nil)
            }
        }
    }

    /// What `check` says of a configuration's own files.
    static func findings(
        _ config: ConfigSnapshot, path: String, nowSeconds: Int64
    ) -> (problems: [ConfigProblem], warnings: [ConfigProblem]) {
        let files = ClientLists()
        do throws(ControlFailure) {
            try files.take(config.gateway.listeners)
        } catch {
            return (
                [
                    ConfigProblem(
                        file: path, line: 0, key: "gateway.listeners", problem: error.what,
                        remedy: "name a file with revocation lists, in PEM or one in DER")
                ], []
            )
        }
        let trust = ClientTrust(config.gateway.listeners, files.files)
        let ends = trust.states(nowSeconds).compactMap { state in
            state.problem.map { (state.trust.integration, "authorities", $0, state.remedy) }
        }
        let lists = trust.lists.compactMap { list in
            list.problem(nowSeconds: nowSeconds).map { (list.listener, "crl", $0, List.remedy) }
        }
        return (
            [],
            (ends + lists).map { listener, key, problem, remedy in
                ConfigProblem(
                    file: path, line: 0, key: "\(listener).client-certificates.\(key)", problem: problem,
                    remedy: remedy)
            }
        )
    }

    private func states(_ nowSeconds: Int64) -> [CertificateState] {
        certificates.map { CertificateState($0, nowSeconds: nowSeconds) }
    }

    /// What somebody has to do something about.
    func warnings(nowSeconds: Int64) -> [String] {
        states(nowSeconds).compactMap { state in
            state.problem.map { "\(state.trust.integration).client-certificates: \($0); \(state.remedy)" }
        }
            + lists.compactMap { list in
                list.problem(nowSeconds: nowSeconds).map {
                    "\(list.listener).client-certificates: \($0); \(List.remedy)"
                }
            } + refused.map { "\($0.listener).client-certificates: the file is not used: \($0.problem)" }
    }

    func json(nowSeconds: Int64) -> JSONValue {
        [
            "authorities": .array(
                states(nowSeconds).map { state in
                    [
                        "listener": .string(state.trust.integration), "name": .string(state.name),
                        "not_after": .integer(state.trust.certificate.notAfterSeconds),
                        "problem": state.problem.map { .string($0) } ?? .null,
                    ]
                }),
            "revocation_lists": .array(
                lists.map { list in
                    [
                        "listener": .string(list.listener), "authority": .string(list.authority),
                        "next_update": list.nextUpdateSeconds.map { .integer($0) } ?? .null,
                        "problem": list.problem(nowSeconds: nowSeconds).map { .string($0) } ?? .null,
                    ]
                }),
            "refused_files": .array(refused.map { .string($0.problem) }),
        ]
    }
}

/// What was last said of lists' ends, so that the event log tells each stage once.
final class ListEnds: Sendable {
    private let told = Mutex<[ClientTrust.List: ClientTrust.List.Stage]>([:])

    /// For the event log: lists that came nearer to their end since the last call. A clock that jumps back takes
    /// nothing back.
    func news(_ lists: [ClientTrust.List], nowSeconds: Int64) -> [[(String, JSONValue)]] {
        told.withLock { told in
            let here = Set(lists)
            told = told.filter { here.contains($0.key) }
            return lists.compactMap { list in
                let stage = list.stage(nowSeconds: nowSeconds)
                guard stage != .good, stage > told[list] ?? .good else { return nil }
                told[list] = stage
                return [
                    ("listener", .string(list.listener)), ("authority", .string(list.authority)),
                    ("ends_at", list.nextUpdateSeconds.map { .string(CertificateState.time($0)) } ?? .null),
                    ("what", .string(list.problem(nowSeconds: nowSeconds) ?? "")),
                    ("remedy", .string(ClientTrust.List.remedy)),
                ]
            }
        }
    }
}

extension ControlPlane {
    var clientTrust: ClientTrust { ClientTrust(services.config.gateway.listeners, clientLists.files) }
}
