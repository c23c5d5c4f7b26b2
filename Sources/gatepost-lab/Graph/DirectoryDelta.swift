/// `GET /v1.0/devices/delta`: a baseline in pages, then only what changed (providers.md 3.2).

import JSON
import Synchronization

extension GraphEmulator {
    func delta(_ exchange: Exchange, _ parameters: Parameters) throws(QueryRefusal) -> Response {
        if faults.fires(.syncStateNotFound) != nil || isExpired(parameters, exchange) {
            return error(
                exchange, 400, "syncStateNotFound",
                "The sync state generation is not found; start a full sync.")
        }
        if faults.fires(.resyncRequired) != nil {
            return error(exchange, 410, "resyncRequired", "Resync is required; start a full sync.")
        }
        guard parameters["$filter"] == nil else {
            throw QueryRefusal(what: "The filter is not supported on the delta function.")
        }
        let token: DirectoryState.Token
        if let name = parameters["$skiptoken"] ?? parameters["$deltatoken"] {
            guard parameters.pairs.count == 1, let kept = directory.withLock({ $0.token(name) }), kept.isDelta
            else {
                throw QueryRefusal(what: "Query parameters are frozen in the token.")
            }
            token = kept
        } else {
            let query = try DirectoryQuery(parameters)
            token = DirectoryState.Token(
                isDelta: true, select: query.select, top: query.top, since: 0,
                issuedSeconds: exchange.nowSeconds)
        }
        return page(token, name: parameters["$skiptoken"], exchange)
    }

    private func isExpired(_ parameters: Parameters, _ exchange: Exchange) -> Bool {
        guard let name = parameters["$deltatoken"] ?? parameters["$skiptoken"],
            let token = directory.withLock({ $0.token(name) })
        else { return false }
        return exchange.nowSeconds - token.issuedSeconds >= DirectoryState.deltaSeconds
    }

    private func page(_ asked: DirectoryState.Token, name: String?, _ exchange: Exchange) -> Response {
        var token = asked
        let until = token.until ?? directory.withLock { $0.sequence }
        token.until = until
        var all = entries(since: token.since, until: until, exchange)
        if faults.fires(.replay) != nil, let first = all.first { all.append(first) }
        let isEmpty = !token.followsEmpty && faults.fires(.emptyPage) != nil
        let end = isEmpty ? token.offset : min(token.offset + token.top, all.count)
        var shown = Array(all[min(token.offset, all.count)..<max(end, min(token.offset, all.count))])
        if faults.fires(.partialPage) != nil { shown = Array(shown.dropLast()) }
        var members: [(String, JSONValue)] = [
            ("@odata.context", "https://graph.microsoft.com/v1.0/$metadata#devices(deviceId,isCompliant)")
        ]
        let select = token.select
        token.followsEmpty = isEmpty
        token.offset = end
        if let loop = loopLink(asked, name: name) {
            members.append(("@odata.nextLink", .string(loop)))
        } else if end < all.count || isEmpty {
            let next = directory.withLock { $0.keep(token) }
            let host = faults.fires(.crossHostNext) == nil ? address : "http://graph.evil.example"
            members.append(("@odata.nextLink", .string("\(host)/v1.0/devices/delta?$skiptoken=\(next)")))
        } else {
            let after = DirectoryState.Token(
                isDelta: true, select: select, top: token.top, since: until,
                issuedSeconds: exchange.nowSeconds)
            let next = directory.withLock { state in
                if token.since == 0 { state.baselines += 1 }
                return state.keep(after)
            }
            members.append(("@odata.deltaLink", .string("\(address)/v1.0/devices/delta?$deltatoken=\(next)")))
        }
        let values = shown.map { entry -> JSONValue in
            guard !select.isEmpty, entry["@removed"] == nil else { return .object(entry) }
            return .object(
                JSONObject(
                    entry.members.filter { $0.name == "id" || select.contains($0.name) }.map {
                        ($0.name, $0.value)
                    }))
        }
        members.append(("value", .array(values)))
        return .json(.object(JSONObject(members)), fields: identityFields(exchange))
    }

    private func loopLink(_ token: DirectoryState.Token, name: String?) -> String? {
        func link(_ name: String?) -> String {
            "\(address)/v1.0/devices/delta?$skiptoken=\(directory.withLock { $0.keep(token, as: name) })"
        }
        if faults.fires(.loop) != nil { return link("directory-loop") }
        if faults.fires(.twoCycle) != nil {
            return link(name == "directory-cycle-a" ? "directory-cycle-b" : "directory-cycle-a")
        }
        if faults.fires(.sameIDs) != nil { return link(nil) }
        return nil
    }

    /// Objects that changed, and what was removed; a baseline has no removed ones.
    private func entries(since: Int64, until: Int64, _ exchange: Exchange) -> [JSONObject] {
        let changed = Set(
            directory.withLock {
                $0.devices.filter { (since + 1...max(until, since + 1)).contains($0.sequence) }
            }
            .map(\.id))
        var entries = directoryRecords(exchange).filter { changed.contains($0["id"]?.string ?? "") }
        guard since > 0 else { return entries }
        for removed in directory.withLock({ $0.removed })
        where removed.sequence > since && removed.sequence <= until {
            entries.append(["id": .string(removed.id), "@removed": ["reason": .string(removed.reason)]])
        }
        return entries
    }

    // MARK: Control

    /// `/lab/directory`: GET lists, POST /<id> writes members, DELETE /<id>/<reason> removes; `/lab/partners`
    /// POST sets.
    func directoryControl(_ exchange: Exchange, _ path: [String]) throws -> Response {
        let body = exchange.head.method == "POST" ? try exchange.readBody() : []
        switch (exchange.head.method, path.count) {
        case ("GET", 0):
            return .json(["devices": .array(directory.withLock { $0.devices.map { .object($0.members) } })])
        case ("POST", 1):
            guard let members = (try? JSONValue(parsing: body))?.object else {
                return .json(["error": "the body is not a JSON object"], status: 400)
            }
            let changed = directory.withLock { $0.change(path[0], members) }
            return changed.map { .json(.object($0)) } ?? .json(["error": "no such object"], status: 404)
        case ("DELETE", 2):
            let isRemoved = directory.withLock { $0.remove(path[0], reason: path[1]) }
            return isRemoved ? .json([:]) : .json(["error": "no such object"], status: 404)
        case _: return .json(["error": "GET, POST /<id> or DELETE /<id>/<changed|deleted>"], status: 405)
        }
    }

    func partnerControl(_ exchange: Exchange) throws -> Response {
        guard exchange.head.method == "POST",
            let partners = (try? JSONValue(parsing: try exchange.readBody()))?["value"]?.array
        else { return .json(["error": "POST {\"value\": […]}"], status: 400) }
        directory.withLock { $0.partners = partners }
        return .json([:])
    }
}
