import Border
import Testing

@testable import DataPlane

@Suite("A configuration with 50,000 revoked certificates, in one turn of a reactor that nobody else drives")
struct ConfigurationTurnTests {
    static let many = (0..<GatewaySnapshot.revokedSerialsMax).map { String(0x1000_0000 + $0, radix: 16) }

    private func reactor(_ serials: RevokedSerials) throws -> Reactor {
        try Reactor(
            Reactor.Parts(
                number: 0, workers: 1, clients: ClientTable(), inbox: try Inbox(),
                toControl: try ControlInbox(), counters: ReactorCounters(), mark: TurnMark(),
                log: LogRing(capacity: 64), instanceID: 1),
            configuration: try configuration(1, serials),
            listeners: try BoundListeners.bind([ListenerAddress(address: "127.0.0.1", port: 0)]))
    }

    private func configuration(
        _ revision: UInt64, _ serials: RevokedSerials
    ) throws -> PreparedConfiguration {
        var snapshot = Gateway.snapshot([Facts.open(1)], revision: revision)
        snapshot.revokedSerials = serials.numbers.sorted()
        return try PreparedConfiguration(snapshot, revokedSerials: serials)
    }

    @Test func `the turn copies no number and makes no context: it takes what was made before`() throws {
        let reactor = try reactor(RevokedSerials())
        let prepared = try configuration(2, RevokedSerials().adding(Self.many))
        #expect(reactor.inbox.send(.configuration(prepared)))
        reactor.readInbox()
        let state = reactor.state.pointee
        #expect(state.revision == 2)
        // The same object, not an equal one: so none of its members was looked at.
        #expect(state.revokedSerials === prepared.revokedSerials)
        #expect(state.plan.server === prepared.server)
        #expect(state.plan.snapshot.revokedSerials == nil)
        #expect(state.furtherRevokedSerials.isEmpty)
    }

    @Test func `an older configuration that comes later gives no certificate back`() throws {
        let older = RevokedSerials().adding(["aa"])
        let newer = older.adding(["bb"])
        let reactor = try reactor(RevokedSerials())
        for (revision, serials) in [(UInt64(2), newer), (3, older), (4, RevokedSerials())] {
            #expect(reactor.inbox.send(.configuration(try configuration(revision, serials))))
            reactor.readInbox()
            #expect(reactor.state.pointee.revision == revision)
            #expect(reactor.state.pointee.revokedSerials.numbers == ["aa", "bb"])
        }
    }

    @Test func `what was revoked one by one stays beside what configurations say`() throws {
        let reactor = try reactor(RevokedSerials())
        #expect(reactor.revoke(certificate: "cc") == 0)
        #expect(reactor.inbox.send(.configuration(try configuration(2, RevokedSerials(["aa"])))))
        reactor.readInbox()
        #expect(reactor.state.pointee.furtherRevokedSerials == ["cc"])
        #expect(reactor.state.pointee.revokedSerials.numbers == ["aa"])
    }

    @Test func `numbers that are known already make no second list`() {
        let serials = RevokedSerials(Set(Self.many))
        #expect(serials.adding(Array(Self.many.prefix(100))) === serials)
        #expect(serials.adding([]) === serials)
        #expect(serials.adding(["ff", Self.many[0]]).numbers.count == Self.many.count + 1)
    }
}
