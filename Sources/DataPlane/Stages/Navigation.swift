import HTTP

/// Whether a person looks at the answer: what decides between a page and a refusal that programs understand.
///
/// Browsers say so themselves (Fetch Metadata §2). Whoever says nothing is taken for a program, unless it asks for a
/// page as browsers before Fetch Metadata do, and does nothing that those did only from scripts.
extension Reactor {
    /// A GET whose answer a person will look at. Only such a request is ever redirected, or begins a sign-in.
    ///
    /// - Precondition: the request was parsed in this walk.
    func isNavigation(_ slot: Int32) -> Bool {
        let connection = downstreams[slot]
        guard connection.pointee.exchange.method == .get, !connection.pointee.exchange.wantsUpgrade,
            !isSpeculative(slot)
        else { return false }
        if work.pointee.fields.contains(.secFetchMode) { return showsDocument(slot) }
        guard !work.pointee.fields.contains(.secFetchDest), !work.pointee.fields.contains(.secFetchSite),
            !work.pointee.fields.contains(.origin), !has("x-requested-with", slot),
            let accept = work.pointee.fields.onlyValue(.accept)
        else { return false }
        return AcceptedTypes(connection.pointee.input.bytes.span, accept.indices).isPageWanted
    }

    /// Whether a person has sent a form and is looking at the answer. Only a browser that says so: programs post, too.
    func isFormNavigation(_ slot: Int32) -> Bool {
        downstreams[slot].pointee.exchange.method == .post && showsDocument(slot)
    }

    /// Whether the answer fills a tab of its own, and is no frame of a page.
    func isTopDocument(_ slot: Int32) -> Bool { says("document", .secFetchDest, slot) }

    /// Whether the answer will be shown as a page, at once or later.
    ///
    /// - Precondition: the request was parsed in this walk.
    func asksForPage(_ slot: Int32) -> Bool {
        let head = downstreams[slot].pointee.input.bytes.span
        if let mode = work.pointee.fields.value(.secFetchMode) {
            return contains("navigate", in: head.extracting(mode.indices), wholly: true)
        }
        guard let accept = work.pointee.fields.value(.accept) else { return false }
        return contains("text/html", in: head.extracting(accept.indices), wholly: false)
    }

    /// Whether a browser says that it shows the answer as a document. Plug-ins (`object`, `embed`) cannot sign in;
    /// neither can a frame in another site's page, to and from which no cookie of ours goes.
    private func showsDocument(_ slot: Int32) -> Bool {
        guard says("navigate", .secFetchMode, slot) else { return false }
        guard work.pointee.fields.contains(.secFetchDest) else { return true }
        if says("document", .secFetchDest, slot) { return true }
        guard says("iframe", .secFetchDest, slot) || says("frame", .secFetchDest, slot) else { return false }
        guard work.pointee.fields.contains(.secFetchSite) else { return true }
        return says("same-origin", .secFetchSite, slot) || says("same-site", .secFetchSite, slot)
            || says("none", .secFetchSite, slot)
    }

    /// Whether the page is fetched in case somebody will want it. It may not begin a sign-in: most of them are never
    /// looked at, and a failure makes browsers ask again when somebody does.
    private func isSpeculative(_ slot: Int32) -> Bool {
        has("sec-purpose", slot) || says("prefetch", "purpose", slot) || says("prefetch", "x-moz", slot)
            || says("preview", "x-purpose", slot)
    }

    private func has(_ name: StaticString, _ slot: Int32) -> Bool {
        work.pointee.fields.value(named: name, in: downstreams[slot].pointee.input.bytes.span) != nil
    }

    private func says(_ word: StaticString, _ name: StaticString, _ slot: Int32) -> Bool {
        let head = downstreams[slot].pointee.input.bytes.span
        guard let value = work.pointee.fields.value(named: name, in: head) else { return false }
        return contains(word, in: head.extracting(value.indices), wholly: true)
    }

    /// Whether the only field of this name has exactly this value.
    private func says(_ word: StaticString, _ field: KnownField, _ slot: Int32) -> Bool {
        guard let value = work.pointee.fields.onlyValue(field) else { return false }
        let head = downstreams[slot].pointee.input.bytes.span
        return contains(word, in: head.extracting(value.indices), wholly: true)
    }
}
