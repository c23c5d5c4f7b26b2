/// Tells relying parties that somebody signed out here.

import Fetch
import Foundation
import JSON
import Signatures
import Synchronization

/// Delivers logout requests. One at a time and on a thread of its own: the person who signs out does not
/// wait.
final class LogoutSender: Sendable {
    static let timeoutMilliseconds = 5_000

    private let fetcher = CurlFetcher()
    /// The only authorities that relying parties' certificates may come from; nil: the system's.
    private let authoritiesPEM: [UInt8]?

    init(authoritiesPEM: [UInt8]? = nil) { self.authoritiesPEM = authoritiesPEM }

    /// Waits for the relying party's answer; nil when there was none.
    func deliver(_ request: LogoutRequest, to url: String) -> (status: Int, body: [UInt8])? {
        let done = DispatchSemaphore(value: 0)
        var fields: [(String, String)] = []
        if let type = request.contentType { fields.append(("Content-Type", type)) }
        let question = FetchRequest(
            method: "POST", url: url, fields: fields, body: request.body,
            timeoutMilliseconds: Self.timeoutMilliseconds, bodyBytesMax: 64 << 10, allowsPlainHTTP: true,
            authoritiesPEM: authoritiesPEM)
        let fetcher = fetcher
        let answer = Outcome()
        Task {
            if let response = try? await fetcher.fetch(question) {
                answer.held.withLock { $0 = (response.status, response.body) }
            }
            done.signal()
        }
        done.wait()
        return answer.held.withLock { $0 }
    }

    private final class Outcome: Sendable {
        let held = Mutex<(status: Int, body: [UInt8])?>(nil)
    }
}

extension OpenIDProvider {
    /// `POST /lab/logout {"client", "sub", "sid", "jti", "fault"}`: sends one logout token and says what came
    /// back.
    func sendLogout(_ exchange: Exchange) throws -> Response {
        guard exchange.head.method == "POST", let asked = try? JSONValue(parsing: try exchange.readBody()),
            let client = clients.first(where: { $0.id == asked["client"]?.string })
        else {
            return .json(["error": "POST {\"client\", \"sub\", \"sid\", \"jti\", \"fault\"}"], status: 400)
        }
        let fault = asked["fault"]?.string.flatMap(LogoutFault.init(rawValue:))
        guard asked["fault"] == nil || fault != nil else {
            let known = LogoutFault.allCases.map { JSONValue.string($0.rawValue) }
            return .json(["error": "unknown fault", "known": .array(known)], status: 400)
        }
        guard let url = client.backchannelURI else {
            return .json(["error": "this client has no back-channel logout address"], status: 400)
        }
        let request = logoutRequest(
            to: client, subject: asked["sub"]?.string, sid: asked["sid"]?.string,
            tokenID: asked["jti"]?.string, fault: fault)
        guard let answer = logoutSender.deliver(request, to: url) else {
            return .json(["error": "no answer"], status: 502)
        }
        return .json([
            "status": .integer(Int64(answer.status)),
            "body": .string(String(decoding: answer.body, as: UTF8.self)),
        ])
    }

    /// What `sid` calls the session that a browser has with a client; from the cookie, so nothing has to be
    /// kept.
    static func sessionName(_ cookie: String) -> String {
        Base64URL.encode(Array(Digest.sha256(Array("sid \(cookie)".utf8)).prefix(16)))
    }

    /// Somebody signed out here: their session's client is told.
    func announceLogout(of client: Client, subject: String, cookie: String) {
        guard let url = client.backchannelURI else { return }
        let request = logoutRequest(to: client, subject: subject, sid: Self.sessionName(cookie))
        let sender = logoutSender
        Thread.detachNewThread { _ = sender.deliver(request, to: url) }
    }
}
