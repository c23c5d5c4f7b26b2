import Foundation
import Glibc
import JSON
import Signatures
import Synchronization
import Testing

@testable import gatepost_agent

@Suite("Certificates are renewed by themselves, whatever the gateway, the disk and the clock do")
struct RenewalTests {
    /// Life 30 days, renewal named after 10.
    static func enrolment(renewAfter: Int64 = 864_000, life: Int64 = 2_592_000) throws -> Enrolment {
        var enrolment = try AgentSetting().identity.enrolment
        enrolment.renewAfterSeconds = renewAfter
        enrolment.notAfterSeconds = AgentSetting.now + life
        return enrolment
    }

    @Test("due at the named time, at most a tenth of it earlier, and not before") func named() throws {
        let now = AgentSetting.now
        var seen: Set<Int64> = []
        for number in 0..<64 {
            var enrolment = try Self.enrolment()
            enrolment.deviceID = "device-\(number)"
            #expect(!enrolment.isRenewalDue(nowSeconds: now))
            #expect(!enrolment.isRenewalDue(nowSeconds: now + 864_000 * 9 / 10 - 1))
            #expect(enrolment.isRenewalDue(nowSeconds: now + 864_000))
            let first = stride(from: Int64(0), through: 86_400, by: 3_600).first {
                enrolment.isRenewalDue(nowSeconds: now + 864_000 - $0) == false
            }
            seen.insert(first ?? -1)
        }
        #expect(seen.count > 8, "devices enrolled together do not come back together")
    }

    @Test("a third of the life is kept in reserve, whatever the gateway named") func reserve() throws {
        let enrolment = try Self.enrolment(renewAfter: 2_592_000, life: 2_592_000)
        let last = AgentSetting.now + 2_592_000 - 864_000
        #expect(!enrolment.isRenewalDue(nowSeconds: last), "exactly a third is left")
        #expect(enrolment.isRenewalDue(nowSeconds: last + 1))
    }

    @Test("a clock before the last renewal makes it due, beyond the forgiven 120 s") func clockBack() throws {
        let enrolment = try Self.enrolment()
        #expect(!enrolment.isRenewalDue(nowSeconds: AgentSetting.now - 120))
        #expect(enrolment.isRenewalDue(nowSeconds: AgentSetting.now - 121))
        #expect(enrolment.isRenewalDue(nowSeconds: 0))
        #expect(enrolment.isRenewalDue(nowSeconds: 253_402_300_799))
    }

    @Test("numbers that time cannot be reckoned with are refused") func bounds() throws {
        let setting = try AgentSetting()
        let object = try #require(AgentSetting.answer(setting.certificate, setting.ring).object)
        let odd: [(String, Int64)] = [
            ("not_after", .min), ("not_after", -1), ("not_after", .max), ("renew_after_seconds", .max),
            ("renew_after_seconds", 0), ("renew_after_seconds", 315_360_001),
        ]
        for (name, value) in odd {
            var changed = object
            changed[name] = .integer(value)
            #expect(throws: AgentError.self, "\(name) \(value)") {
                try Enrolment(
                    answer: .object(changed), following: nil, nowSeconds: 1, users: [], authoritiesPEM: nil)
            }
        }
    }

    @Test("after failures the pause doubles up to an hour, half of it by chance; a success resets it")
    func backoff() {
        var schedule = RenewalSchedule()
        var now: Int64 = 0
        #expect(schedule.mayTry(nowMilliseconds: now))
        for minutes in [Int64(1), 2, 4, 8, 16, 32, 60, 60, 60] {
            var early = schedule
            var late = schedule
            early.failed(nowMilliseconds: now, chance: 0)
            late.failed(nowMilliseconds: now, chance: 1023)
            #expect(early.notBeforeMilliseconds == now + minutes * 30_000)
            #expect(late.notBeforeMilliseconds == now + minutes * 60_000)
            #expect(!late.mayTry(nowMilliseconds: late.notBeforeMilliseconds - 1))
            #expect(late.mayTry(nowMilliseconds: late.notBeforeMilliseconds))
            schedule = late
            now = late.notBeforeMilliseconds
        }
        for _ in 0..<100 { schedule.failed(nowMilliseconds: now, chance: 1023) }
        #expect(schedule.notBeforeMilliseconds == now + 3_600_000)
        schedule.succeeded(nowMilliseconds: now)
        #expect(schedule.failures == 0 && schedule.notBeforeMilliseconds == now + 300_000)
    }

    @Test("a gateway that is down for days is asked ever more seldom, and the first time it is back counts")
    func gatewayDown() async throws {
        let machine = try await RenewingMachine()
        let loop = machine.loop()
        var schedule = RenewalSchedule()
        machine.line.isDown.withLock { $0 = true }
        let before = machine.enrolled.identity.enrolment
        machine.pass(before.renewAfterSeconds)
        for _ in 0..<(2 * 86_400 / 60) {
            await loop.tick(&schedule, chance: 512)
            machine.pass(60)
        }
        let asked = machine.line.asked.withLock { $0 }
        #expect((48...100).contains(asked), "\(asked) in two days")
        #expect(machine.enrolled.identity.enrolment.certificates == before.certificates)
        #expect(machine.said.lines.withLock { $0.count } == asked)
        #expect(machine.said.lines.withLock { $0[0] }.contains("event=renewal-failed"))
        machine.line.isDown.withLock { $0 = false }
        machine.pass(3_600)
        await loop.tick(&schedule, chance: 512)
        #expect(machine.enrolled.identity.enrolment.renewedAtSeconds == machine.gateway.now)
        #expect(machine.enrolled.identity.enrolment.certificates != before.certificates)
        #expect(machine.said.lines.withLock { $0.last }?.contains("event=renewed") == true)
    }

    @Test("a clock that was a week ahead does not silence the agent for a week when it is put right")
    func clockJump() async throws {
        let machine = try await RenewingMachine()
        let loop = machine.loop()
        var schedule = RenewalSchedule()
        machine.ahead.now.withLock { $0 = 604_800 }
        machine.pass(machine.enrolled.identity.enrolment.renewAfterSeconds)
        await loop.tick(&schedule, chance: 1023)
        #expect(schedule.failures == 1)
        #expect(machine.said.lines.withLock { $0.last }?.contains("clock-skew") == true)
        machine.ahead.now.withLock { $0 = 0 }
        machine.pass(60)
        await loop.tick(&schedule, chance: 1023)
        #expect(schedule.failures == 0)
        #expect(machine.enrolled.identity.enrolment.renewedAtSeconds == machine.gateway.now)
    }

    @Test("a suspended machine finds what is due at once when it wakes") func suspended() async throws {
        let machine = try await RenewingMachine()
        let loop = machine.loop()
        var schedule = RenewalSchedule()
        await loop.tick(&schedule, chance: 0)
        #expect(machine.line.asked.withLock { $0 } == 0)
        machine.pass(machine.enrolled.identity.enrolment.renewAfterSeconds + 100_000)
        await loop.tick(&schedule, chance: 0)
        #expect(machine.enrolled.identity.enrolment.renewedAtSeconds == machine.gateway.now)
    }

    @Test("a full disk leaves the old enrolment usable, in memory and after a restart") func fullDisk()
        async throws
    {
        let machine = try await RenewingMachine()
        let identity = machine.enrolled.identity
        let before = identity.enrolment
        machine.pass(before.renewAfterSeconds)
        // The new file cannot be made beside the old one; unlink does not remove a folder.
        let blocked = identity.folder.path + "/" + Enrolment.fileName + ".new"
        mkdir(blocked, 0o700)
        var schedule = RenewalSchedule()
        await machine.loop().tick(&schedule, chance: 0)
        #expect(schedule.failures == 1)
        #expect(identity.enrolment.certificates == before.certificates)
        let (_, challenge) = try await machine.gateway.challenge()
        #expect(machine.enrolled.attest(challenge, nowSeconds: machine.gateway.now).status == 200)
        let again = try DeviceIdentity(folder: identity.folder)
        #expect(again.enrolment.certificates == before.certificates)
        rmdir(blocked)
        machine.pass(60)
        await machine.loop().tick(&schedule, chance: 0)
        #expect(schedule.failures == 0)
    }

    @Test("a renewal that was under way does not lay the old key's certificate over a new enrolment")
    func enrolledMeanwhile() async throws {
        let machine = try await RenewingMachine()
        let identity = machine.enrolled.identity
        let other = try AgentSetting().identity.enrolment
        try identity.folder.write(Enrolment.fileName, other.stored)
        await #expect(throws: AgentError.self) {
            try await machine.loop().step(nowSeconds: machine.gateway.now)
        }
        let there = try #require(try identity.folder.read(Enrolment.fileName))
        #expect(try Enrolment(stored: there).deviceID == other.deviceID)
    }
}
