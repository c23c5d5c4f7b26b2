/// What an authorization request asks of the sign-in (OpenID Connect Core 3.1.2.1 and 5.5), and what the id_token then
/// says of it.

import JSON

struct AskedAuthentication: Sendable, Hashable {
    /// `acr_values`: the first is what was reached.
    var contexts: [String] = []
    /// `claims`: `id_token.acrs`, as Microsoft Entra has it.
    var acrs: [String] = []
    /// `claims`: `id_token.amr`.
    var methods: [String] = []
    /// `claims`: `access_token.acrs`, which resources demand.
    var resourceContexts: [String] = []

    init() {}

    /// - Returns: nil when `claims` is no JSON object, or asks for something in a form that the specification has not.
    init?(_ parameters: Parameters) {
        contexts = (parameters["acr_values"] ?? "").split(separator: " ").map(String.init)
        guard let text = parameters["claims"] else { return }
        guard let claims = try? JSONValue(parsing: Array(text.utf8)), claims.object != nil,
            let acrs = Self.values(claims["id_token"]?["acrs"]),
            let methods = Self.values(claims["id_token"]?["amr"]),
            let resourceContexts = Self.values(claims["access_token"]?["acrs"])
        else { return nil }
        (self.acrs, self.methods, self.resourceContexts) = (acrs, methods, resourceContexts)
    }

    /// Core 5.5.1: null, or an object with `value` or `values`.
    private static func values(_ request: JSONValue?) -> [String]? {
        guard let request, !request.isNull else { return [] }
        guard request.object != nil else { return nil }
        if let value = request["value"] { return value.string.map { [$0] } }
        guard let values = request["values"] else { return [] }
        guard case .array(let list) = values else { return nil }
        let texts = list.compactMap(\.string)
        return texts.count == list.count ? texts : nil
    }

    /// The claims that answer it. A password is what everybody here has proved; whatever else is asked for, the lab's
    /// people have, so that a test asks for it and nobody has to show a second factor.
    var claims: [(String, JSONValue)] {
        var claims: [(String, JSONValue)] = [
            ("amr", .array((["pwd"] + methods.filter { $0 != "pwd" }).map { .string($0) }))
        ]
        if let reached = contexts.first { claims.append(("acr", .string(reached))) }
        if !acrs.isEmpty { claims.append(("acrs", .array(acrs.map { .string($0) }))) }
        return claims
    }

    /// As a provider answers that heard nothing of it.
    static let ignored: [(String, JSONValue)] = [("acr", "0"), ("amr", ["pwd"])]
}
