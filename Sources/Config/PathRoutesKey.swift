import Access

/// `applications.<name>.routes[]`: paths that are not simply forwarded.
enum PathRoutesKey {
    static let redirectTable = KeyTable(
        "applications.<name>.routes[].redirect",
        [
            .required(
                "to", .text,
                "A path of the own host, or an `https` URL without a query: scheme and host are always these.",
                example: "/new"),
            .optional(
                "status", .choice(["301", "302", "303", "307", "308"]),
                "301 and 308 are kept by browsers; 307 and 308 repeat the method and the body.",
                standard: "`307`", example: "308"),
            .optional(
                "keep-rest", .flag, "What stands behind the matched `path-prefix` follows the target.",
                standard: "`false`", example: "true"),
            .optional(
                "keep-query", .flag, "The request's query goes along.", standard: "`true`", example: "false"),
        ])

    static let answerTable = KeyTable(
        "applications.<name>.routes[].answer",
        [
            .required(
                "status", .integer(200...599), "200, 203, 204, or an error but 401, 407 and 421.",
                example: "503"),
            .optional(
                "content-type", .text, "The type of the body.", standard: "`text/plain; charset=utf-8`",
                example: "text/html; charset=utf-8"),
            .optional(
                "body", .text, "The body, on one line.", standard: "none", example: "Closed until Monday."),
            .optional(
                "body-file", .file, "A file with the body, up to 64 KiB; read again at every reload.",
                standard: "none", example: "pages/maintenance.html"),
        ])

    static let table = KeyTable(
        "applications.<name>.routes[]",
        [
            .optional(
                "path", .text, "The path as a whole. Needs `redirect` or `answer`.",
                standard: "a `path-prefix`",
                example: "/robots.txt"),
            .optional(
                "path-prefix", .text,
                "The path and everything below it, by whole segments. An exact path goes first, then the "
                    + "longest prefix.",
                standard: "a `path`", example: "/api"),
            .optional(
                "strip-prefix", .flag,
                "The matched prefix is taken away before policy judges and the application sees the path. `false` "
                    + "alone leaves these paths as they are, below a shorter prefix that says otherwise.",
                standard: "`false`", example: "true"),
            .optional(
                "add-prefix", .text,
                "Stands in front of the path that policy judges and the application sees.",
                standard: "nothing", example: "/v2"),
            .optional(
                "redirect", .section(redirectTable), "Whoever policy lets in is sent elsewhere.",
                standard: "the request is forwarded", example: "{ to: /new, status: 308 }"),
            .optional(
                "answer", .section(answerTable), "Whoever policy lets in gets this answer of the gateway.",
                standard: "the request is forwarded", example: "{ status: 503, body: Closed until Monday. }"),
        ])

    static let key = KeySpec.optional(
        "routes", .list(.section(table)),
        "Paths that are forwarded under another path, redirected, or answered here. Policies judge what is forwarded.",
        standard: "all paths are forwarded as they are",
        example: "[ { path-prefix: /api, strip-prefix: true } ]")

    static let routesMax = 64
    private static let bodyBytesMax = 65_536

    /// - Parameter host: the application's own.
    static func read(_ application: SectionReader, host: String?) -> PathRoutes {
        guard let items = application.items("routes") else { return PathRoutes() }
        if items.count > routesMax {
            application.problem("routes", "more than \(routesMax) of them", "remove some")
        }
        var routes: [PathRoute] = []
        for (index, item) in items.enumerated() {
            guard
                let reader = SectionReader(
                    item, table, path: application.key("routes[\(index)]"), application.context),
                let route = route(reader)
            else { continue }
            let name = route.isExact ? "path" : "path-prefix"
            if routes.contains(where: { $0.path == route.path && $0.isExact == route.isExact }) {
                reader.problem(name, "another route has \(route.path) already", "keep one of them")
                continue
            }
            routes.append(route)
        }
        let all = PathRoutes(routes)
        for route in routes where leadsBack(route, all, host) {
            application.problem(
                "routes", "the redirect of \(route.path) leads back to itself",
                "name a path that no redirect matches, or match a `path`")
        }
        return all
    }

    private static func route(_ reader: SectionReader) -> PathRoute? {
        guard reader.has("path") != reader.has("path-prefix") else {
            reader.problem(
                "path", at: reader.place, "needs exactly one of path and path-prefix", "keep one of them")
            return nil
        }
        let isExact = reader.has("path")
        let name = isExact ? "path" : "path-prefix"
        guard let path = reader.text(name) else { return nil }
        if let refusal = PathSyntax.problem(path) ?? reservedProblem(path) {
            reader.problem(name, refusal.problem, refusal.remedy)
            return nil
        }
        let ways = [
            reader.has("strip-prefix") || reader.has("add-prefix"), reader.has("redirect"),
            reader.has("answer"),
        ]
        guard ways.count(where: { $0 }) == 1 else {
            reader.problem(
                name, "needs exactly one of strip-prefix or add-prefix, redirect, and answer",
                "keep one of them")
            return nil
        }
        let action: PathRoute.Action? =
            reader.has("redirect")
            ? redirect(reader, isExact)
            : reader.has("answer") ? answer(reader) : forward(reader, path, isExact)
        return action.map { PathRoute(path: path, isExact: isExact, action: $0) }
    }

    private static func reservedProblem(_ path: String) -> Quantity.Refusal? {
        guard path.lowercased() == "/.gatepost" || path.lowercased().hasPrefix("/.gatepost/") else {
            return nil
        }
        return .init(problem: "\"\(path)\" is the gateway's own", remedy: "choose another path")
    }

    private static func forward(_ reader: SectionReader, _ path: String, _ isExact: Bool) -> PathRoute.Action?
    {
        if isExact {
            reader.problem(
                "path", "is matched as a whole, but paths are changed by prefix", "use path-prefix")
            return nil
        }
        let strips = reader.flag("strip-prefix") ?? false
        if strips, path == "/" {
            reader.ineffective("strip-prefix", because: "there is nothing to take away from /", "remove it")
        }
        guard reader.has("add-prefix") else { return .forward(stripsPrefix: strips, addedPrefix: "") }
        guard let added = reader.text("add-prefix") else { return nil }
        var refusal = PathSyntax.problem(added) ?? reservedProblem(added)
        if added == "/" || added.utf8.count > 1_024 {
            refusal = .init(problem: "\"\(added.prefix(16))\" is no prefix", remedy: "write for example /v2")
        }
        if let refusal {
            reader.problem("add-prefix", refusal.problem, refusal.remedy)
            return nil
        }
        return .forward(stripsPrefix: strips, addedPrefix: added)
    }

    private static func redirect(_ route: SectionReader, _ isExact: Bool) -> PathRoute.Action? {
        guard let reader = route.section("redirect", redirectTable),
            let target = reader.text("to")
        else { return nil }
        if let refusal = targetProblem(target) {
            reader.problem("to", refusal.problem, refusal.remedy)
            return nil
        }
        let keepsRest = reader.flag("keep-rest") ?? false
        if isExact { reader.ineffective("keep-rest", because: "nothing stands behind a path", "remove it") }
        return .redirect(
            status: reader.choice("status").flatMap(Int.init) ?? 307, target: target, keepsRest: keepsRest,
            keepsQuery: reader.flag("keep-query") ?? true)
    }

    /// What leaves the own host names its scheme and host in full; `//host` and `/\host` are hosts to browsers.
    private static func targetProblem(_ target: String) -> Quantity.Refusal? {
        if target.utf8.count > 2_048 {
            return .init(problem: "has more than 2048 bytes", remedy: "name a shorter one")
        }
        if target.hasPrefix("/") {
            let isFolder = target.count > 1 && target.hasSuffix("/")
            return PathSyntax.problem(isFolder ? String(target.dropLast()) : target)
        }
        do throws(Quantity.Refusal) {
            let url = try PlainURL(target)
            guard url.isTLS else {
                return .init(problem: "\"\(target)\" is not https", remedy: "write https://")
            }
            let isFolder = url.path.count > 1 && url.path.hasSuffix("/")
            return url.path.isEmpty
                ? nil : PathSyntax.problem(isFolder ? String(url.path.dropLast()) : url.path)
        } catch {
            return error
        }
    }

    private static func leadsBack(_ route: PathRoute, _ all: PathRoutes, _ host: String?) -> Bool {
        guard case .redirect(_, let target, _, _) = route.action else { return false }
        var path = target
        if !target.hasPrefix("/") {
            guard let url = try? PlainURL(target), url.host == host else { return false }
            path = url.path.isEmpty ? "/" : url.path
        }
        guard let index = all.index(for: Array(path.utf8).span) else { return false }
        return all.routes[index] == route
    }

    private static func answer(_ route: SectionReader) -> PathRoute.Action? {
        guard let reader = route.section("answer", answerTable),
            let status = reader.integer("status")
        else { return nil }
        let isPossible = [200, 203, 204].contains(status) || (400...599).contains(status)
        guard isPossible, ![401, 407, 421].contains(status) else {
            reader.problem(
                "status", "\(status) is no answer that stands by itself", "use 200, 204, 404, 410 or 503")
            return nil
        }
        let type = reader.text("content-type") ?? "text/plain; charset=utf-8"
        if !isMediaType(type) {
            reader.problem(
                "content-type", "\"\(type)\" is no media type", "write for example text/html; charset=utf-8")
        }
        if reader.has("body"), reader.has("body-file") {
            reader.problem("body-file", "stands beside body", "keep one of them")
        }
        if status == 204 {
            for name in ["body", "body-file", "content-type"] {
                reader.ineffective(name, because: "204 has no body", "remove it")
            }
        }
        guard let body = body(reader) else { return nil }
        return .answer(status: Int(status), contentType: type, body: body)
    }

    private static func body(_ reader: SectionReader) -> [UInt8]? {
        if reader.has("body") { return reader.text("body").map { Array($0.utf8) } }
        guard let node = reader.node("body-file") else { return [] }
        guard let name = reader.scalar(node, "body-file")?.text else { return nil }
        guard reader.context.readsFiles else { return [] }
        let files = NamedFiles(reader: reader)
        guard let bytes = files.read(files.path(name, node.place), "body-file", node.place, isPrivate: false)
        else { return nil }
        guard bytes.count <= bodyBytesMax else {
            reader.problem("body-file", "\(name) has more than \(bodyBytesMax) bytes", "name a smaller file")
            return nil
        }
        return bytes
    }

    /// RFC 9110 §8.3.1, without quoted parameters.
    private static func isMediaType(_ text: String) -> Bool {
        let parts = text.split(separator: ";", omittingEmptySubsequences: false)
        let names = parts[0].split(separator: "/", omittingEmptySubsequences: false)
        let isTypeFine = names.count == 2 && names.allSatisfy { isToken($0) }
        return text.utf8.count <= 256 && isTypeFine
            && parts.dropFirst().allSatisfy { part in
                let pair = part.drop { $0 == " " }.split(separator: "=", omittingEmptySubsequences: false)
                return pair.count == 2 && pair.allSatisfy { isToken($0) }
            }
    }

    private static func isToken(_ text: Substring) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy {
                (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0)
                    || "!#$&^_.+-".utf8.contains($0)
            }
    }
}
