import Fetch
import JSON
import Signatures
import Synchronization

@testable import Identity

/// The refresh side of the provider in this process: rotation with reuse detection, or one token for ever.
struct FakeRefresh {
    struct Family {
        var clientID: String
        var nonce: String
        var current: String
    }

    var gives = false
    var rotates = true
    var sendsIDToken = true
    var announcesRevocation = true
    var expiresIn: Int64?
    /// Changes the refreshed id token's claims.
    var claims: @Sendable (inout JSONObject) -> Void = { _ in }
    /// Instead of an answer to a refresh; the token is not used up.
    var answer: FetchResponse?
    /// The token is used up, and this is what comes instead of the answer.
    var lost: FetchError?
    var revocationAnswer = FetchResponse(status: 200)
    /// Holds answers of the token endpoint.
    var gate: Gate?
    var families: [String: Family] = [:]
    var names: [String: String] = [:]
    /// Tokens that were presented, in order.
    var presented: [String] = []
    var givenBack: [String] = []
    var reuses = 0

    mutating func begin(clientID: String, nonce: String, _ count: inout Int) -> String? {
        guard gives else { return nil }
        count += 1
        let token = "refresh-\(count)"
        families[token] = Family(clientID: clientID, nonce: nonce, current: token)
        names[token] = token
        return token
    }
}

extension FakeProvider {
    /// nil: it is no refresh.
    func refreshed(_ request: FetchRequest, _ state: inout State) -> Result<FetchResponse, FetchError>? {
        let form = FormText.parse(String(decoding: request.body ?? [], as: UTF8.self)) ?? [:]
        guard form["grant_type"] == "refresh_token" else { return nil }
        let token = form["refresh_token"] ?? ""
        state.refresh.presented.append(token)
        if let answer = state.refresh.answer { return .success(answer) }
        guard let name = state.refresh.names[token], var family = state.refresh.families[name] else {
            return .success(Self.json(["error": "invalid_grant"], status: 400))
        }
        guard isAuthenticated(request, form, family.clientID, &state) else {
            return .success(Self.json(["error": "invalid_client"], status: 401))
        }
        guard family.current == token else {
            state.refresh.reuses += 1
            state.refresh.families[name] = nil
            return .success(Self.json(["error": "invalid_grant"], status: 400))
        }
        state.tokenCount += 1
        let access = "access-\(state.tokenCount)"
        var answer: JSONObject = ["token_type": "Bearer", "access_token": .string(access)]
        if state.refresh.rotates {
            family.current = "refresh-\(state.tokenCount)"
            state.refresh.families[name] = family
            state.refresh.names[family.current] = name
            answer["refresh_token"] = .string(family.current)
        }
        answer["expires_in"] = state.refresh.expiresIn.map { .integer($0) }
        if state.refresh.sendsIDToken {
            var claims: JSONObject = [
                "iss": .string(issuer), "sub": .string(state.subject), "aud": .string(family.clientID),
                "exp": .integer(state.nowSeconds + 300), "iat": .integer(state.nowSeconds),
                "email": "Ann.Lee@Corp.example", "email_verified": true, "name": "Ann Lee",
                "groups": ["staff", "admins"],
            ]
            state.refresh.claims(&claims)
            answer["id_token"] = .string(signed(claims, state))
        }
        if let lost = state.refresh.lost { return .failure(lost) }
        return .success(Self.json(answer))
    }

    func revoked(_ request: FetchRequest, _ state: inout State) -> FetchResponse {
        let form = FormText.parse(String(decoding: request.body ?? [], as: UTF8.self)) ?? [:]
        let token = form["token"] ?? ""
        // A token is given back by whom it was given to (RFC 7009 §2.1).
        if let name = state.refresh.names[token], let owner = state.refresh.families[name]?.clientID,
            !isAuthenticated(request, form, owner, &state)
        {
            return Self.json(["error": "invalid_client"], status: 401)
        }
        if state.refresh.revocationAnswer.status == 200 {
            state.refresh.givenBack.append(token)
            if let name = state.refresh.names[token] { state.refresh.families[name] = nil }
        }
        return state.refresh.revocationAnswer
    }

    var refresh: FakeRefresh { locked.withLock { $0.refresh } }
    func refreshing(_ edit: @Sendable (inout FakeRefresh) -> Void) { change { edit(&$0.refresh) } }
}

/// Holds whoever passes until it is opened; tells how many wait.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var waiting: [CheckedContinuation<Void, Never>] = []
        var arrivals: [(count: Int, CheckedContinuation<Void, Never>)] = []
        var arrived = 0
    }
    private let state = Mutex(State())

    func pass() async {
        await withCheckedContinuation { continuation in
            let (isOpen, met) = state.withLock { state in
                state.arrived += 1
                let arrived = state.arrived
                let met = state.arrivals.filter { $0.count <= arrived }.map(\.1)
                state.arrivals.removeAll { $0.count <= arrived }
                if !state.isOpen { state.waiting.append(continuation) }
                return (state.isOpen, met)
            }
            for waiter in met { waiter.resume() }
            if isOpen { continuation.resume() }
        }
    }

    /// Returns when so many have come.
    func arrival(_ count: Int = 1) async {
        await withCheckedContinuation { continuation in
            let isMet = state.withLock { state in
                if state.arrived >= count { return true }
                state.arrivals.append((count, continuation))
                return false
            }
            if isMet { continuation.resume() }
        }
    }

    func open() {
        let waiting = state.withLock { state in
            defer { state.waiting = [] }
            state.isOpen = true
            return state.waiting
        }
        for waiter in waiting { waiter.resume() }
    }
}
