import JSON
import Signatures
import Synchronization
import Testing

@testable import gatepost_agent

@Suite("Rotation of a gateway's keys over restarts, long sleeps and old announcements")
struct RotationOverRestartTests {
    @Test("a whole rotation of challenge and root keys over restarts of the agent") func rotation()
        async throws
    {
        let machine = try await RenewingMachine()
        var identity = machine.enrolled.identity
        for round in 0..<4 {
            try machine.gateway.ring.rotate(.challenge)
            machine.pass(identity.enrolment.renewAfterSeconds)
            var schedule = RenewalSchedule()
            await machine.loop(identity).tick(&schedule, chance: 0)
            #expect(schedule.failures == 0, "round \(round)")
            try machine.gateway.ring.rotate(.root)
            machine.pass(identity.enrolment.renewAfterSeconds)
            schedule = RenewalSchedule()
            await machine.loop(identity).tick(&schedule, chance: 0)
            // The restart: everything from the disk.
            identity = try DeviceIdentity(folder: identity.folder)
            let (_, challenge) = try await machine.gateway.challenge()
            #expect(
                (try? Challenge(challenge, enrolment: identity.enrolment, nowSeconds: machine.gateway.now))
                    != nil)
        }
    }

    @Test("an agent that slept through two rotations asks for the keys at the first challenge, and follows")
    func sleptThroughTwo() async throws {
        let machine = try await RenewingMachine()
        try machine.gateway.ring.rotate(.challenge)
        try machine.gateway.ring.rotate(.challenge)
        let loop = machine.loop()
        var schedule = RenewalSchedule()
        await loop.tick(&schedule, chance: 0)
        #expect(machine.line.asked.withLock { $0 } == 0, "nothing is due")
        let (_, challenge) = try await machine.gateway.challenge()
        let refused = machine.enrolled.attest(challenge, nowSeconds: machine.gateway.now)
        #expect(AgentSetting.word(refused) == "gateway-not-trusted")
        await loop.tick(&schedule, chance: 0)
        #expect(machine.line.asked.withLock { $0 } == 1)
        let (_, next) = try await machine.gateway.challenge()
        #expect(machine.enrolled.attest(next, nowSeconds: machine.gateway.now).status == 200)
        // Whoever names keys that do not exist makes it ask once in five minutes.
        for _ in 0..<20 {
            let foreign = try AgentSetting().challenge(header: { $0["kid"] = "challenge-99" })
            _ = machine.enrolled.attest(foreign, nowSeconds: machine.gateway.now)
            await loop.tick(&schedule, chance: 0)
            machine.pass(14)
        }
        #expect(machine.line.asked.withLock { $0 } == 1)
        machine.pass(20)
        await loop.tick(&schedule, chance: 0)
        #expect(machine.line.asked.withLock { $0 } == 2)
    }

    @Test("an older announcement is refused after a restart too, and challenges of given-up keys with it")
    func rollback() async throws {
        let machine = try await RenewingMachine()
        let old = machine.enrolled.identity.enrolment
        let stale = KeyAnnouncement.signed(
            by: machine.gateway.ring, issuer: old.authOrigin, audience: old.audience)
        let (_, challenge) = try await machine.gateway.challenge()
        for _ in 0..<2 { try machine.gateway.ring.rotate(.challenge) }
        machine.pass(old.renewAfterSeconds)
        var schedule = RenewalSchedule()
        await machine.loop().tick(&schedule, chance: 0)
        let identity = try DeviceIdentity(folder: machine.enrolled.identity.folder)
        #expect(identity.enrolment.keySequence == old.keySequence + 2)
        machine.line.edit.withLock { $0 = { $0["gateway_keys"] = .array(stale.map { .string($0) }) } }
        machine.pass(old.renewAfterSeconds)
        await machine.loop(identity).tick(&schedule, chance: 0)
        #expect(schedule.failures == 1)
        #expect(identity.enrolment.keySequence == old.keySequence + 2)
        #expect(
            throws: AttestRefusal.gatewayNotTrusted,
            performing: {
                try Challenge(challenge, enrolment: identity.enrolment, nowSeconds: AgentSetting.now)
            })
    }
}
