import ArgumentParser
import Fetch
import Foundation
import Glibc
import Signatures

/// `gatepost-agent enroll`
struct EnrollCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enroll", abstract: "Makes a device key and has it certified with a one-time token.",
        discussion: """
            The token names one person and is good for one device. An administrator makes it at the gateway, \
            with: gatepost enroll-token --email ADDRESS
            """)

    @OptionGroup var state: StateOptions

    @OptionGroup var keys: KeyOptions

    @Option(help: ArgumentHelp("Address of the gateway's auth host.", valueName: "https://host[:port]"))
    var url: String

    // Tokens are base64url: one in 64 begins with "-".
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The one-time token; it ends after 24 hours.", valueName: "token"))
    var token: String

    @Option(
        help: ArgumentHelp(
            "PEM file of the authorities that the gateway's certificate comes from, instead of the system's.",
            valueName: "file"))
    var authorities: String?

    @Option(
        name: .customLong("user"),
        help: ArgumentHelp(
            "Local user whose browsers are answered; may be repeated.",
            discussion: "Default: the user who called sudo, else the current one.", valueName: "name"))
    var users: [String] = []

    @Flag(
        help: ArgumentHelp(
            "Replace an enrolment that is already there.",
            discussion: "The old key proves to the same gateway that the new one takes its place."))
    var force = false

    func run() async throws {
        let clock = AgentClock.system
        let folder = state.folder
        try folder.prepare()
        guard try folder.read(Enrolment.fileName) == nil || force else {
            throw AgentError(
                "\(folder.path): this device is enrolled already", remedy: "use --force to replace it")
        }
        // A damaged old enrolment proves nothing; the new one then stands for itself.
        let old = try? DeviceIdentity(folder: folder)
        let exchange = GatewayExchange(fetcher: CurlFetcher(connectionsMax: 1))
        let authorities = try authorityBytes()
        let fresh = try await keys.makeKey(
            open: { (opening) async throws(AgentError) in
                try await exchange.openAttestation(
                    url: url, token: token, opening: opening, authoritiesPEM: authorities)
            },
            note: { FileHandle.standardError.write(Data("gatepost-agent: \($0)\n".utf8)) })
        let facts = state.collector(HostRoot(), origin: url).collect(nowSeconds: clock.nowSeconds())
        let enrolment = try await exchange.enroll(
            url: url, token: token, key: fresh.signer, facts: facts, users: try userIDs(),
            authoritiesPEM: authorities, attestation: fresh.attestation, predecessor: old,
            nowSeconds: clock.nowSeconds())
        try DeviceIdentity.store(fresh.signer, enrolment, in: folder)
        let place = fresh.signer.level == "software" ? "a file" : "the security chip"
        print(
            "enrolled as device \(enrolment.deviceID), its key in \(place); "
                + "start it with: gatepost-agent run")
    }

    private func userIDs() throws(AgentError) -> [UInt32] {
        if users.isEmpty {
            let caller = ProcessInfo.processInfo.environment["SUDO_UID"].flatMap { UInt32($0) }
            return [geteuid() == 0 ? caller ?? 0 : geteuid()]
        }
        var found: [UInt32] = []
        for name in users {
            guard let entry = getpwnam(name) else {
                throw AgentError("there is no local user \(name)", remedy: "name one of: getent passwd")
            }
            found.append(entry.pointee.pw_uid)
        }
        return found
    }

    private func authorityBytes() throws(AgentError) -> [UInt8]? {
        guard let authorities else { return nil }
        guard let data = FileManager.default.contents(atPath: authorities), data.count <= 64 << 10 else {
            throw AgentError("\(authorities): cannot be read", remedy: "name a PEM file of at most 64 KiB")
        }
        return Array(data)
    }
}
