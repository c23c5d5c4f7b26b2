import Access
import Synchronization

/// Forms that wait for a sign-in: sealed, in memory alone, few and for a short time. A restart loses them, which a page
/// then says.
final class KeptForms: Sendable {
    /// One form. Its bytes are sealed to its id and to the browser that sent it.
    struct Form: Sendable {
        var application: String
        /// Canonical path and the query as it was sent.
        var target: String
        /// What `SealedForm` made of the body.
        var sealed: String
        /// Digest of the browser's `FormCookie`.
        var browser: [UInt8]
        /// Who was signed in at the browser last (`PersonCookie`); nil: nobody knows.
        var person: [UInt8]?
        var client: NetworkAddress
        var expiresAtSeconds: Int64
    }

    static let lifetimeSeconds: Int64 = 300
    /// All of them together; a flood is refused, and costs nobody a form that is kept already.
    static let bytesMax = 16 << 20
    static let formsMax = 4_096
    /// From one address, or one IPv6 network of 64 bits, whose holder has all the others: one flood does not take every
    /// place.
    static let perClientMax = 32

    private struct State {
        var forms: [String: Form] = [:]
        var bytes = 0
    }
    private let state = Mutex(State())

    /// - Returns: false when there is no room.
    func keep(_ form: Form, id: String, nowSeconds: Int64) -> Bool {
        state.withLock { state in
            forgetOld(&state, nowSeconds)
            let size = form.sealed.utf8.count
            guard state.forms.count < Self.formsMax, state.bytes + size <= Self.bytesMax,
                state.forms[id] == nil,
                state.forms.values.count(where: { Self.isNear($0.client, form.client) }) < Self.perClientMax
            else { return false }
            state.forms[id] = form
            state.bytes += size
            return true
        }
    }

    private static func isNear(_ left: NetworkAddress, _ right: NetworkAddress) -> Bool {
        // IPv4 has no high half.
        left.high == right.high && (left.high != 0 || left.low == right.low)
    }

    /// The form of this browser, which stays; nil when there is none, or it is another browser's.
    func find(_ id: String, browser: [UInt8], nowSeconds: Int64) -> Form? {
        state.withLock { state in
            forgetOld(&state, nowSeconds)
            return state.forms[id].flatMap { $0.browser == browser ? $0 : nil }
        }
    }

    /// Takes the form away: of several who ask, one gets it.
    func take(_ id: String, browser: [UInt8], nowSeconds: Int64) -> Form? {
        state.withLock { state in
            forgetOld(&state, nowSeconds)
            guard let form = state.forms[id], form.browser == browser else { return nil }
            state.forms[id] = nil
            state.bytes -= form.sealed.utf8.count
            return form
        }
    }

    /// Also called by upkeep, so that nothing lies here for longer because nobody asks.
    func forgetOld(nowSeconds: Int64) { state.withLock { forgetOld(&$0, nowSeconds) } }

    /// How many wait, and their sealed bytes.
    var size: (forms: Int, bytes: Int) { state.withLock { ($0.forms.count, $0.bytes) } }

    private func forgetOld(_ state: inout State, _ nowSeconds: Int64) {
        // A clock that was set back may not keep them for longer than they were meant to live.
        let isOld = { (form: Form) in
            nowSeconds >= form.expiresAtSeconds || nowSeconds < form.expiresAtSeconds - Self.lifetimeSeconds
        }
        for (id, form) in state.forms where isOld(form) {
            state.forms[id] = nil
            state.bytes -= form.sealed.utf8.count
        }
    }
}
