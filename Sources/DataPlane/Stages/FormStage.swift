import HTTP

/// A form that somebody sent whose session had ended.
extension Reactor {
    /// Whether its body may wait for the sign-in: the application wants that, the form is short, and the page
    /// that it was in was the application's own. Otherwise not a byte of it is read: what another site wrote
    /// is never sent on with this person's session.
    ///
    /// Only `application/x-www-form-urlencoded`, which is all that a page of ours can send again byte for byte: files
    /// cannot be filled into a form, and `text/plain` cannot be taken apart.
    ///
    /// - Precondition: the request was parsed in this walk.
    func mayKeepForm(_ slot: Int32, _ request: CanonicalRequest) -> Bool {
        guard let route = downstreams[slot].pointee.route, route.keepsForms,
            case .length(let length) = request.framing, length <= Int64(Self.controlBodyBytesMax),
            request.form == .origin, !work.pointee.fields.contains(.contentEncoding),
            let origin = work.pointee.fields.onlyValue(.origin),
            let type = work.pointee.fields.onlyValue(.contentType)
        else { return false }
        let head = downstreams[slot].pointee.input.bytes.span
        let own = route.origins[0]
        return Plan.equal(own.span, head.extracting(origin.indices))
            && contains(
                "application/x-www-form-urlencoded", in: head.extracting(type.indices), wholly: true)
            && isTopDocument(slot)
    }
}
