import Access
import JSON

/// A vendor as data: where its list is, how its pages follow each other, what proves that it was all, and how
/// one record is read. `DeclaredConnector` does the rest. One more vendor is one file in `Vendors`, one test,
/// one page.
struct DeclaredVendor: Sendable {
    /// The kind, as configurations name it.
    var name: String
    /// The product's name, for people.
    var title: String
    /// What the vendor calls the permission to read devices, for administrators.
    var permission: String
    /// Base, credentials, limits and error words.
    var api: @Sendable (ProviderConnection) throws(ConnectorFailure) -> ProviderAPI
    var list: DeclaredList
    /// Which keys find one device, the surest first.
    var lookUps: [DeclaredLookUp]
    /// Further calls for each device, when the list does not say all.
    var detail: DeclaredDetail?
    /// How often everything is read, seconds; known devices are asked for in between.
    var fullSyncSeconds: Int64 = 21_600
    /// One record; nil when it has no id that can be one.
    var read:
        @Sendable (_ record: JSONValue, _ connection: ProviderConnection, _ nowSeconds: Int64) ->
            DeclaredDevice?
}

/// A list of all devices, read page by page.
struct DeclaredList: Sendable {
    /// How one page leads to the next.
    enum Paging: Sendable {
        /// Numbered pages, from `first`.
        case page(parameter: String, first: Int)
        /// How many records to skip.
        case offset(parameter: String)
        /// An opaque text in the answer; none, null or empty ends the list.
        case cursor(parameter: String, next: [String])
    }

    /// With its fixed query, for example `/hosts?populate_policies=true`.
    var path: String
    var sizeParameter: String
    var size: Int
    var paging: Paging
    /// Where the records are in an answer; empty: the answer is the list.
    var items: [String]
    /// The vendor leaves the list out when it is empty.
    var mayLackItems = false
    /// Where the vendor says how many there are: on the first page, or behind a path of its own.
    var total: Total?

    enum Total: Sendable {
        case member([String])
        case path(String, [String])
    }
}

/// One way to ask for one device.
struct DeclaredLookUp: Sendable {
    var kind: DeviceKey.Kind
    /// The path for a normalised value, which has to be percent-encoded.
    var path: @Sendable (String) -> String
    /// Where the records are; empty: the answer is the list; nil: the answer is the record.
    var items: [String]?
    /// Where the one record is, when there is no list.
    var record: [String] = []
    /// The vendor may answer with further devices, which are left out; otherwise they make the answer a lie.
    var mayHoldOthers = false
}

/// Calls for one device more. A refusal is noted and ends the asking: what they would have said is then
/// unknown.
struct DeclaredDetail: Sendable {
    /// nil: this device needs none.
    var path: @Sendable (_ record: JSONValue, _ connection: ProviderConnection) -> String?
    /// The answer becomes this member of the record; null when the vendor has none.
    var member: String
    var permission: String
    /// How many calls may be under way at once.
    var callsMax = 5
}

/// What a record says, in our words.
struct DeclaredDevice: Sendable {
    /// The vendor's own id.
    var id: String
    var keys: [DeviceKey]
    var state: Verdict.State
    var isManaged: Bool? = true
    var score: Verdict.Score?
    var risk: Verdict.Risk?
    var isSensorRunning: Bool?
    /// Beside the state's own.
    var labels: [String] = []
    /// When the device itself reported, seconds; nil: never, or not readable.
    var lastSeenSeconds: Int64?
    var assessedSeconds: Int64?
    var graceUntilSeconds: Int64?
    /// The vendor's word.
    var rawState: String
    /// What the vendor judged one by one.
    var checks: [Verdict.Check] = []
    /// For the person; none when compliant.
    var remedies: [String] = []

    /// The verdict record as of now (providers.md 14.1).
    func record(of connection: ProviderConnection, source: JSONValue, nowSeconds: Int64) -> VerdictRecord {
        let digest = RecordReading.digest(source)
        let seen = RecordReading.observed(lastSeenSeconds, nowSeconds: nowSeconds)
        let grace = state == .grace ? graceUntilSeconds : nil
        let expires = connection.expiry(fetchedAtSeconds: nowSeconds, observedAtSeconds: seen)
        var labels = Set(labels.map(RecordReading.shortened))
        if state == .compliant || state == .noncompliant || state == .grace { labels.insert(state.label) }
        // Grace counts as compliant until its end, as with every provider.
        if state == .grace { labels.insert("compliant") }
        let verdict = Verdict(
            id: "\(connection.integration):\(id):\(nowSeconds):\(digest.prefix(12))",
            integration: connection.integration, provider: connection.provider, nativeID: id, state: state,
            isManaged: isManaged, score: score, risk: risk, isSensorRunning: isSensorRunning,
            labels: labels.sorted(), observedAtSeconds: seen, assessedAtSeconds: assessedSeconds,
            fetchedAtSeconds: nowSeconds, expiresAtSeconds: min(expires, grace ?? .max),
            graceUntilSeconds: grace,
            matchKey: DeviceKey.encoded(keys), matchStrength: .weak,
            rawState: RecordReading.shortened(rawState), digest: digest,
            remedies: state == .compliant ? [] : remedies, checks: Array(checks.prefix(200)))
        return VerdictRecord(verdict: verdict, keys: keys)
    }
}

extension JSONValue {
    /// The value behind these member names.
    func at(_ path: [String]) -> JSONValue? {
        path.reduce(Optional(self)) { value, name in value?[name] }
    }

    /// A vendor's id: a text or a whole number.
    var identifier: String? {
        let text = string ?? integer.map(String.init)
        return text.flatMap { $0.isEmpty || $0.utf8.count > 128 ? nil : $0 }
    }

    var lowercasedWord: String? { string?.lowercased() }

    /// A date-time of RFC 3339; nil for anything else.
    var timestamp: Int64? { string.flatMap(Timestamps.seconds) }
}
