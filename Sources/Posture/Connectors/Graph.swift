import JSON

/// Microsoft Graph as every connector on it uses it (providers.md 2.1, 2.5, 2.7, 3.4).
enum Graph {
    static func api(_ tenant: Tenant) -> ProviderAPI {
        let grant = TokenGrant(
            url: tenant.tokenURL,
            form: { nowSeconds async throws(ConnectorFailure) in
                try await tenant.form(nowSeconds: nowSeconds)
            },
            errorWord: tokenErrorWord,
            received: { answer, client async throws(ConnectorFailure) in
                try await tenant.facts.received(answer, client)
                await tenant.delegation?.received(answer, nowSeconds: client.clock.nowSeconds())
            })
        return ProviderAPI(
            name: "Graph", base: tenant.graphURL, credentials: .token(grant),
            requestIDField: "client-request-id",
            errorWord: errorWord,
            // Of 2,000 in 20 s for an application in a tenant: two integrations or gateways may be one application.
            windows: [RateWindow(calls: 900, seconds: 20)], allowsPlainHTTP: tenant.allowsPlainHTTP,
            authoritiesPEM: tenant.authoritiesPEM)
    }

    /// `error`, never the description; the number is for administrators (providers.md 2.1).
    static func tokenErrorWord(_ body: JSONValue) -> String? {
        guard let word = body["error"]?.string else { return nil }
        return word + (body["error_codes"]?.array?.first?.integer.map { ", AADSTS\($0)" } ?? "")
    }

    /// The most specific code of an error body: `innerError` and `innererror` both occur and nest.
    static func errorWord(_ body: JSONValue) -> String? {
        var error = body["error"]
        var word: String?
        for _ in 0..<8 {
            guard let current = error else { break }
            word = current["code"]?.string ?? word
            error = current["innerError"] ?? current["innererror"]
        }
        return word
    }

    /// Every page of a list, from its first address to the end of its `@odata.nextLink`s.
    ///
    /// - Parameter read: nil for a value that is none of the list's.
    static func walk(
        _ client: ProviderClient, from first: String, waitSecondsMax: Double, into walk: inout PageWalk,
        read: (JSONValue) -> (id: String, record: VerdictRecord)?
    ) async throws(ConnectorFailure) {
        var next: String? = first
        while let url = next {
            try walk.turn(to: url)
            let page = try await client.get(url, waitSecondsMax: waitSecondsMax)
            guard let values = page["value"]?.array else {
                throw ConnectorFailure(.malformedResponse, "a page without a value array")
            }
            if walk.pages == 0 { walk.announcedCount = page["@odata.count"]?.integer }
            next = try link(page["@odata.nextLink"])
            try walk.take(values, hasNext: next != nil, read: read)
        }
    }

    static func link(_ value: JSONValue?) throws(ConnectorFailure) -> String? {
        guard let value, value != .null else { return nil }
        guard let text = value.string else {
            throw ConnectorFailure(.malformedResponse, "a next link that is no text")
        }
        return text
    }
}
