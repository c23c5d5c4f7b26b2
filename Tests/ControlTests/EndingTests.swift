import Access
import Border
import Config
import Fetch
import Foundation
import Identity
import JSON
import Signatures
import Store
import Testing

@testable import Control

@Suite("What ends a session cuts what it has open at once, and nobody else's")
struct EndingTests {
    @Test("an ending reaches every reactor for exactly its sessions", arguments: EndingKind.allCases)
    func ends(_ kind: EndingKind) async throws {
        let house = try await EndingHouse()
        let robot = try await house.robot()
        let said = try await house.perform(kind)
        let ended = house.house.reactors.revocations.compactMap { revocation -> String? in
            if case .endSession(let id) = revocation.effect { id } else { nil }
        }
        #expect(ended.contains(house.ada.session.id), "\(said)")
        #expect(ended.contains(house.bob.id) == !kind.sparesBob, "\(said)")
        #expect(ended.contains(robot.recordID) == !kind.sparesMachine, "\(said)")
        #expect((house.house.control.machines.active(robot.tokenDigest) != nil) == kind.sparesMachine)
        #expect(try await house.house.store.session(id: house.ada.session.id) == nil)
        #expect(try await (house.house.store.session(id: house.ada.global.id) == nil) == kind.endsSignIn)
        #expect(try await (house.house.store.session(id: house.bob.id) != nil) == kind.sparesBob)
        #expect(await house.house.pulled(house.adaCookie.tokenDigest) == nil, "it came back")
    }

    @Test("004.18 an application that stops accepting a provider no longer counts its sessions")
    func notAccepted() async throws {
        let house = try await EndingHouse()
        try house.house.rewrite { text in
            // The first list is the wiki's.
            let list = text.range(of: "[ corp, partner ]")
            return list.map { found in text.replacingCharacters(in: found, with: "[ partner ]") } ?? text
        }
        try await house.house.control.reload()
        let replaced = house.house.reactors.revocations.compactMap { revocation -> SessionRecord? in
            if case .replace(let record) = revocation.effect { record } else { nil }
        }
        let ada = try #require(replaced.first { $0.session == house.ada.session.id })
        let path = Array("/".utf8)
        let facts = RequestFacts(method: .get, client: NetworkAddress(v4: 0x7f00_0001))
        let decision = ada.residual.decide(facts, path: path.span, atSeconds: house.house.now)
        guard case .signIn = decision else {
            Issue.record("\(decision)")
            return
        }
    }

    @Test("sessions of a provider that was taken out while the gateway was stopped end at the start")
    func removedBeforeStart() async throws {
        let house = try await EndingHouse()
        try await house.house.control.endSessionsOfForgottenProviders(isRunning: true)
        #expect(house.house.reactors.revocations.isEmpty, "both are configured")
        try house.house.rewrite {
            $0.replacingOccurrences(
                of: EndingHouse.partner,
                with: ""
            ).replacingOccurrences(of: "[ corp, partner ]", with: "[ corp ]")
        }
        let config = try ConfigurationLoader.load(path: house.house.control.configPath)
        let again = try ControlPlane(
            configPath: house.house.control.configPath, config: config, store: house.house.store,
            keysFolder: config.gateway.keysFolder, reactors: RecordingReactors(), fetcher: Outside())
        try await again.start()
        again.stop()
        #expect(try await house.house.store.session(id: house.bob.id) == nil)
        #expect(try await house.house.store.session(id: house.ada.session.id) != nil)
        #expect(try await house.house.store.audit(limit: 5).contains { $0.kind == "provider-forgotten" })
    }
}
