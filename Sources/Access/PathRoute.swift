/// A route of an application beside the proxied one: some of its paths are forwarded under another path, redirected, or
/// answered by the gateway itself.
///
/// It is found before the decision and takes no part in it. Policy judges the path that is forwarded (`judged`), and a
/// route that answers by itself answers only what policy lets in.
public struct PathRoute: Sendable, Codable, Hashable {
    /// What becomes of a request.
    public enum Action: Sendable, Codable, Hashable {
        /// It is forwarded, without the matched prefix where `stripsPrefix`, then behind `addedPrefix` (begins with "/"
        /// or is empty, and does not end with "/").
        case forward(stripsPrefix: Bool, addedPrefix: String)
        /// `target` is a path of the own host or an `https` URL. With `keepsRest` what stands behind the matched prefix
        /// follows it, with `keepsQuery` the request's query.
        case redirect(status: Int, target: String, keepsRest: Bool, keepsQuery: Bool)
        /// A body of the configuration.
        case answer(status: Int, contentType: String, body: [UInt8])
    }

    /// Canonical; begins with "/" and does not end with one, unless it is "/".
    public var path: String
    /// Whether the path is compared as a whole; otherwise everything below it is meant as well, by whole segments.
    public var isExact: Bool
    public var action: Action

    /// Takes the members as they are; nothing is checked here.
    public init(path: String, isExact: Bool, action: Action) {
        self.path = path
        self.isExact = isExact
        self.action = action
    }

    /// Whether requests are forwarded; otherwise the gateway answers.
    public var isForwarded: Bool {
        if case .forward = action { true } else { false }
    }
}

/// All routes of one application. An exact path goes before a prefix, a longer prefix before a shorter one; the order
/// in which they were written means nothing.
public struct PathRoutes: Sendable, Codable, Hashable {
    /// In the order in which they are compared.
    public let routes: [PathRoute]

    /// - Parameter routes: in any order; no two with the same path and kind.
    public init(_ routes: [PathRoute] = []) {
        self.routes = routes.sorted { one, other in
            if one.isExact != other.isExact { return one.isExact }
            let (length, otherLength) = (one.path.utf8.count, other.path.utf8.count)
            return length == otherLength ? one.path < other.path : length > otherLength
        }
    }

    /// The route of a canonical path; nil: the application's own one. Bytes are compared exactly, parameters of
    /// segments included: `/a;x` is not `/a`.
    public func index(for path: borrowing Span<UInt8>) -> Int? {
        var index = 0
        while index < routes.count {
            if Self.matches(routes[index], path) { return index }
            index += 1
        }
        return nil
    }

    private static func matches(_ route: PathRoute, _ path: borrowing Span<UInt8>) -> Bool {
        let wanted = route.path.utf8.span
        guard path.count >= wanted.count else { return false }
        var index = 0
        while index < wanted.count {
            guard path[index] == wanted[index] else { return false }
            index += 1
        }
        if path.count == wanted.count { return true }
        return !route.isExact && (wanted.count == 1 || path[wanted.count] == 0x2f)
    }

    /// Bytes of the path that route `index` takes away from the front; what is left begins with "/" or is empty.
    ///
    /// - Precondition: `index` came from `index(for:)` with that path.
    public func strippedBytes(_ index: Int) -> Int {
        guard case .forward(stripsPrefix: true, addedPrefix: _) = routes[index].action else { return 0 }
        // "/" alone is the slash that everything begins with.
        return routes[index].path == "/" ? 0 : routes[index].path.utf8.count
    }

    /// The path that policy judges: the one that is forwarded, or the one that was asked for where the gateway answers.
    public func judged(_ path: String) -> String {
        let bytes = Array(path.utf8)
        guard let index = index(for: bytes.span), case .forward(_, let added) = routes[index].action else {
            return path
        }
        let rest = String(decoding: bytes[strippedBytes(index)...], as: UTF8.self)
        let whole = added + rest
        return whole.isEmpty ? "/" : whole
    }
}
