import JSON
import Posture
import Signatures

/// `gatepost status` and `gatepost integrations`: the certificates and lists that device checks stand on.
struct AgentStatusText {
    var certificates: [TrustCertificate]
    var lists: [RevocationListStatus]
    /// Integrations that accept answers under the server's own key.
    var sharedKeys: [String]
    var nowSeconds: Int64

    init(_ services: Services, nowSeconds: Int64) async {
        certificates = await services.posture.trustCertificates()
        lists = await services.posture.revocationLists()
        sharedKeys = await services.posture.sharedKeyIntegrations()
        self.nowSeconds = nowSeconds
    }

    /// Only what somebody has to do something about.
    var warnings: [String] {
        sharedKeys.map { "\($0): unsafe-static: any device can speak for every device" }
            + states.compactMap { state in
                state.problem.map {
                    "\(state.trust.integration): \(state.trust.use.rawValue): \($0); \(state.remedy)"
                }
            }
            + lists.compactMap { list in problem(of: list).map { "\(list.integration): \(list.path): \($0)" }
            }
    }

    /// Every certificate and every list, then the warnings.
    var lines: [String] {
        guard !certificates.isEmpty else { return warnings }
        let rows = states.map { state in
            [
                state.trust.integration, state.trust.use.rawValue, state.name,
                CertificateState.time(state.trust.certificate.notAfterSeconds),
                state.secondsLeft > 0 ? "\(Age(seconds: state.secondsLeft))" : "ended",
            ]
        }
        let table = Table(header: ["integration", "for", "certificate", "ends at", "in"], rows: rows).text
        let counts = lists.compactMap { list in
            list.count.map { "\(list.integration): \(list.path): \($0) revoked certificates" }
        }
        return [table] + counts + warnings
    }

    private var states: [CertificateState] {
        certificates.map { CertificateState($0, nowSeconds: nowSeconds) }
    }

    private func problem(of list: RevocationListStatus) -> String? {
        if let problem = list.problem { return "the file is not used: \(problem)" }
        guard let next = list.nextUpdateSeconds, nowSeconds >= next else { return nil }
        return "the list ended at \(CertificateState.time(next)); put a newer one there"
    }

    var json: JSONValue {
        [
            "certificates": .array(
                states.map { state in
                    [
                        "integration": .string(state.trust.integration),
                        "use": .string(state.trust.use.rawValue), "name": .string(state.name),
                        "not_before": .integer(state.trust.certificate.notBeforeSeconds),
                        "not_after": .integer(state.trust.certificate.notAfterSeconds),
                        "problem": state.problem.map { .string($0) } ?? .null,
                    ]
                }),
            "revocation_lists": .array(
                lists.map { list in
                    [
                        "integration": .string(list.integration), "file": .string(list.path),
                        "count": list.count.map { .integer(Int64($0)) } ?? .null,
                        "next_update": list.nextUpdateSeconds.map { .integer($0) } ?? .null,
                        "problem": problem(of: list).map { .string($0) } ?? .null,
                    ]
                }),
            "unsafe_static": .array(sharedKeys.map { .string($0) }),
        ]
    }
}
