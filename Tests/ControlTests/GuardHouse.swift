import Access
import Border
import Foundation
import Identity
import Store
import Testing

@testable import Control
@testable import Posture

/// A gateway with people on devices of their own, whose provider `health` says what the test says.
struct GuardHouse: Sendable {
    static let config = Gatehouse.config.replacingOccurrences(
        of: "device-policies:",
        with: """
              health:
                provider: custom
                api-url: http://127.0.0.1:9/evaluate
                api-token: { file: secrets/corp }
                ttl: 1h
                unsafe-allow-http: true
            device-policies:
            """
    ).replacingOccurrences(
        of: "{ agent: agents, managed: true }",
        with: "{ custom: health, tags: { matches-any: [ compliant ] } }")

    /// Where the provider's silence is looked at for longer than an agent's proof lasts.
    static let unaged = config.replacingOccurrences(
        of: "    host: vault.corp.example\n",
        with: "    host: vault.corp.example\n    posture: { max-age: off }\n")

    struct Person: Sendable {
        var device: String
        var session: StoredSession
        var global: StoredSession
        var digest: [UInt8]
    }

    let house: Gatehouse
    let outside = Outside()
    private let graceSeconds: Int64?
    private(set) var people: [Person] = []
    private let following: Task<Void, Never>

    /// - Parameters:
    ///   - count: people, each with an open session at `vault` and a device that is compliant.
    ///   - blastRadius: the value of `gateway.blast-radius`; nil: the defaults.
    ///   - graceSeconds: how much longer than for new requests a device check counts for what is open.
    init(
        _ count: Int, blastRadius: String? = nil, config: String = GuardHouse.config,
        graceSeconds: Int64? = nil
    ) async throws {
        self.graceSeconds = graceSeconds
        let text = blastRadius.map {
            config.replacingOccurrences(of: "  store:", with: "  blast-radius: \($0)\n  store:")
        }
        let house = try Gatehouse(text ?? config, fetcher: outside)
        self.house = house
        for index in 0..<count {
            let name = "d\(index)"
            try await house.store.upsert(
                StoredDevice(
                    id: name, ownerIssuer: "https://login.corp.example",
                    ownerSubject: "p\(index)@corp.example", platform: .linux, keyThumbprint: "t\(index)",
                    certificateSerial: "01", enrolledAtSeconds: house.now,
                    certificateNotAfterSeconds: house.now + 86_400, pinnedIDs: ["serial": "S-\(index)"]))
        }
        try await house.control.services.posture.load()
        following = Task { [control = house.control] in await control.followDevices() }
        await say(.compliant, of: Array(0..<count))
        for index in 0..<count { people.append(try await signIn(index)) }
    }

    /// One more session of somebody on the same device, with a record at the reactors.
    func signIn(_ index: Int, at application: String = "vault") async throws -> Person {
        let (global, session, cookie) = try await house.signIn(
            "p\(index)@corp.example", at: application, device: "d\(index)", seconds: 200_000,
            graceSeconds: graceSeconds)
        _ = await house.pull(cookie.tokenDigest, application)
        return Person(device: "d\(index)", session: session, global: global, digest: cookie.tokenDigest)
    }

    func end() { following.cancel() }

    // MARK: What the provider says

    /// Takes answers of the provider without telling anybody; `tell` does.
    func say(_ state: Verdict.State, of indices: [Int]) async {
        let records = indices.map { index in
            let verdict = Verdict(
                id: "health:d\(index):\(house.now):\(state.rawValue)", integration: "health",
                provider: "custom",
                nativeID: "d\(index)", state: state, labels: state == .compliant ? ["compliant"] : [],
                observedAtSeconds: house.now, fetchedAtSeconds: house.now,
                expiresAtSeconds: house.now + 3_600, matchKey: "", matchStrength: .strong)
            return VerdictRecord(verdict: verdict, keys: [DeviceKey(.serial, "S-\(index)")].compactMap { $0 })
        }
        _ = await house.control.services.posture.cache.apply(
            VerdictRecords(records), of: "health", nowSeconds: house.now
        ) { _ in }
    }

    /// News about these devices as one answer of the provider; returns when reactors were told of all their sessions.
    func tell(_ indices: [Int]) async {
        let seen = house.reactors.revocations.count
        let meant = Set(indices.map { people[$0].session.id })
        await house.control.services.posture.announceChange(Set(indices.map { ExactKey("d\($0)") }))
        await house.reactors.wait { revocations in
            var told: Set<String> = []
            for revocation in revocations.dropFirst(seen) {
                switch revocation.effect {
                case .replace(let record): told.insert(record.session)
                case .endSession(let session): told.insert(session)
                case .endPerson, .endDevice, .endApplication, .revokeCertificate: break
                }
            }
            return meant.isSubset(of: told)
        }
    }

    /// The provider's answers change and everybody is told.
    func become(_ state: Verdict.State, _ indices: [Int]) async {
        house.advance(1)
        await say(state, of: indices)
        await tell(indices)
    }

    // MARK: What people have

    /// What reactors were told last of somebody's session.
    func latest(_ index: Int) -> SessionRecord? { house.control.revocations.latest(people[index].session.id) }

    func isOpen(_ index: Int) -> Bool { latest(index)?.residual.policies.isEmpty == false }

    /// How many can still work.
    var openCount: Int { people.indices.filter(isOpen).count }

    var held: [HeldChange] { house.control.heldChanges() }

    func audit(_ kind: String) async throws -> [String] {
        try await house.store.audit(limit: 100).filter { $0.kind == kind }.map(\.json)
    }
}
