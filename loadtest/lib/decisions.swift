// A day's decision log, written by the gateway's own code, for `gatepost replay` to decide again. Built and run by
// loadtest/replay with the files that make lines.
//
//   decisions FOLDER COUNT      writes files until there are COUNT decisions in them, and prints what is in them
import Access
import Border
import Foundation
import JSON
import Signatures

/// Sessions that are used side by side. Each is decided once a minute while it is used, as a gateway does, and what
/// comes to the same from the same inputs is confirmed once an hour and at the end.
struct Day {
    static let begin: Int64 = 1_800_000_000
    static let people = 2_000
    static let inUse = 4_000
    static let usedMinutes = 10...480
    /// A device's verdicts say something else this often, in minutes.
    static let changeMinutes = 240
    static let confirmSeconds: Int64 = 3_600
    static let fileBytesMax: Int64 = 64 << 20

    let policy: PolicySnapshot
    let applications = makeApplications()
    let folder: String
    let key = [UInt8](repeating: 7, count: 32)
    var people: [PersonFacts] = []
    var devices: [Device] = []
    var uses: [Use] = []
    var lines: DecisionLines
    var file: FileHandle?
    var headBytes: Int64 = 0
    var fileBytes: Int64 = 0
    var totals = Totals()

    struct Totals {
        /// Written whole.
        var lines = 0
        var confirmations = 0
        /// What confirmations stand for.
        var renewals = 0
        var files = 0
        var bytes: Int64 = 0
        var outcomes: [String: Int] = [:]

        var decisions: Int { lines + renewals }
    }

    /// What providers say of a device; the times come with the question.
    struct Device {
        var states: [Verdict.State]
        var scores: [Int64]
        var version = 0
    }

    /// One session at one application.
    struct Use {
        var session: SessionFacts
        var person: Int
        var application: Int
        var endsMinute: Int
        var facts: DeviceFacts?
        var known: Known?
    }

    /// What was last written of it.
    struct Known {
        var id: DecisionID
        var result: String
        var openResult: String?
        var device: Device
        var lastAtSeconds: Int64
        var toldAtSeconds: Int64
        var renewals: Int
        var file: Int
    }

    init(folder: String) throws {
        self.folder = folder
        var policy = PolicySnapshot(
            identity: "", devicePolicies: devicePolicies, applications: applications)
        policy.identity = Digest.sha256(Array(policy.contentText.utf8)).map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
        self.policy = policy
        lines = DecisionLines(key: key)
        for number in 0..<Self.people {
            people.append(
                PersonFacts(
                    issuer: "https://login.corp.example", subject: "subject-\(number)",
                    email: "person\(number)@corp.example",
                    groups: (0..<20).map { _ in "group-\(rnd(500))" }
                        + (0..<30).map { "other-\(number)-\($0)" },
                    authenticatedAtSeconds: Self.begin - Int64(rnd(3_600))))
            devices.append(
                Device(
                    states: (0..<4).map { _ in rnd(10) == 0 ? .noncompliant : .compliant },
                    scores: (0..<4).map { _ in Int64(40 + rnd(60)) }))
        }
    }
}

// Who uses what.
extension Day {
    mutating func run(decisions: Int) throws {
        try beginFile(atSeconds: Self.begin)
        var minute = 0
        while totals.decisions < decisions {
            for device in devices.indices where minute > 0 && rnd(Self.changeMinutes) == 0 {
                let provider = rnd(4)
                devices[device].states[provider] =
                    devices[device].states[provider] == .compliant ? .noncompliant : .compliant
                devices[device].scores[provider] = Int64(40 + rnd(60))
                devices[device].version += 1
                try note(device, atSeconds: Self.begin + Int64(minute) * 60)
            }
            while uses.count < Self.inUse { uses.append(use(from: minute)) }
            for index in uses.indices { try decide(index, minute) }
            for use in uses where use.endsMinute <= minute { try confirm(use) }
            uses.removeAll { $0.endsMinute <= minute }
            try put()
            if fileBytes - headBytes >= Self.fileBytesMax {
                // A gateway confirms them in the file that follows, where they cannot be decided again.
                for use in uses { try confirm(use) }
                try put()
                try beginFile(atSeconds: Self.begin + Int64(minute) * 60)
            }
            minute += 1
        }
        for use in uses { try confirm(use) }
        try put()
        try file?.close()
    }

    private func use(from minute: Int) -> Use {
        let person = rnd(Self.people)
        let now = Self.begin + Int64(minute) * 60
        let words = Digest.sha256(Array("session \(rnd(1 << 30)) \(minute)".utf8))
        return Use(
            session: SessionFacts(
                id: DecisionLines.hex(words), identityProvider: "corp", person: people[person],
                createdAtSeconds: now - Int64(rnd(30)), expiresAtSeconds: now + 36_000),
            person: person, application: rnd(applications.count),
            endsMinute: minute + Self.usedMinutes.lowerBound
                + rnd(Self.usedMinutes.upperBound - Self.usedMinutes.lowerBound),
            known: nil)
    }

    private mutating func decide(_ index: Int, _ minute: Int) throws {
        let now = Self.begin + Int64(minute) * 60
        let use = uses[index]
        guard let known = use.known else { return try write(index, .pull, now) }
        guard known.file == totals.files else { return try write(index, .renew, now) }
        guard known.device.version == devices[use.person].version else {
            try confirm(use)
            return try write(index, .verdict, now)
        }
        uses[index].known?.lastAtSeconds = now
        uses[index].known?.renewals += 1
        guard now - known.toldAtSeconds >= Self.confirmSeconds else { return }
        // Time alone may have changed what it comes to.
        if try !confirm(uses[index]) { return try write(index, .expiry, now) }
        uses[index].known?.toldAtSeconds = now
        uses[index].known?.renewals = 0
    }

    private mutating func write(_ index: Int, _ cause: DecisionCause, _ now: Int64) throws {
        let use = uses[index]
        let made = made(use, devices[use.person], now)
        let id = DecisionID(
            atSeconds: now, sequence: UInt64(totals.lines), random: UInt64(rnd(1 << 60)))
        try lines.write(.decision(id, made, cause, nil))
        totals.lines += 1
        totals.outcomes[made.residual.outcome.rawValue, default: 0] += 1
        uses[index].known = Known(
            id: id, result: DecisionLines.digest(of: made.residual),
            openResult: made.open.map { DecisionLines.digest(of: $0) }, device: devices[use.person],
            lastAtSeconds: now, toldAtSeconds: now, renewals: 0, file: totals.files)
    }

    /// - Returns: false when it came to something else.
    @discardableResult
    private mutating func confirm(_ use: Use) throws -> Bool {
        guard let known = use.known, known.renewals > 0, known.file == totals.files else { return true }
        let made = made(use, known.device, known.lastAtSeconds)
        guard DecisionLines.digest(of: made.residual) == known.result,
            made.open.map({ DecisionLines.digest(of: $0) }) == known.openResult
        else { return false }
        try lines.write(
            .confirmed(
                Confirmation(
                    id: known.id, atSeconds: known.lastAtSeconds, renewals: known.renewals,
                    validUntilSeconds: made.residual.validUntilSeconds,
                    openUntilSeconds: made.open?.validUntilSeconds,
                    verdicts: (made.device?.verdicts ?? []).map(VerdictMark.init))))
        totals.confirmations += 1
        totals.renewals += known.renewals
        return true
    }

    private mutating func note(_ device: Int, atSeconds: Int64) throws {
        try lines.write(
            .event(
                kind: "change", atSeconds: atSeconds,
                [
                    ("cause", "verdict"), ("device", .string("mac-\(device)")), ("sessions_decided", 2),
                    ("sessions_changed", 1), ("sessions_cut", 0), ("sessions_restored", 0),
                ]))
    }
}

// What is known.
extension Day {
    private func made(_ use: Use, _ device: Device, _ now: Int64) -> MadeDecision {
        let application = applications[use.application]
        let facts = facts(use, device, now)
        let residual = policy.residual(of: use.session, facts, for: application, atSeconds: now)
        let open = policy.residual(of: use.session, facts.forWhatIsOpen, for: application, atSeconds: now)
        return MadeDecision(
            atSeconds: now, application: application.name, session: use.session, device: facts,
            policy: policy,
            residual: residual,
            open: open.policies != residual.policies || open.validUntilSeconds != residual.validUntilSeconds
                ? open : nil,
            deviceResult: policy.deviceResult(
                of: facts, for: use.session.person, owner: application.deviceOwner, atSeconds: now,
                recordingLines: false))
    }

    private func facts(_ use: Use, _ device: Device, _ now: Int64) -> DeviceFacts {
        let verdicts = ["intune", "falcon", "defender", "entra"].enumerated().map { index, name in
            // Providers are asked every two hours, each device at a time of its own.
            let fetched = now - (now + Int64(use.person) * 7) % 7_200
            return Verdict(
                id: "\(name):n-\(use.person):\(fetched):0123456789ab", integration: name, provider: name,
                nativeID: "n-\(use.person)", state: device.states[index], isManaged: true,
                score: .init(
                    value: device.scores[index], minimum: 0, maximum: 100, higherIsBetter: true),
                risk: .low,
                labels: [device.states[index] == .compliant ? "compliant" : "noncompliant", "registered"],
                observedAtSeconds: fetched - 300, fetchedAtSeconds: fetched,
                expiresAtSeconds: fetched + 28_800, matchKey: "serial", matchStrength: .strong,
                rawState: device.states[index].rawValue, digest: String(repeating: "0", count: 64))
        }
        return DeviceFacts(
            id: "mac-\(use.person)", platform: .macos, ownerIssuer: use.session.person.issuer,
            ownerSubject: use.session.person.subject,
            statement: AgentStatement(
                integration: "agents", verifiedAtSeconds: use.session.createdAtSeconds,
                expiresAtSeconds: use.session.createdAtSeconds + 30_000,
                openUntilSeconds: use.session.createdAtSeconds + 30_600,
                lastSeenSeconds: use.session.createdAtSeconds - 600, isManaged: true, keyLevel: .attested,
                agentVersion: "1.2.3", osVersion: "15.1",
                facts: ["disk-encryption": .flag(true), "firewall": .flag(true)]),
            verdicts: verdicts)
    }
}

// Files.
extension Day {
    private mutating func beginFile(atSeconds: Int64) throws {
        try file?.close()
        totals.files += 1
        let number = String(totals.files)
        let path = "\(folder)/decisions-\(String(repeating: "0", count: 8 - number.count))\(number).jsonl"
        try Data().write(to: URL(filePath: path), options: .withoutOverwriting)
        file = try FileHandle(forWritingTo: URL(filePath: path))
        fileBytes = 0
        lines = DecisionLines(key: key)
        lines.begin(number: totals.files, atSeconds: atSeconds)
        try lines.write(.policy(policy))
        try put()
        headBytes = fileBytes
    }

    private mutating func put() throws {
        let bytes = lines.take()
        try file?.write(contentsOf: Data(bytes))
        fileBytes += Int64(bytes.count)
        totals.bytes += Int64(bytes.count)
    }
}

@main
struct Decisions {
    static func main() throws {
        guard CommandLine.arguments.count == 3, let count = Int(CommandLine.arguments[2]) else {
            FileHandle.standardError.write(Data("decisions FOLDER COUNT\n".utf8))
            exit(2)
        }
        var day = try Day(folder: CommandLine.arguments[1])
        try day.run(decisions: count)
        let totals = day.totals
        let outcomes = totals.outcomes.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        print(
            "\(totals.decisions) decisions: \(totals.lines) written whole (\(outcomes.joined(separator: ", "))), "
                + "the others in \(totals.confirmations) confirmations; \(totals.files) files, "
                + "\(totals.bytes >> 20) MiB, \(day.headBytes >> 20) MiB of each the policy")
    }
}
