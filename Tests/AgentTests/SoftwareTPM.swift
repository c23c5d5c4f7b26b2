import ArgumentParser
import ChildPrograms
import Foundation
import Glibc
import JSON
import Posture
import Signatures
import Testing

@testable import gatepost_agent

/// A TPM 2.0 emulator (Debian's `swtpm`) behind a Unix socket, gone when the test is.
final class SoftwareTPM: Sendable {
    let folder: TemporaryFolder
    var path: String { folder.path + "/tpm" }
    private let program: ChildProgram

    /// - Parameter isCertified: has the emulator's own "maker" certify the endorsement key first.
    init(isCertified: Bool = false) throws {
        let folder = try TemporaryFolder()
        self.folder = folder
        if isCertified { try Self.manufacture(folder) }
        program = try ChildProgram(
            "/usr/bin/swtpm",
            [
                "socket", "--tpm2", "--tpmstate", "dir=\(folder.path)", "--server",
                "type=unixio,path=\(folder.path)/tpm", "--flags", "not-need-init,startup-clear",
            ])
        // The program says nothing when it is ready, so it is asked until it answers.
        for _ in 0..<2000 {
            if let transport = try? TPMTransport(path: folder.path + "/tpm") {
                transport.close()
                return
            }
            try #require(program.isRunning, "swtpm ended with \(program.status ?? 0)")
            usleep(10_000)
        }
        Issue.record("swtpm did not open its socket")
    }

    /// From now on it takes commands and answers none, until `resume`.
    func hang() { program.signal(SIGSTOP) }
    func resume() { program.signal(SIGCONT) }

    deinit {
        // Before its folder goes, into which it writes. Not SIGTERM: it puts that off while a connection is open.
        program.signal(SIGKILL)
        _ = program.wait()
    }

    /// The "maker" of a certified emulator.
    func authorities() throws -> EndorsementAuthorities {
        let pem = try Data(contentsOf: URL(filePath: folder.path + "/ca/issuercert.pem"))
        return try EndorsementAuthorities(pem: Array(pem))
    }

    private static func manufacture(_ folder: TemporaryFolder) throws {
        let ca = folder.path + "/ca"
        try folder.put(
            "/localca.conf",
            "statedir = \(ca)\nsigningkey = \(ca)/key.pem\nissuercert = \(ca)/issuercert.pem\n"
                + "certserial = \(ca)/serial\n")
        try folder.put(
            "/localca.options",
            "--tpm-manufacturer IBM\n--tpm-model swtpm\n--tpm-version 2\n--platform-manufacturer Test\n"
                + "--platform-version 1\n--platform-model Test\n")
        try folder.put(
            "/setup.conf",
            "create_certs_tool = /usr/bin/swtpm_localca\n"
                + "create_certs_tool_config = \(folder.path)/localca.conf\n"
                + "create_certs_tool_options = \(folder.path)/localca.options\n")
        let setup = try ChildProgram(
            "/usr/bin/swtpm_setup",
            [
                "--tpm2", "--tpmstate", folder.path, "--create-ek-cert", "--config",
                folder.path + "/setup.conf",
            ], output: .kept, errors: .kept
        ).outcome()
        try #require(setup.status == 0, "\(setup.text)")
    }
}

extension EnrolledMachine {
    /// Enrols as the `enroll` command does, with these options about the key.
    init(
        _ gateway: GatewayInProcess, folder: TemporaryFolder, keys options: [String],
        predecessor: DeviceIdentity? = nil
    ) async throws {
        try folder.put("/machine/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n")
        let state = StateFolder(path: folder.path)
        let collector = FactCollector(
            root: HostRoot(folder.path + "/machine"),
            probes: FactProbes.all(deviceIDsPath: "/none", machineIDKey: [1]))
        let exchange = GatewayExchange(fetcher: gateway)
        let token = try await gateway.token()
        predecessor?.key.release()
        let fresh = try await KeyOptions.parse(options).makeKey(
            open: { (opening) async throws(AgentError) in
                try await exchange.openAttestation(
                    url: AgentSetting.origin, token: token, opening: opening, authoritiesPEM: nil)
            },
            note: { _ in })
        let enrolment = try await exchange.enroll(
            url: AgentSetting.origin, token: token, key: fresh.signer,
            facts: collector.collect(nowSeconds: gateway.now), users: [1000], authoritiesPEM: nil,
            attestation: fresh.attestation, predecessor: predecessor, nowSeconds: gateway.now)
        try DeviceIdentity.store(fresh.signer, enrolment, in: state)
        try self.init(stored: folder, collector: collector)
    }

    /// What `run` reads from a state folder.
    init(stored folder: TemporaryFolder, collector: FactCollector) throws {
        let state = StateFolder(path: folder.path)
        self.folder = folder
        identity = try DeviceIdentity(folder: state)
        let maker = AssertionMaker(
            identity: identity, collector: collector, counter: try StatementCounter(folder: state))
        gate = AttestGate(
            identity: identity, maker: maker, users: [1000], peerUser: { _ in 1000 })
    }
}
