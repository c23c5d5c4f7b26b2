public import Access

/// A verdict as bytes: what a row of the store holds, and what the cache keeps of a hundred thousand devices. Some
/// 200 bytes where the value itself with its texts takes more than a kilobyte.
///
/// Not in it: the integration, which every place that keeps one knows already.
///
/// Layout, numbers little-endian: version (1 byte), state, strength, risk, flags (2 bytes), five times of 8
/// bytes (reported, assessed, fetched, expires, end of grace), native id, provider, id, digest, match key,
/// raw state, labels, remedies, checks, score, provenance (transport, endpoint, request id). Texts and lists
/// carry their length before them, as a variable-length integer; a GUID is its 16 bytes, and a key that is
/// the native id is not told twice.
public struct PackedVerdict: Sendable, Hashable {
    /// The layout. Others are not read: a provider says it all again.
    public static let version: UInt8 = 1
    static let headBytes = 46

    /// As in the description above.
    public let bytes: [UInt8]

    /// Packs a verdict.
    ///
    /// - Parameter standardRemedies: the sentences that everybody in this state gets of this provider; where the
    ///   verdict has just these, they are not kept a hundred thousand times.
    public init(_ verdict: Verdict, standardRemedies: [String] = []) {
        let hasStandard =
            !standardRemedies.isEmpty && ExactText.isEqual(verdict.remedies, standardRemedies)
        var writer = Writer()
        writer.bytes.reserveCapacity(512)
        writer.head(verdict, hasStandardRemedies: hasStandard)
        writer.text(verdict.nativeID)
        writer.text(verdict.provider)
        if !writer.hasDerivedID(verdict) { writer.text(verdict.id) }
        if let raw = Self.rawDigest(verdict.digest) {
            writer.bytes += raw
        } else {
            writer.text(verdict.digest)
        }
        writer.keys(verdict.matchKey, nativeID: verdict.nativeID)
        writer.text(verdict.rawState)
        writer.texts(verdict.labels)
        writer.texts(hasStandard ? [] : verdict.remedies)
        writer.count(verdict.checks.count)
        for check in verdict.checks {
            writer.text(check.id)
            writer.text(check.title)
            writer.bytes.append(Codes.index(of: check.state, in: Codes.checkStates))
        }
        if let score = verdict.score {
            for number in [score.value, score.minimum, score.maximum] { writer.integer(number) }
            writer.bytes.append(score.higherIsBetter ? 1 : 0)
        }
        if let provenance = verdict.provenance { writer.provenance(provenance) }
        // A copy without the room that the writer took to grow, which can be as much again and stays for ever.
        bytes = writer.bytes.withUnsafeBufferPointer { Array($0) }
    }

    /// Takes bytes that were packed before.
    ///
    /// - Returns: nil for bytes of another layout, or damaged ones.
    public init?(bytes: [UInt8]) {
        self.bytes = bytes
        guard names() != nil else { return nil }
    }

    /// Bytes that may be anything, for tests of what reads them.
    init(unchecked bytes: [UInt8]) { self.bytes = bytes }

    /// The times and the state, without reading the rest.
    public struct Head: Sendable, Hashable {
        /// `Verdict.state`.
        public var state: Verdict.State
        /// `Verdict.observedAtSeconds`.
        public var observedAtSeconds: Int64
        /// `Verdict.fetchedAtSeconds`.
        public var fetchedAtSeconds: Int64
        /// `Verdict.expiresAtSeconds`.
        public var expiresAtSeconds: Int64
        /// `Verdict.graceUntilSeconds`.
        public var graceUntilSeconds: Int64?
    }

    /// Costs a few loads; for passes over everything.
    public var head: Head {
        Head(
            state: Codes.value(bytes[1], in: Codes.states) ?? .unknown, observedAtSeconds: time(0),
            fetchedAtSeconds: time(2), expiresAtSeconds: time(3),
            graceUntilSeconds: flags.contains(.hasGrace) ? time(4) : nil)
    }

    /// Whether this is the verdict about the provider's device of this id, byte for byte.
    public func isAbout(_ nativeID: String) -> Bool {
        var reader = Reader(bytes: bytes, position: Self.headBytes)
        return reader.text().map { ExactText.isEqual($0, nativeID) } ?? false
    }

    /// Whether single checks are in it.
    public var hasChecks: Bool { flags.contains(.hasChecks) }

    /// The provider's own id of the device.
    public var nativeID: String {
        var reader = Reader(bytes: bytes, position: Self.headBytes)
        return reader.text() ?? ""
    }

    /// The verdict, of the integration that keeps it.
    ///
    /// - Parameter standardRemedies: what takes the place of sentences that were not kept, by state and provider.
    /// - Returns: nil when the bytes are of another layout or damaged.
    public func unpacked(
        integration: String, standardRemedies: (Verdict.State, String) -> [String] = { _, _ in [] }
    ) -> Verdict? {
        guard bytes.count >= Self.headBytes, bytes[0] == Self.version,
            let state = Codes.value(bytes[1], in: Codes.states),
            let strength = Codes.value(bytes[2], in: Codes.strengths)
        else { return nil }
        let flags = flags
        var reader = Reader(bytes: bytes, position: Self.headBytes)
        guard let nativeID = reader.text(), let provider = reader.text() else { return nil }
        guard let statedID = flags.contains(.hasDerivedID) ? "" : reader.text() else { return nil }
        guard let digest = flags.contains(.hasRawDigest) ? reader.hexadecimal(count: 32) : reader.text(),
            let matchKey = reader.keys(nativeID: nativeID), let rawState = reader.text(),
            let labels = reader.texts(),
            let remedies = reader.texts(), let checks = reader.checks()
        else { return nil }
        var verdict = Verdict(
            id: statedID, integration: integration, provider: provider, nativeID: nativeID, state: state,
            labels: labels, observedAtSeconds: time(0), fetchedAtSeconds: time(2), expiresAtSeconds: time(3),
            matchKey: matchKey, matchStrength: strength, rawState: rawState, digest: digest,
            remedies: remedies, checks: checks)
        if flags.contains(.hasStandardRemedies) { verdict.remedies = standardRemedies(state, provider) }
        if flags.contains(.hasDerivedID) { verdict.id = Self.derivedID(verdict) }
        verdict.assessedAtSeconds = flags.contains(.hasAssessment) ? time(1) : nil
        verdict.graceUntilSeconds = flags.contains(.hasGrace) ? time(4) : nil
        verdict.isManaged = flags.contains(.saysManaged) ? flags.contains(.isManaged) : nil
        verdict.isSensorRunning = flags.contains(.saysSensor) ? flags.contains(.isSensorRunning) : nil
        if flags.contains(.hasRisk) {
            guard let risk = Codes.value(bytes[3], in: Codes.risks) else { return nil }
            verdict.risk = risk
        }
        if flags.contains(.hasScore) {
            guard let score = reader.score() else { return nil }
            verdict.score = score
        }
        if flags.contains(.hasProvenance) {
            guard let provenance = reader.provenance() else { return nil }
            verdict.provenance = provenance
        }
        return reader.isAtEnd ? verdict : nil
    }

    var flags: Flags { Flags(rawValue: UInt16(bytes[4]) | UInt16(bytes[5]) << 8) }

    private func time(_ index: Int) -> Int64 { Reader.integer(bytes, at: 6 + index * 8) }

    /// The id that most connectors make of the rest.
    static func derivedID(_ verdict: Verdict) -> String {
        "\(verdict.integration):\(verdict.nativeID):\(verdict.fetchedAtSeconds):\(verdict.digest.prefix(12))"
    }

    /// The 32 bytes of a SHA-256 in lower-case hex; nil for any other text.
    static func rawDigest(_ text: String) -> [UInt8]? {
        text.utf8.count == 64 ? Hexadecimal.raw(Array(text.utf8)) : nil
    }

    struct Flags: OptionSet {
        var rawValue: UInt16
        static let saysManaged = Flags(rawValue: 1)
        static let isManaged = Flags(rawValue: 2)
        static let saysSensor = Flags(rawValue: 4)
        static let isSensorRunning = Flags(rawValue: 8)
        static let hasRisk = Flags(rawValue: 16)
        static let hasScore = Flags(rawValue: 32)
        static let hasAssessment = Flags(rawValue: 64)
        static let hasGrace = Flags(rawValue: 128)
        static let hasDerivedID = Flags(rawValue: 256)
        static let hasRawDigest = Flags(rawValue: 512)
        static let hasStandardRemedies = Flags(rawValue: 1_024)
        static let hasChecks = Flags(rawValue: 2_048)
        static let hasProvenance = Flags(rawValue: 4_096)
    }

    /// The order of each list is the format: new values go to the end.
    enum Codes {
        static let states: [Verdict.State] = [
            .compliant, .grace, .noncompliant, .notManaged, .notFound, .ambiguous, .unknown, .error,
            .delegated,
        ]
        static let strengths: [Verdict.Strength] = [.weak, .medium, .strong]
        static let risks: [Verdict.Risk] = [.none, .informational, .low, .medium, .high, .critical]
        /// How the keys of a device begin in `Verdict.matchKey`.
        static let keyWords: [String] = [
            "intune-device-id", "entra-device-id", "falcon-aid", "tanium-computer-id", "serial",
            "hardware-uuid", "mac", "device-name", "owner",
        ]
        static let checkStates: [Verdict.Check.State] = [.pass, .fail, .unknown, .notApplicable]

        static func index<Value: Equatable>(of value: Value, in list: [Value]) -> UInt8 {
            guard let index = list.firstIndex(of: value) else {
                preconditionFailure("\(value) has no place in the format")
            }
            return UInt8(index)
        }

        static func value<Value>(_ index: UInt8, in list: [Value]) -> Value? {
            has(index, in: list) ? list[Int(index)] : nil
        }

        static func has<Value>(_ index: UInt8, in list: [Value]) -> Bool { Int(index) < list.count }
    }
}
