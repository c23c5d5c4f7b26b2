import JSON
import Signatures

/// A vendor that knows us by a token that never changes.
protocol FixedTokenVendor: Vendor {
    static var token: String { get }
    /// `Bearer`, or the vendor's own.
    static var scheme: String { get }
}

extension FixedTokenVendor {
    static var scheme: String { "Bearer" }

    func isAuthorized(_ exchange: Exchange, _ emulator: VendorEmulator) -> Bool {
        let field = exchange.head.field("authorization") ?? ""
        return emulator.faults.fires(.revokedSecret) == nil
            && constantTimeEqual(Array(field.utf8), Array("\(Self.scheme) \(Self.token)".utf8))
    }
}

extension JSONObject {
    /// The record without what only the emulator knows.
    func without(_ names: String...) -> JSONValue {
        .object(JSONObject(members.filter { !names.contains($0.name) }.map { ($0.name, $0.value) }))
    }
}
