import JSON
import Synchronization

/// How far a synchronisation has got, for whoever looks at it from outside.
final class SyncProgress: Sendable {
    /// Of the synchronisation that runs in this task.
    @TaskLocal static var current: SyncProgress?

    private let count = Atomic<Int>(0)

    /// Devices read so far.
    var devices: Int { count.load(ordering: .relaxed) }

    func note(devices: Int) { count.store(devices, ordering: .relaxed) }
}

/// The guards of providers.md 1.1 around a list that is read page by page: a cursor that comes twice, pages without
/// end, two pages with the same devices, and a link to somewhere else end it.
struct PageWalk: Sendable {
    static let pagesMax = 5_000
    static let recordsMax = 1_000_000

    private let recordsMax: Int
    private(set) var records = VerdictRecords()
    private(set) var pages = 0
    /// Values that could not be read; one of them spoils the proof of completeness.
    var malformedCount = 0
    /// How many devices the provider says there are.
    var announcedCount: Int64?
    private var ids: Set<String> = []
    private var cursors: Set<String> = []
    private var previousPage: Set<String>?

    /// - Parameter recordsMax: another bound, for whoever wants to see what is beyond it.
    init(recordsMax: Int = Self.recordsMax) { self.recordsMax = recordsMax }

    /// Devices with an id of their own.
    var deviceCount: Int { ids.count }

    /// Notes where the next page is: a link, a cursor or an offset.
    ///
    /// - Throws: `paging_loop` when it was there before, or after too many pages.
    mutating func turn(to cursor: String) throws(ConnectorFailure) {
        guard cursor.utf8.count <= 8_192 else {
            throw ConnectorFailure(.malformedResponse, "a next link of more than 8,192 bytes")
        }
        guard cursors.insert(cursor).inserted else {
            throw ConnectorFailure(.pagingLoop, "a next link came twice")
        }
        guard cursors.count <= Self.pagesMax else {
            throw ConnectorFailure(.pagingLoop, "more than \(Self.pagesMax) pages")
        }
    }

    /// Takes one page. A device that comes twice counts once: the first record is kept.
    ///
    /// - Parameter hasNext: whether the provider says that more follows.
    /// - Throws: `paging_loop` when more is to follow a page that says the same as the one before it.
    mutating func take(
        _ page: [JSONValue], hasNext: Bool, read: (JSONValue) -> (id: String, record: VerdictRecord)?
    ) throws(ConnectorFailure) {
        pages += 1
        var pageIDs: Set<String> = []
        for value in page {
            guard let (id, record) = read(value) else {
                malformedCount += 1
                continue
            }
            pageIDs.insert(id)
            if ids.insert(id).inserted { records.append(record) }
        }
        SyncProgress.current?.note(devices: records.count)
        guard records.count <= recordsMax else {
            throw ConnectorFailure(.malformedResponse, "more than \(recordsMax) devices")
        }
        // A provider that hands out ever new links with the same devices never ends otherwise.
        guard !hasNext || pageIDs.isEmpty || previousPage != pageIDs else {
            throw ConnectorFailure(.pagingLoop, "two pages in a row hold the same devices")
        }
        previousPage = pageIDs
    }

    /// Whether absence may be concluded: nothing was malformed and the provider's own count, when it gives one,
    /// agrees.
    var isProvenComplete: Bool {
        malformedCount == 0 && announcedCount.map { Int64(ids.count) >= $0 } ?? true
    }
}
