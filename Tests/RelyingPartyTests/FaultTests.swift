import Access
import Fetch
import Signatures
import Store
import Synchronization
import Testing

@testable import Identity
@testable import gatepost_lab

/// Every fault over real HTTP against the real flow and store: what the person is told, that nobody is signed in, and
/// that the next honest sign-in in the same browser works.
@Suite("A provider that misbehaves lets nobody in")
struct FaultTests {
    @Test("id_token claims", arguments: FaultTable.claims)
    func claims(_ row: FaultRow) async throws { try await run(row) }

    @Test("signatures", arguments: FaultTable.signatures)
    func signatures(_ row: FaultRow) async throws { try await run(row) }

    @Test(
        "signatures, by every other algorithm that is taken", arguments: FaultTable.furtherAlgorithms,
        FaultTable.signatures)
    func signatures(_ algorithm: SignatureAlgorithm, _ row: FaultRow) async throws {
        try await run(row, algorithm: algorithm)
    }

    @Test(
        "the next sign-in works by every algorithm that is taken, and by no other",
        arguments: SignatureAlgorithm.allCases)
    func algorithms(_ algorithm: SignatureAlgorithm) async throws {
        let stage = try Stage()
        try stage.sign(with: algorithm)
        // The digest of both hashes is the algorithm's.
        try stage.fault(OpenIDFault.codeHash.rawValue)
        let ending = try await Visitor(stage).go("https://wiki.corp.example/")
        let isTaken = algorithm == .es256 || FaultTable.furtherAlgorithms.contains(algorithm)
        #expect((ending.session != nil) == isTaken, "\(ending)")
        #expect(isTaken == IDTokenValidator.algorithms.contains(algorithm))
        guard !isTaken else { return }
        #expect(ending.refusal?.reason == .identityProviderRefused)
        #expect(ending.refusal?.detail.contains("alg \(algorithm.rawValue) is not accepted here") == true)
        #expect(try await stage.sessions.isEmpty)
    }

    @Test(
        "hashes are checked by the token's own digest", arguments: FaultTable.furtherAlgorithms,
        [OpenIDFault.wrongAccessHash, .wrongCodeHash])
    func hashes(_ algorithm: SignatureAlgorithm, _ fault: OpenIDFault) async throws {
        let row = try #require(FaultTable.claims.first { $0.fault == fault })
        try await run(row, algorithm: algorithm)
    }

    @Test("keys and key sets", arguments: FaultTable.keys)
    func keys(_ row: FaultRow) async throws { try await run(row) }

    @Test("discovery", arguments: FaultTable.discovery)
    func discovery(_ row: FaultRow) async throws { try await run(row) }

    @Test("the token endpoint", arguments: FaultTable.tokenEndpoint)
    func tokenEndpoint(_ row: FaultRow) async throws { try await run(row) }

    @Test("authorization answers", arguments: FaultTable.answers)
    func answers(_ row: FaultRow) async throws { try await run(row) }

    @Test("requests that are pushed", arguments: FaultTable.pushes)
    func pushes(_ row: FaultRow) async throws { try await run(row, pushes: true) }

    /// - Parameter isApplied: false: the fault is forgotten before it could happen, as a switch that does nothing
    ///   would be.
    private func run(
        _ row: FaultRow, isApplied: Bool = true, algorithm: SignatureAlgorithm? = nil,
        pushes: Bool = false
    ) async throws {
        let stage = try Stage(pushes: pushes)
        if let algorithm { try stage.sign(with: algorithm) }
        if row.isWarm {
            let other = Visitor(stage)
            other.user = "bob"
            #expect(try await other.go("https://wiki.corp.example/").session != nil)
        }
        let before = try await stage.sessions.map(\.id)
        let redeemed = stage.provider.evidence.withLock { $0.tokenRequests }
        try stage.fault(isApplied ? row.fault.rawValue : "none")
        stage.fetcher.limit(milliseconds: row.patienceMilliseconds)

        let visitor = Visitor(stage)
        let ending = try await visitor.go("https://wiki.corp.example/deep?a=b")
        #expect(stage.provider.faults.timesHappened(row.fault) > 0, "the fault never happened")
        expect(ending.refusal, row, stage)
        #expect(!visitor.holdsSessionCookie)
        #expect(try await stage.sessions.map(\.id) == before, "no session was made")
        let (asked, trapped) = stage.provider.evidence.withLock { ($0.tokenRequests - redeemed, $0.trapped) }
        // libcurl asks once more when a kept connection ends without a byte: the request may never have arrived.
        #expect(asked <= (row.fault == .tokenHangUp ? 2 : 1), "a code is sent once")
        if !row.reachesToken { #expect(asked == 0, "the code stays here") }
        #expect(trapped == 0, "a redirect was followed")

        try stage.fault("none")
        stage.fetcher.limit(milliseconds: nil)
        stage.advance(61)
        let next = try await visitor.go(ending.refusal?.retryURL ?? "https://wiki.corp.example/")
        #expect(next.session?.email == "alice@corp.example", "\(next)")
        #expect(stage.fetcher.asked.allSatisfy { $0.timeoutMilliseconds <= 10_000 })
        #expect(stage.fetcher.asked.allSatisfy { $0.bodyBytesMax <= 512 << 10 })
    }

    @Test(
        "a good document outlives a bad one: what is known goes on, and nothing of the bad one is used",
        arguments: (FaultTable.discovery + FaultTable.keys).filter {
            $0.reason == .identityProviderUnavailable && $0.fault != .down
        })
    func lastGood(_ row: FaultRow) async throws {
        let stage = try Stage()
        #expect(try await Visitor(stage).go("https://wiki.corp.example/").session != nil)
        // Both documents are asked for anew.
        stage.advance(2 * 3_600)
        try stage.fault(row.fault.rawValue)
        stage.fetcher.limit(milliseconds: row.patienceMilliseconds)
        let session = try await Visitor(stage).go("https://wiki.corp.example/").session
        #expect(session?.email == "alice@corp.example")
        #expect(stage.provider.faults.timesHappened(row.fault) > 0, "the fault never happened")
        #expect(stage.provider.evidence.withLock { $0.trapped } == 0)
        // A day later it is no longer known.
        stage.advance(26 * 3_600)
        let ending = try await Visitor(stage).go("https://hr.corp.example/")
        #expect(ending.refusal?.reason == .identityProviderUnavailable, "\(ending)")
    }

    private func expect(_ refusal: FlowRefusal?, _ row: FaultRow, _ stage: Stage) {
        #expect(refusal?.reason == row.reason, "\(refusal?.detail ?? "not refused")")
        switch row.cause {
        case .says(let words):
            #expect(refusal?.detail.contains(words) == true, "\(refusal?.detail ?? "")")
        case .fetch(let kind):
            #expect(stage.fetcher.failures.map(\.kind).contains(kind), "\(stage.fetcher.failures)")
            #expect(refusal?.detail.contains(kind.rawValue) == true, "\(refusal?.detail ?? "")")
        }
        // What a provider says of our registration, or between angle brackets, is no code for a page.
        #expect(refusal?.providerCode?.contains("<") != true)
        // The log's sentence holds no secret and no credential.
        for secret in ["gatepost-demo-secret", "eyJ"] {
            #expect(refusal?.detail.contains(secret) != true)
        }
    }

    @Test("with no fault everybody is signed in, at every registration, and nothing was misbehaved")
    func honest() async throws {
        let stage = try Stage()
        for (application, provider) in [("wiki", "staff"), ("hr", "hr-staff"), ("shop", "partner")] {
            let session = try await Visitor(stage).go("https://\(application).corp.example/").session
            #expect(session?.identityProvider == provider)
        }
        for fault in OpenIDFault.allCases { #expect(stage.provider.faults.timesHappened(fault) == 0) }
    }

    @Test("a switch that does nothing fails its row: there is no refusal then, and no fault was served")
    func silentSwitch() async throws {
        await withKnownIssue { try await run(FaultTable.claims[0], isApplied: false) }
        await withKnownIssue { try await run(FaultTable.tokenEndpoint[0], isApplied: false) }
    }

    @Test("every fault of the provider stands in a table, and none in two")
    func complete() {
        let listed = FaultTable.all.map(\.fault) + FaultTable.tolerated + FaultTable.elsewhere
        #expect(Set(listed).count == listed.count)
        let missing = Set(OpenIDFault.allCases).subtracting(listed).map(\.rawValue).sorted()
        #expect(missing.isEmpty, "add to FaultTable: its row, .tolerated or .elsewhere")
    }
}
