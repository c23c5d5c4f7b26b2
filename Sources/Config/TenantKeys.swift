/// `identity-providers.<name>.tenants`: which tenants count where the issuer stands for all of them.
enum TenantKeys {
    static let tenants = KeySpec.optional(
        "tenants", .list(.text),
        "Ids of the tenants whose people may sign in, where `issuer` is Entra's `…/common/v2.0` or "
            + "`…/organizations/v2.0`; required there.",
        standard: "none", example: "[9b1f2d3c-0000-4000-8000-1234567890ab]")

    /// - Returns: in lower case; empty where the issuer is one; nil after a problem.
    static func read(_ reader: SectionReader, issuer: String?) -> [String]? {
        let stands = issuer.map(standsForAll) ?? false
        guard reader.has("tenants") else {
            guard stands else { return [] }
            reader.problem(
                "issuer", "stands for every tenant there is, and anybody can have one",
                "add tenants, or use the issuer of your own tenant")
            return nil
        }
        guard let tenants = reader.texts("tenants") else { return nil }
        if issuer != nil, !stands {
            reader.ineffective(
                "tenants", because: "the issuer is one issuer", "remove it, or use …/organizations/v2.0")
        }
        var isGood = true
        for tenant in tenants where !isGUID(tenant) {
            reader.problem(
                "tenants", "\"\(tenant)\" is no tenant id", "list ids (GUIDs), as the claim tid has them")
            isGood = false
        }
        return isGood ? tenants.map { $0.lowercased() } : nil
    }

    private static func standsForAll(_ issuer: String) -> Bool {
        ["common", "organizations"].contains { name in
            ["", "/"].contains { issuer.hasSuffix("/\(name)/v2.0\($0)") }
        }
    }

    /// 8-4-4-4-12 hexadecimal digits.
    private static func isGUID(_ text: String) -> Bool {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        return parts.map(\.utf8.count) == [8, 4, 4, 4, 12]
            && parts.allSatisfy { $0.utf8.allSatisfy { digits.contains($0) } }
    }

    private static let digits = Set("0123456789abcdefABCDEF".utf8)
}
