import Access
import Store

/// Records as a provider gave them, packed one by one as they come: a list of a hundred thousand devices takes as much
/// memory while it is being read as the cache that it goes into, and not five times that.
public struct VerdictRecords: Sendable, RandomAccessCollection, ExpressibleByArrayLiteral {
    /// The integration; all records are of one.
    private(set) var integration = ""
    private var packed: [PackedVerdict] = []

    /// No records.
    public init() {}

    /// Packs records.
    public init(_ records: some Sequence<VerdictRecord>) {
        for record in records { append(record) }
    }

    /// Packs records.
    public init(arrayLiteral records: VerdictRecord...) { self.init(records) }

    /// Zero.
    public var startIndex: Int { 0 }
    /// How many records there are.
    public var endIndex: Int { packed.count }

    /// A record, unpacked.
    public subscript(index: Int) -> VerdictRecord {
        guard let record = Self.unpacked(packed[index], integration: integration) else {
            preconditionFailure("record \(index) does not unpack although it was packed here")
        }
        return record
    }

    /// A record as it rests.
    func packed(at index: Int) -> PackedVerdict { packed[index] }

    /// Adds a record.
    ///
    /// - Precondition: it is of the same integration as the others.
    public mutating func append(_ record: VerdictRecord) {
        append(Self.packed(record.said(by: CallTrace.current?.last)), of: record.verdict.integration)
    }

    /// Adds a record that is packed already.
    mutating func append(_ record: PackedVerdict, of owner: String) {
        if packed.isEmpty { integration = owner }
        precondition(
            ExactText.isEqual(owner, integration), "a record of \(owner) among those of \(integration)")
        packed.append(record)
    }

    /// A record with its keys in place of what it was matched by: that is known only when a device is matched.
    static func packed(_ record: VerdictRecord) -> PackedVerdict {
        var verdict = record.verdict
        verdict.matchKey = DeviceKey.encoded(record.keys)
        return PackedVerdict(
            verdict,
            standardRemedies: ProviderRemedies.sentences(verdict.state, provider: verdict.provider))
    }

    /// nil for bytes that are damaged.
    static func unpacked(_ packed: PackedVerdict, integration: String) -> VerdictRecord? {
        packed.unpacked(integration: integration, standardRemedies: ProviderRemedies.sentences).map {
            VerdictRecord(verdict: $0, keys: DeviceKey.decoded($0.matchKey))
        }
    }
}
