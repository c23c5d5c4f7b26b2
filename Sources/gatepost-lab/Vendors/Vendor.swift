import JSON

/// One posture provider's API as its emulator speaks it. What every vendor shares (faults, tokens, control
/// paths) is in `VendorEmulator`; a vendor is its paths, its documents and its limits.
protocol Vendor: Sendable {
    /// The first segment of its paths here, and the site's name in logs.
    var name: String { get }
    /// Records as the vendor keeps them; `id` of each is the vendor's own.
    var demo: [VendorDevice] { get }
    /// Which members the device faults touch.
    var members: VendorMembers { get }
    /// At most so many calls in so many seconds; nil: no limit is emulated.
    var window: (calls: Int, seconds: Int64)? { get }
    /// All windows, where the vendor has several.
    var windows: [(calls: Int, seconds: Int64)] { get }
    /// At most so many calls with a bad token; nil: not counted.
    var refusedWindow: (calls: Int, seconds: Int64)? { get }
    /// How long a cursor of a list may be used; nil: without end.
    var cursorSeconds: Int64? { get }
    /// The vendor's error document.
    func error(_ status: Int, _ exchange: Exchange) -> Response
    /// The token endpoint and whatever else is answered before anybody has shown a token; nil: not one of
    /// these.
    func open(_ path: [String], _ exchange: Exchange, _ emulator: VendorEmulator) throws -> Response?
    /// Where the vendor says how long to wait.
    var hintField: String { get }
    /// What every answer says about the limit.
    func limitFields(calls: Int) -> [(String, String)]
    /// The hint itself, when a window is full.
    func hint(seconds: Int64, nowSeconds: Int64) -> String
    /// Whether the request carries what the vendor asks for.
    func isAuthorized(_ exchange: Exchange, _ emulator: VendorEmulator) -> Bool
    /// A control path of this vendor's own, behind `/<vendor>/lab`; nil: no such path.
    func control(_ path: [String], _ exchange: Exchange) throws -> Response?
    /// Everything else; nil: no such path.
    func answer(_ path: [String], _ exchange: Exchange, _ emulator: VendorEmulator) throws -> Response?
}

extension Vendor {
    var windows: [(calls: Int, seconds: Int64)] { window.map { [$0] } ?? [] }
    var refusedWindow: (calls: Int, seconds: Int64)? { nil }
    var cursorSeconds: Int64? { nil }
    var hintField: String { "Retry-After" }

    func limitFields(calls: Int) -> [(String, String)] { [] }
    func hint(seconds: Int64, nowSeconds: Int64) -> String { "\(seconds)" }

    func open(_ path: [String], _ exchange: Exchange, _ emulator: VendorEmulator) throws -> Response? { nil }

    func control(_ path: [String], _ exchange: Exchange) throws -> Response? { nil }

    func isAuthorized(_ exchange: Exchange, _ emulator: VendorEmulator) -> Bool {
        guard let field = exchange.head.field("authorization"), field.lowercased().hasPrefix("bearer ") else {
            return false
        }
        return emulator.accepts(token: String(field.dropFirst(7)), nowSeconds: exchange.nowSeconds)
    }
}

/// A device at a vendor: JSON, so that a test may put anything into any member.
struct VendorDevice: Sendable {
    var id: String
    var record: JSONObject
    /// The person's name in the demo, for control paths.
    var name: String
}

/// The vendor's names for what the faults touch.
struct VendorMembers: Sendable {
    var serial: String
    var state: String
    var lastSeen: String
    /// How the vendor writes times.
    var time: @Sendable (Int64) -> JSONValue = { .string(Timestamp.rfc3339($0)) }
}
