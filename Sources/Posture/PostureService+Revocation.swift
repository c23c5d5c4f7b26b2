import Access
import JSON
import Signatures
public import Store

/// Certificates that count no more although they have not ended: by an administrator's word, or by a list of their
/// authority.
struct WithdrawnCertificates: Sendable {
    /// Denied by serial number, whoever issued them.
    var serials: Set<String> = [] {
        didSet { numbers = Set(serials.lazy.map(CertificateFacts.number)) }
    }
    /// The same as `CertificateFacts.number`.
    private(set) var numbers: Set<String> = []
    /// The lists of each integration that has some.
    var files: [ExactKey: RevocationFiles] = [:]
    /// What the process before this one had, until the files are read for the first time.
    var kept: [ExactKey: [RevocationList]] = [:]
    /// Integrations whose lists are others than the store has.
    var unkept: Set<ExactKey> = []
    /// The certificate that each device used last, since the start: its newest one may not be the one in use.
    private var used: [ExactKey: CertificateLink] = [:]

    mutating func note(_ link: CertificateLink, of device: String) { used[ExactKey(device)] = link }

    func contains(_ device: StoredDevice) -> Bool {
        guard !serials.isEmpty || !files.isEmpty else { return false }
        if !device.certificateSerial.isEmpty, contains(device.certificateSerial, issuer: nil) { return true }
        return used[ExactKey(device.id)].map { contains($0.serialHex, issuer: $0.issuer) } ?? false
    }

    /// Whether it is a device's newest certificate, or the one that it used last.
    func isCertificate(_ serialHex: String, of device: StoredDevice) -> Bool {
        device.certificateSerial == serialHex || used[ExactKey(device.id)]?.serialHex == serialHex
    }

    func contains(_ serial: String, issuer: [UInt8]?) -> Bool {
        serials.contains(serial) || files.values.contains { $0.contains(serial, issuer: issuer) }
    }
}

/// A list of revoked certificates, as administrators see it.
public struct RevocationListStatus: Sendable, Hashable {
    /// The configured integration.
    public var integration: String
    /// Its file.
    public var path: String
    /// How many certificates it names; nil: no list could be read yet.
    public var count: Int?
    /// Its `nextUpdate`.
    public var nextUpdateSeconds: Int64?
    /// Why the file as it is now is not used; nil: it is.
    public var problem: String?
}

extension PostureService {
    /// How often the files are looked at, seconds: a look is one call of the system.
    static let revocationLookSeconds = 1.0

    var hasRevocationLists: Bool { agents.contains { $0.revocation != nil } }

    /// Whether a device counts no more, for whatever reason.
    func isRevoked(_ device: StoredDevice) -> Bool { device.isRevoked || withdrawn.contains(device) }

    func checkNotWithdrawn(_ links: [CertificateLink]) throws(PostureRefusal) {
        for link in links where withdrawn.serials.contains(link.serialHex) {
            throw PostureRefusal(
                .certificateRevoked, "certificate \(link.serialHex) was revoked", isAlert: true)
        }
    }

    /// The same, with the lists of an integration: for a renewal, which would otherwise hand out the next one.
    func checkNotWithdrawn(
        _ links: [CertificateLink], integration: String, nowSeconds: Int64
    ) throws(PostureRefusal) {
        try checkNotWithdrawn(links)
        try withdrawn.files[ExactKey(integration)]?.check(links, nowSeconds: nowSeconds)
    }

    func followRevocationLists() async {
        while !Task.isCancelled {
            for news in refreshRevocationLists() { await audit(news.kind, news.members) }
            await keepRevocationLists()
            await clock.sleep(Self.revocationLookSeconds)
        }
    }

    /// Reads lists that changed and announces the devices that they took or gave back.
    ///
    /// - Parameter again: whether or not they changed.
    /// - Returns: lines for the audit trail.
    @discardableResult
    func refreshRevocationLists(again: Bool = false) -> [(kind: String, members: JSONValue)] {
        var news: [(kind: String, members: JSONValue)] = []
        let before = withdrawn
        var hasChanged = false
        for agent in agents {
            guard let settings = agent.revocation, let authority = agent.authority else { continue }
            let name = agent.handshake.integration
            let held = withdrawn.files[ExactKey(name)]
            var files =
                held?.settings == settings
                ? held ?? RevocationFiles(settings)
                : RevocationFiles(settings, keeping: held, kept: withdrawn.kept[ExactKey(name)] ?? [])
            // Under other certificates every file is checked anew; what is held stays until something newer comes.
            if again { files.readAgain() }
            let (changed, failed) = files.refresh(authority)
            withdrawn.files[ExactKey(name)] = files
            if !changed.isEmpty { withdrawn.unkept.insert(ExactKey(name)) }
            hasChanged = hasChanged || again || !changed.isEmpty
            news += changed.map { path in
                ("revocation-list-read", ["integration": .string(name), "file": .string(path)])
            }
            news += failed.map { file in
                (
                    "revocation-list-refused",
                    [
                        "integration": .string(name), "file": .string(file.path),
                        "problem": .string(file.problem ?? ""),
                    ]
                )
            }
        }
        guard hasChanged else { return news }
        let affected = directory.all.filter { before.contains($0) != withdrawn.contains($0) }
        announceChange(
            affected.reduce(into: []) { changed, device in
                changed.insert(ExactKey(device.id))
                changed.formUnion(machines.owners(of: directory.keys(of: device.id)))
            })
        return news
    }

    /// Takes integrations with other certificates; names, ports and lists are as they were. What was proven by a
    /// certificate that is gone is used until its own end.
    public func take(_ agents: [AgentIntegration]) async {
        self.agents = agents
        for news in refreshRevocationLists(again: true) { await audit(news.kind, news.members) }
        await keepRevocationLists()
    }

    /// Puts lists that are new here into the store; where that fails, it is tried again at the next look.
    func keepRevocationLists() async {
        for integration in withdrawn.unkept {
            let lists = (withdrawn.files[integration]?.lists ?? []).map { list in
                StoredRevocationList(
                    integration: integration.text, issuer: list.issuer, number: list.number,
                    thisUpdateSeconds: list.thisUpdateSeconds, nextUpdateSeconds: list.nextUpdateSeconds,
                    serials: list.serials.sorted())
            }
            // Before the wait: what is read meanwhile is new again.
            withdrawn.unkept.remove(integration)
            do throws(StoreError) {
                try await store.keep(lists, of: integration.text)
            } catch {
                withdrawn.unkept.insert(integration)
            }
        }
    }

    /// What the process before this one had read. Its files may be gone, or older by now.
    func loadRevocationLists() async throws(StoreError) {
        for row in try await store.revocationLists() {
            withdrawn.kept[ExactKey(row.integration), default: []].append(
                RevocationList(
                    keptOf: row.issuer, number: row.number, thisUpdateSeconds: row.thisUpdateSeconds,
                    nextUpdateSeconds: row.nextUpdateSeconds, serials: Set(row.serials)))
        }
    }

    /// Every configured list.
    public func revocationLists() -> [RevocationListStatus] {
        agents.flatMap { agent in
            (withdrawn.files[ExactKey(agent.handshake.integration)]?.files ?? []).map { file in
                RevocationListStatus(
                    integration: agent.handshake.integration, path: file.path,
                    count: file.list?.serials.count, nextUpdateSeconds: file.list?.nextUpdateSeconds,
                    problem: file.problem)
            }
        }
    }

    /// Every configured certificate, so that their ends are foreseen.
    public func trustCertificates() -> [TrustCertificate] { agents.flatMap(\.trustCertificates) }

    /// Integrations that accept answers under the management server's own key.
    public func sharedKeyIntegrations() -> [String] {
        agents.filter { $0.handshake.modes.contains(.statement) && $0.statements?.allowsSharedKey == true }
            .map(\.handshake.integration)
    }

    /// Denies a certificate by its serial number, for good, whoever issued it and whether or not it was seen. The
    /// devices whose newest certificate, or the one that they used last, it is are revoked: what was certified is
    /// their key.
    ///
    /// - Parameters:
    ///   - serialHex: as `Certificate.serialHex`.
    ///   - eventNanoseconds: when that was asked for, monotonic; nil: now.
    /// - Returns: ids of the devices that were revoked.
    public func revoke(
        serialHex: String, eventNanoseconds: UInt64? = nil
    ) async throws(StoreError) -> [String] {
        withdrawn.serials.insert(serialHex)
        let found = directory.all.filter { !$0.isRevoked && withdrawn.isCertificate(serialHex, of: $0) }
        var stored: [StoredDevice] = []
        var known: Set<ExactKey> = []
        for device in found {
            known.formUnion(machines.owners(of: directory.keys(of: device.id)))
            guard let revoked = directory.revoke(device.id) else { continue }
            schedule.remove(device: device.id)
            stored.append(revoked)
        }
        // Announced before it is stored, as with a device: the cut does not wait for the disk.
        announceChange(
            known.union(stored.map { ExactKey($0.id) }), eventNanoseconds: eventNanoseconds)
        try await store.revoke(serialHex: serialHex, atSeconds: clock.nowSeconds())
        for device in stored { try await store.upsert(device) }
        await audit(
            "certificate-revoked",
            [
                "serial": .string(serialHex), "devices": .array(stored.map { .string($0.id) }),
            ])
        return stored.map(\.id)
    }
}
