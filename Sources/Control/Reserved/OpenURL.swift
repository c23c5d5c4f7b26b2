import Access
import Border
import Identity
import JSON

/// The other end of a 401's `open_url`, which a program shows to a person: a plain address that is the same for
/// everybody, so that there is nothing in it to be forged.
extension ControlPlane {
    /// A script or program asked for it itself. It is told what to do, and gets neither a redirect nor a login cookie:
    /// nobody would answer the provider's questions, and every call would leave a cookie behind.
    func signInUnseen(_ request: ControlRequest) -> ControlResponse {
        let reason = Reason.signInRequired
        let url = services.origin(of: request.host) + "/.gatepost/sign-in"
        let body = JSONObject([
            ("reason", .string(reason.rawValue)), ("open_url", .string(url)),
            ("request_id", .string(request.requestID)),
        ])
        return Answers(request: request).json(401, .object(body), reason: reason)
    }
}

extension ControlRequest {
    /// A browser says that a script, an image or another site's frame asks for a step of the sign-in. Those
    /// are taken in a tab of the person's; whatever says nothing is believed, because it is no browser that
    /// others could use.
    var isStepUnseen: Bool {
        let isStep =
            path == "/.gatepost/sign-in" || path == "/.gatepost/handoff"
            || path.hasPrefix("/.gatepost/callback/")
        return isStep && method == "GET" && !isNavigation && !values("sec-fetch-mode").isEmpty
    }

    /// Where the person was when the address was opened: the page that the browser names, when it is one of
    /// this very origin, otherwise the application's root. Nothing but a path of this host comes of it, and
    /// the sign-in checks that again (`ReturnTarget`); a link to that path could have been followed as well.
    func openedFrom(_ services: Services) -> String {
        let origin = services.origin(of: host)
        guard let page = value("referer"), page.utf8.starts(with: origin.utf8) else { return "/" }
        let target = String(decoding: page.utf8.dropFirst(origin.utf8.count), as: UTF8.self)
        // "https://wiki.example.evil" begins with the origin, too, and so does another port.
        guard target.utf8.first == UInt8(ascii: "/"), !target.hasPrefix("//"),
            !target.hasPrefix("/.gatepost/") || FormPath.id(of: target) != nil,
            target.utf8.allSatisfy({ (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "\\") })
        else { return "/" }
        return target
    }
}
