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
            A machine may be enrolled with several gateways; each gets a key and a folder of its own. \
            A running agent answers a new gateway within seconds. \
            The token names one person and is good for one device. An administrator makes it at the gateway, \
            with: gatepost enroll-token --email ADDRESS
            """)

    @OptionGroup var state: StateOptions
    @OptionGroup var inputs: SourceOptions

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
            "Replace the enrolment with this gateway.",
            discussion: "The old key proves to the same gateway that the new one takes its place."))
    var force = false

    /// A token that was cut on its way is not worth a question that counts as an attempt.
    func validate() throws {
        let isWhole =
            token.utf8.count == 43
            && token.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                    || byte == 0x2d || byte == 0x5f
            }
        guard isWhole else {
            throw ValidationError(
                "The token has \(token.count) characters; a whole one has 43 letters, digits, - and _. "
                    + "Copy it again, with nothing before or behind it.")
        }
    }

    func run() async throws {
        let clock = AgentClock.system
        // Before this process may become another user: who called, and a file that only root can read.
        let users = try userIDs()
        let authorities = try authorityBytes()
        let folders = try state.opened()
        let folder = try folders.folder(of: url)
        try folder.prepare()
        guard try folder.read(Enrolment.fileName) == nil || force else {
            throw AgentError(
                "\(folder.path): this device is enrolled already", remedy: "use --force to replace it")
        }
        // A damaged old enrolment proves nothing; the new one then stands for itself.
        let old = try? DeviceIdentity(folder: folder)
        if CollectorProbe(path: inputs.collector, names: []).answer() == nil, geteuid() != 0 {
            EventLog.standard.say("no collector at \(inputs.collector): what only root can read is unknown")
        }
        let exchange = GatewayExchange(fetcher: CurlFetcher(connectionsMax: 1))
        let fresh = try await keys.makeKey(
            open: { (opening) async throws(AgentError) in
                try await exchange.openAttestation(
                    url: url, token: token, opening: opening, authoritiesPEM: authorities)
            },
            note: { EventLog.standard.say($0) })
        // Enrolling tells no more than a device check would.
        let root = HostRoot()
        // Somebody waits once; a device id that was missed would be missing until the next renewal.
        let known = inputs.collector(root).collect(nowSeconds: clock.nowSeconds(), patience: 10_000)
        let facts = try inputs.configuration()[url].permitted.disclosed(
            of: known.merging(FactProbes.ofOneGateway(url, root, rulesPath: inputs.factRules)))
        let enrolment = try await exchange.enroll(
            url: url, token: token, key: fresh.signer, facts: facts, users: users,
            authoritiesPEM: authorities, attestation: fresh.attestation, predecessor: old,
            nowSeconds: clock.nowSeconds())
        try folder.locked { () throws(AgentError) in
            try DeviceIdentity.store(fresh.signer, enrolment, in: folder)
        }
        let place = fresh.signer.level == "software" ? "a file" : "the security chip"
        print("enrolled as device \(enrolment.deviceID), its key in \(place)")
        for line in Self.notes(enrolment, presence: .at(enrolment.port), nowSeconds: clock.nowSeconds()) {
            print(line)
        }
    }

    /// What is left to do, or in the way, after an enrolment.
    static func notes(_ enrolment: Enrolment, presence: AgentPresence, nowSeconds: Int64) -> [String] {
        var notes: [String] = []
        let offset = enrolment.statedNowSeconds.map { nowSeconds - $0 } ?? 0
        if abs(offset) > Challenge.skewSeconds {
            notes.append(
                "this machine's clock is \(abs(offset)) s \(offset > 0 ? "ahead of" : "behind") the gateway's: "
                    + "device checks will be refused until it is right; see: timedatectl")
        }
        switch presence {
        case .answers: notes.append("the agent that runs answers this gateway within seconds")
        case .nobody: notes.append("start it with: systemctl start gatepost-agent (or: gatepost-agent run)")
        case .another:
            notes.append(
                "another program answers at 127.0.0.1:\(enrolment.port): see: ss -tlnp; list another port in "
                    + "\(AgentConfiguration.defaultPath) and at the gateway")
        }
        return notes
    }

    private func userIDs() throws(AgentError) -> [UInt32] {
        if users.isEmpty {
            let caller = ProcessInfo.processInfo.environment["SUDO_UID"].flatMap { UInt32($0) }
            return [geteuid() == 0 ? caller ?? 0 : geteuid()]
        }
        var found: [UInt32] = []
        for name in users { found.append(try LocalUsers.identifier(name)) }
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
