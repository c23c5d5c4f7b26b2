/// JSON batching (providers.md 2.6): at most 20 requests in one call, each throttled, refused and answered on its own.

import JSON
import Synchronization

extension GraphEmulator {
    static let batchRequestsMax = 20

    /// One request of a batch.
    private struct Part {
        var id: String
        var url: String
        var method: String
        var dependsOn: [String]

        /// nil: no request.
        init?(_ value: JSONValue) {
            guard let id = value["id"]?.string, !id.isEmpty, let method = value["method"]?.string,
                let url = value["url"]?.string
            else { return nil }
            (self.id, self.url, self.method) = (id, url, method)
            guard let names = value["dependsOn"] else {
                dependsOn = []
                return
            }
            guard let names = names.array, names.allSatisfy({ $0.string != nil }) else { return nil }
            dependsOn = names.compactMap(\.string)
        }

        /// The path as a call of its own would have it.
        var path: String { "/v1.0" + url.prefix { $0 != "?" } }
    }

    func batch(_ exchange: Exchange, _ body: [UInt8]) -> Response {
        guard let requests = (try? JSONValue(parsing: body))?["requests"]?.array, !requests.isEmpty else {
            return error(exchange, 400, "BadRequest", "Invalid batch payload format.")
        }
        guard requests.count <= Self.batchRequestsMax else {
            return error(
                exchange, 400, "MaximumValueExceeded",
                "Number of batch request steps exceeds the maximum value of \(Self.batchRequestsMax).")
        }
        let parts = requests.compactMap { Part($0) }
        let ids = Set(parts.map(\.id))
        guard parts.count == requests.count, ids.count == parts.count else {
            return error(
                exchange, 400, "BadRequest", "Each request needs a method, a url and an id of its own.")
        }
        guard parts.allSatisfy({ part in part.dependsOn.allSatisfy { ids.contains($0) && $0 != part.id } })
        else { return error(exchange, 400, "BadRequest", "dependsOn names a request that is not there.") }
        guard let ordered = Self.ordered(parts) else {
            return error(exchange, 400, "BadRequest", "dependsOn goes in a circle.")
        }
        var done: [(id: String, response: Response)] = []
        for part in ordered {
            let failed = done.contains { part.dependsOn.contains($0.id) && $0.response.status >= 400 }
            let response =
                failed
                ? error(exchange, 424, "FailedDependency", "A request that this one depends on failed.")
                : answer(part, exchange)
            done.append((part.id, response))
        }
        // In any order, says the documentation: so never in the one that was asked.
        let answers = done.reversed().map { Self.document($0.id, $0.response) }
        return .json(["responses": .array(answers)], fields: identityFields(exchange))
    }

    /// Each behind those that it depends on; nil: some depend on each other.
    private static func ordered(_ parts: [Part]) -> [Part]? {
        var ordered: [Part] = []
        var ids: Set<String> = []
        // As often as there are parts: by then only circles are left.
        for _ in parts {
            for part in parts where !ids.contains(part.id) && ids.isSuperset(of: part.dependsOn) {
                ordered.append(part)
                ids.insert(part.id)
            }
        }
        return ordered.count == parts.count ? ordered : nil
    }

    private func answer(_ part: Part, _ exchange: Exchange) -> Response {
        if let refusal = throttling(exchange, path: part.path) { return refusal }
        guard part.method == "GET", part.url.hasPrefix("/") else {
            return error(exchange, 400, "BadRequest", "Only GET and relative addresses are supported.")
        }
        let halves = part.url.split(separator: "?", maxSplits: 1)
        let route = (halves.first ?? "").split(separator: "/").map { Parameters.decode($0) ?? "" }
        return resource(exchange, route, query: halves.count == 2 ? String(halves[1]) : "")
    }

    private static func document(_ id: String, _ response: Response) -> JSONValue {
        var fields = JSONObject([])
        for (name, value) in response.fields { fields[name] = .string(value) }
        return [
            "id": .string(id), "status": .integer(Int64(response.status)), "headers": .object(fields),
            "body": (try? JSONValue(parsing: response.body)) ?? nil,
        ]
    }
}
