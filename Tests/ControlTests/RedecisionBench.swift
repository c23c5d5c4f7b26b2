import Access
import Foundation
import Identity
import Store
import Testing

@testable import Control
@testable import Posture

/// How fast the control plane decides sessions anew; run by hand, on a build with optimisation:
/// `GATEPOST_BENCH=10000 swift test -c release -Xswiftc -enable-testing --filter RedecisionBench`
@Suite("RedecisionBench", .enabled(if: ProcessInfo.processInfo.environment["GATEPOST_BENCH"] != nil))
struct RedecisionBench {
    @Test("sessions decided anew per second") func rate() async throws {
        let count = Int(ProcessInfo.processInfo.environment["GATEPOST_BENCH"] ?? "") ?? 1_000
        let house = try Gatehouse()
        let devices = max(1, count / 2)
        for device in 0..<devices {
            try await house.store.upsert(
                StoredDevice(
                    id: "d\(device)", ownerIssuer: "https://login.corp.example", ownerSubject: "p\(device)",
                    platform: .linux, keyThumbprint: "t\(device)", certificateSerial: "01",
                    enrolledAtSeconds: house.now, certificateNotAfterSeconds: house.now + 86_400))
        }
        try await house.control.services.posture.load()
        for session in 0..<count {
            let name = "d\(session % devices)"
            let (_, _, cookie) = try await house.signIn(
                "p\(session % devices)", at: "vault", device: name)
            _ = await house.pull(cookie.tokenDigest, "vault")
        }
        let clock = ContinuousClock()
        for round in 1...3 {
            house.reactors.clear()
            let took = try await clock.measure { try await redecideAll(house) }
            let seconds = Double(took.components.seconds) + Double(took.components.attoseconds) / 1e18
            #expect(house.reactors.revocations.count == count)
            print("round \(round): \(count) sessions in \(seconds) s, \(Int(Double(count) / seconds)) per s")
        }
    }

    @Test("records renewed per second, as many at a time as the queue takes") func renewals() async throws {
        let count = Int(ProcessInfo.processInfo.environment["GATEPOST_BENCH"] ?? "") ?? 1_000
        let guarded = try await GuardHouse(count)
        defer { guarded.end() }
        let house = guarded.house
        let known = house.control.revocations.recordCount
        #expect(known == count)
        for round in 1...3 {
            house.advance(61)
            house.reactors.clear()
            let renewals = guarded.people.map { Renewal(digest: $0.digest, application: "vault") }
            let took = await ContinuousClock().measure {
                for start in stride(from: 0, to: count, by: RenewalQueue.atOnceMax) {
                    let some = Array(renewals[start..<min(start + RenewalQueue.atOnceMax, count)])
                    #expect(await house.control.renewTogether(some).isEmpty)
                }
            }
            #expect(house.reactors.revocations.count == count)
            let seconds = Double(took.components.seconds) + Double(took.components.attoseconds) / 1e18
            print("round \(round): \(count) records in \(seconds) s, \(Int(Double(count) / seconds)) per s")
        }
    }

    @Test("sessions on devices that go bad in one answer of their provider, cut per second")
    func devicesGoBad() async throws {
        let count = Int(ProcessInfo.processInfo.environment["GATEPOST_BENCH"] ?? "") ?? 1_000
        let guarded = try await GuardHouse(count)
        defer { guarded.end() }
        let (house, everybody) = (guarded.house, Array(0..<count))
        for round in 1...3 {
            for state in [Verdict.State.noncompliant, .compliant] {
                house.advance(1)
                await guarded.say(state, of: everybody)
                house.reactors.clear()
                let took = await ContinuousClock().measure {
                    await house.control.services.posture.announceChange(
                        Set(everybody.map { ExactKey("d\($0)") }))
                    await house.reactors.wait { $0.count >= count }
                }
                #expect(guarded.openCount == (state == .compliant ? count : 0))
                let seconds = Double(took.components.seconds) + Double(took.components.attoseconds) / 1e18
                let rate = Int(Double(count) / seconds)
                print("round \(round), \(state.rawValue): \(count) sessions in \(seconds) s, \(rate) per s")
            }
        }
    }

    private func redecideAll(_ house: Gatehouse) async throws {
        try await house.control.redecide(
            .all, limit: 100_000, house.control.beginBatch(.reload(1), eventNanoseconds: 0))
    }
}
