import Signatures
import Synchronization

/// Pages of a vendor's lists, as the paging faults want them.
extension VendorEmulator {
    /// One page of a list that is read by opaque cursors.
    ///
    /// - Returns: the page, and the cursor of the next one; nil behind the last. nil: the cursor is not
    ///   known, or not
    ///   any more.
    func page<Record>(
        _ all: [Record], cursor: String?, size: Int, nowSeconds: Int64 = 0
    ) -> (page: [Record], next: String?)? {
        var offset = 0
        if let cursor, !cursor.isEmpty {
            guard let kept = state.withLock({ $0.cursors[cursor] }) else { return nil }
            if let life = vendor.cursorSeconds, kept.sinceSeconds + life <= nowSeconds { return nil }
            offset = kept.offset
        }
        func keep(_ offset: Int, as name: String? = nil) -> String {
            let cursor = name ?? Base64URL.encode(Random.bytes(18))
            state.withLock { state in
                if state.cursors.count >= Self.tokensMax { state.cursors = [:] }
                state.cursors[cursor] = (offset, nowSeconds)
            }
            return cursor
        }
        if faults.fires(.emptyPage) != nil { return ([], keep(offset)) }
        var (page, end) = slice(all, from: offset, size: size)
        if faults.fires(.loop) != nil { return (page, keep(offset, as: "loop")) }
        if faults.fires(.twoCycle) != nil {
            return (page, keep(offset, as: cursor == "cycle-a" ? "cycle-b" : "cycle-a"))
        }
        if faults.fires(.sameIDs) != nil { return (page, keep(offset)) }
        if faults.fires(.partialPage) != nil { page = page.dropLast() }
        return (page, end < all.count ? keep(end) : nil)
    }

    /// One page of a list that is read by offsets.
    ///
    /// - Returns: the page, and where the next one begins; nil behind the last.
    func page<Record>(_ all: [Record], offset: Int, size: Int) -> (page: [Record], next: Int?) {
        if faults.fires(.emptyPage) != nil { return ([], offset < all.count ? offset : nil) }
        // Told to run in circles, the list has no end.
        if faults.fires(.loop) != nil || faults.fires(.sameIDs) != nil {
            return (slice(all, from: 0, size: size).page, offset + size)
        }
        if faults.fires(.twoCycle) != nil {
            return (slice(all, from: offset % 2, size: size).page, offset + size)
        }
        var (page, end) = slice(all, from: offset, size: size)
        if faults.fires(.partialPage) != nil { page = page.dropLast() }
        return (page, end < all.count ? end : nil)
    }

    private func slice<Record>(_ all: [Record], from offset: Int, size: Int) -> (page: [Record], end: Int) {
        let start = min(max(offset, 0), all.count)
        let end = min(start + min(size, state.withLock { $0.pageMax } ?? size), all.count)
        return (Array(all[start..<end]), end)
    }
}
