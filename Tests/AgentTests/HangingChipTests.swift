import Foundation
import Glibc
import Signatures
import Synchronization
import Testing

@testable import gatepost_agent

@Suite("A security chip that hangs: bounded, asked seldom, and nobody else's trouble")
struct HangingChipTests {
    /// A key in an emulated chip, with little patience.
    private func key(_ chip: SoftwareTPM, rest: Int64) async throws -> TPMKey {
        let gateway = try GatewayInProcess()
        let machine = try await EnrolledMachine(
            gateway, folder: try TemporaryFolder(), keys: ["--tpm", chip.path])
        let made = try #require(machine.identity.key as? TPMKey)
        made.release()
        return try TPMKey(
            stored: made.stored, path: nil, budgetMilliseconds: 2_000, restMilliseconds: rest)
    }

    private func failure(_ key: TPMKey) -> String? {
        do throws(AgentError) {
            _ = try key.sign([1])
            return nil
        } catch {
            return error.what
        }
    }

    @Test("of many that ask a hanging chip one waits for it; the others are refused when that one gave up")
    func oneWaits() async throws {
        let chip = try SoftwareTPM()
        let key = try await key(chip, rest: 3_600_000)
        #expect(failure(key) == nil)
        chip.hang()
        defer { chip.resume() }
        let failures = await withTaskGroup(of: String?.self) { group in
            for _ in 0..<3 { group.addTask { failure(key) } }
            return await group.reduce(into: [String]()) { all, one in all.append(one ?? "signed") }
        }
        #expect(failures.count { $0.contains("no answer in time") } == 1, "\(failures)")
        #expect(failures.count { $0.contains("did not answer a moment ago") } == 2, "\(failures)")
    }

    @Test("a chip that answers again signs again") func recovers() async throws {
        let chip = try SoftwareTPM()
        let key = try await key(chip, rest: 0)
        #expect(failure(key) == nil)
        chip.hang()
        #expect(failure(key)?.contains("no answer in time") == true)
        chip.resume()
        #expect(failure(key) == nil)
    }

    @Test("while a chip hangs at the look at the folder, the other gateways are answered, and stay")
    func othersGoOn() async throws {
        let chip = try SoftwareTPM()
        let gateway = try GatewayInProcess()
        let folder = try TemporaryFolder()
        let machine = try TwoGateways(folder)
        let running = machine.running()
        try running.reload()
        defer { running.stop() }
        let inChip = try await EnrolledMachine(
            gateway, folder: try TemporaryFolder(), keys: ["--tpm", chip.path])
        inChip.identity.key.release()
        let third = try machine.folders.folder(of: "https://third.corp.example")
        try third.prepare()
        try DeviceIdentity.store(inChip.identity.key, inChip.identity.enrolment, in: third)
        chip.hang()
        defer { chip.resume() }
        let ended = LookEnd()
        let thread = Thread {
            _ = try? running.reload()
            ended.done.signal()
        }
        thread.start()
        for setting in machine.settings {
            // Under way: the look cannot have ended, because the chip gets seconds.
            let answer = machine.ask(running.gates, origin: setting.origin, setting.challenge())
            #expect(answer?.status == 200)
        }
        #expect(running.enrolments.count == 2)
        #expect(ended.done.wait(timeout: .now() + 60) == .success)
        // That it is answered for afterwards is not asked here: the emulator has no resource manager, which would give
        // back the memory of the abandoned command.
        #expect(running.enrolments.count == 2, "the one that hangs is not answered for")
    }

    private final class LookEnd: Sendable { let done = DispatchSemaphore(value: 0) }
}
