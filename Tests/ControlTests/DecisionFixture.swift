import Access
import Border
import Config
import Foundation
import Glibc
import JSON
import Signatures
import Synchronization
import Testing

@testable import Control

/// A decision log in a folder of its own, and facts to fill it with.
final class DecisionFixture: Sendable {
    static let start: Int64 = 1_800_000_000

    let folder: String
    let settings: DecisionLogSettings
    private let clock = Mutex<Int64>(start)
    private let monotonic = Mutex<UInt64>(0)
    private let isDiskFull = Mutex(false)

    init(bytesMax: Int64 = 1 << 30) {
        folder = FileManager.default.temporaryDirectory.appending(path: "decisions-\(UUID().uuidString)").path
        settings = DecisionLogSettings(folder: folder, bytesMax: bytesMax, ageSecondsMax: 30 * 86_400)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    var now: Int64 { clock.withLock { $0 } }
    func advance(_ seconds: Int64) { clock.withLock { $0 += seconds } }
    func advance(monotonicNanoseconds: UInt64) { monotonic.withLock { $0 += monotonicNanoseconds } }
    func fillDisk(_ isFull: Bool) { isDiskFull.withLock { $0 = isFull } }

    func log() throws -> DecisionLog {
        try DecisionLog(
            DecisionFolder(settings), nowSeconds: { [weak self] in self?.now ?? 0 },
            monotonic: { [weak self] in self?.monotonic.withLock { $0 } ?? 0 }
        ) { [weak self] file, bytes, count in
            guard self?.isDiskFull.withLock({ $0 }) == true else { return write(file, bytes, count) }
            // A full disk takes what still fits.
            let part = write(file, bytes, min(count, 100))
            errno = ENOSPC
            return count <= 100 ? part : -1
        }
    }

    var files: [String] { DecisionFolder.files(in: folder).map(\.path) }
    func text(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }
    var lines: [JSONValue] {
        files.flatMap { text($0).split(separator: "\n") }.compactMap {
            try? JSONValue(parsing: Array($0.utf8))
        }
    }
    func lines(_ kind: String) -> [JSONValue] { lines.filter { $0["kind"]?.string == kind } }

    func replay(candidate: PolicySnapshot? = nil, keepsResiduals: Bool = false) throws -> Replay {
        var replay = Replay(candidate: candidate, keepsResiduals: keepsResiduals)
        for file in files { try replay.add(file) }
        return replay
    }

    static func named(_ policy: PolicySnapshot) -> PolicySnapshot {
        var policy = policy
        policy.identity = Digest.sha256(Array(policy.contentText.utf8)).map {
            ($0 < 16 ? "0" : "") + String($0, radix: 16)
        }.joined()
        return policy
    }

    /// A wiki for staff, a vault for staff on compliant devices from the office, and only reading for partial ones.
    static let policy = named(
        PolicySnapshot(
            identity: "",
            devicePolicies: [
                DevicePolicy(
                    name: "healthy", platform: .macos, priority: 10,
                    rules: [
                        .tags(integration: "intune", matchesAll: false, values: ["compliant"]),
                        .agentManaged(integration: "agents", lastSeenSecondsMax: 86_400),
                    ], result: .compliant, strategies: [CheckStrategy(.partial), CheckStrategy(.partial)])
            ],
            applications: [
                Application(
                    name: "wiki", identityProviders: ["corp"],
                    policies: [
                        ApplicationPolicy(
                            name: "public", action: .bypass,
                            include: [.path(PathCondition(prefixes: ["/public"], exact: []))]),
                        ApplicationPolicy(
                            name: "staff", action: .allow,
                            include: [.emailDomain(EmailDomainCondition(domains: ["corp.example"]))]),
                    ]),
                Application(
                    name: "vault", identityProviders: ["corp"],
                    policies: [
                        ApplicationPolicy(
                            name: "outside", action: .block, include: [.everyone],
                            exclude: [.network(NetworkCondition(ranges: [office]))]),
                        ApplicationPolicy(
                            name: "healthy-staff", action: .allow,
                            include: [.group(GroupCondition(groups: ["staff"]))],
                            require: [.device(DeviceCondition(classes: [.compliant]))]),
                        ApplicationPolicy(
                            name: "readers", action: .allow,
                            include: [.group(GroupCondition(groups: ["staff"]))],
                            require: [.device(DeviceCondition(classes: [.partial]))],
                            restriction: Restriction(methods: [.get])),
                    ], outage: .unsafeLastVerdict(seconds: 7_200)),
            ]))

    /// Beyond 63 bits: not every JSON reader has such numbers.
    static let office = NetworkRange(
        base: NetworkAddress(high: 0xfe80_0000_0000_0000, low: 0), prefixLength: 10)

    func made(
        _ application: String = "wiki", session: String = "session-1", email: String = "ada@corp.example",
        device: DeviceFacts? = nil, policy: PolicySnapshot = policy
    ) throws -> MadeDecision {
        let facts = SessionFacts(
            id: session, identityProvider: "corp",
            person: PersonFacts(
                issuer: "https://login.corp.example", subject: email, email: email, name: "Ada \u{1F600}",
                groups: ["staff", "\u{e9}"], claims: ["level": .integer(3), "on": .flag(true)],
                authenticatedAtSeconds: Self.start - 60),
            createdAtSeconds: Self.start - 50, expiresAtSeconds: Self.start + 100_000)
        let settings = try #require(policy.application(named: application))
        let now = now
        let residual = policy.residual(of: facts, device, for: settings, atSeconds: now)
        let open = policy.residual(of: facts, device?.forWhatIsOpen, for: settings, atSeconds: now)
        return MadeDecision(
            atSeconds: now, application: application, session: facts, device: device, policy: policy,
            residual: residual,
            open: open.policies != residual.policies || open.validUntilSeconds != residual.validUntilSeconds
                ? open : nil,
            deviceResult: device.map {
                policy.deviceResult(
                    of: $0, for: facts.person, owner: settings.deviceOwner, atSeconds: now,
                    recordingLines: false)
            })
    }

    /// Every member set, so that one that is not kept is found.
    func device(
        _ labels: [String] = ["compliant"], owner: String = "ada@corp.example", verdict: String = "verdict-1",
        state: Verdict.State = .compliant, provider: String = "intune",
        statementSeconds: Int64 = 50_000
    ) -> DeviceFacts {
        DeviceFacts(
            id: "device-1", platform: .macos, ownerIssuer: "https://login.corp.example", ownerSubject: owner,
            statement: AgentStatement(
                integration: "agents", verifiedAtSeconds: Self.start - 30,
                expiresAtSeconds: Self.start + statementSeconds,
                openUntilSeconds: Self.start + statementSeconds + 60,
                lastSeenSeconds: Self.start - 30, isManaged: true, keyLevel: .claimed, agentVersion: "1.2.3",
                osVersion: "15", facts: ["firewall": .flag(true), "list": .list(["a", "b"])]),
            verdicts: [
                Verdict(
                    id: verdict, integration: "intune", provider: provider, nativeID: "n-1", state: state,
                    isManaged: true,
                    score: Verdict.Score(value: 80, minimum: 0, maximum: 100, higherIsBetter: true),
                    risk: .low, isSensorRunning: true, labels: labels, observedAtSeconds: now - 100,
                    assessedAtSeconds: now - 90, fetchedAtSeconds: now - 5, expiresAtSeconds: now + 3_000,
                    graceUntilSeconds: now + 9_000, matchKey: "serial", matchStrength: .strong,
                    rawState: "compliant", digest: "d", remedies: ["Restart it."],
                    checks: [Verdict.Check(id: "c", title: "Disk", state: .pass)])
            ])
    }
}
