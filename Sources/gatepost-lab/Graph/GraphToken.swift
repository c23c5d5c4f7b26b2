/// Entra's token endpoint for the client-credentials grant, with its error bodies.

import Foundation
import JSON
import Signatures
import Synchronization

extension GraphEmulator {
    func token(_ exchange: Exchange, tenant: String) throws -> Response {
        guard exchange.head.method == "POST",
            exchange.head.field("content-type")?.hasPrefix("application/x-www-form-urlencoded") == true,
            let form = Parameters(parsing: try exchange.readBody())
        else { return refuse(exchange, "invalid_request", 900144, "The request body is not a form.") }
        guard Self.isTenant(tenant) else {
            return refuse(exchange, "invalid_request", 90002, "Tenant '\(tenant)' not found.")
        }
        if form["grant_type"] == "refresh_token" { return delegated(exchange, form) }
        if form["grant_type"] == "authorization_code" { return codeGrant(exchange, form) }
        guard form["grant_type"] == "client_credentials" else {
            return refuse(exchange, "unsupported_grant_type", 70003, "The grant type is not supported.")
        }
        guard form["client_id"] == Self.clientID else {
            return refuse(
                exchange, "unauthorized_client", 700016, "Application was not found in the directory.",
                status: 400)
        }
        guard faults.fires(.expiredSecret) == nil else {
            return refuse(
                exchange, "invalid_client", 7_000_222, "The provided client secret keys are expired.",
                status: 401)
        }
        if let assertion = form["client_assertion"] {
            guard accepts(assertion, type: form["client_assertion_type"], exchange) else {
                return refuse(
                    exchange, "invalid_client", 700_027, "Client assertion failed signature validation.",
                    status: 401)
            }
            return issue(exchange, form)
        }
        let secret = form["client_secret"] ?? ""
        guard faults.fires(.revokedSecret) == nil,
            constantTimeEqual(Array(secret.utf8), Array(Self.clientSecret.utf8))
        else {
            return refuse(
                exchange, "invalid_client", 7_000_215, "Invalid client secret provided.", status: 401)
        }
        return issue(exchange, form)
    }

    /// The refresh-token grant of a public client. Each token is good for one use and for 90 days without
    /// one.
    private func delegated(_ exchange: Exchange, _ form: Parameters) -> Response {
        guard form["client_id"] == Self.clientID else {
            return refuse(
                exchange, "unauthorized_client", 700016, "Application was not found in the directory.")
        }
        let used = form["refresh_token"] ?? ""
        let now = exchange.nowSeconds
        let issued = state.withLock { $0.refreshTokens.removeValue(forKey: used) }
        guard let issued, faults.fires(.revokedSecret) == nil else {
            return refuse(exchange, "invalid_grant", 70000, "The provided refresh token is not valid.")
        }
        guard now - (issued == 0 ? now : issued) < 90 * 86_400 else {
            return refuse(
                exchange, "invalid_grant", 700_082, "The refresh token has expired due to inactivity.")
        }
        guard let scopes = form["scope"]?.split(separator: " "), scopes.contains("offline_access"),
            scopes.contains("\(address)/.default")
        else { return refuse(exchange, "invalid_scope", 70011, "The provided scope is not valid.") }
        return issueDelegated(exchange, permissions: ConsentState.registered)
    }

    private func issue(_ exchange: Exchange, _ form: Parameters) -> Response {
        // The scope names the Graph of the same cloud: the vendor's or this emulator's own address.
        guard let scope = form["scope"], scope.hasSuffix("/.default"),
            [address, "https://graph.microsoft.com"].contains(String(scope.dropLast("/.default".count)))
        else { return refuse(exchange, "invalid_scope", 70011, "The provided scope is not valid.") }
        let roles = consent.withLock { $0.roles }
        let tenant = faults.fires(.otherTenant) == nil ? Self.tenant : Self.otherTenant
        let issued = state.withLock {
            $0.issueToken(nowSeconds: exchange.nowSeconds, permissions: roles, tenant: tenant)
        }
        return .json(
            [
                "token_type": "Bearer", "expires_in": .integer(GraphState.tokenSeconds),
                "ext_expires_in": .integer(GraphState.tokenSeconds), "access_token": .string(issued),
            ], fields: identityFields(exchange))
    }

    /// RFC 7523 §3 as Entra holds it: of the registered certificate, for this endpoint, for ten minutes at
    /// most.
    private func accepts(_ text: String, type: String?, _ exchange: Exchange) -> Bool {
        guard faults.fires(.revokedSecret) == nil, let certificate = certificate.withLock({ $0 }),
            let id = RegisteredCertificate(certificate: certificate).acceptedID(
                of: text, type: type, clientID: Self.clientID, endpoint: address + exchange.head.path,
                nowSeconds: exchange.nowSeconds)
        else { return false }
        return state.withLock { $0.usedAssertions.insert(id).inserted }
    }

    /// `POST /lab/certificate` with the PEM as the body registers it.
    func certificateControl(_ exchange: Exchange) throws -> Response {
        guard exchange.head.method == "POST", let fresh = try? Certificate(pem: try exchange.readBody())
        else {
            return .json(["error": "POST a PEM certificate"], status: 400)
        }
        certificate.withLock { $0 = fresh }
        return .json([:])
    }

    func refuse(
        _ exchange: Exchange, _ error: String, _ code: Int64, _ text: String, status: Int = 400
    ) -> Response {
        let trace = UUID().uuidString.lowercased()
        let correlation = exchange.head.field("client-request-id") ?? UUID().uuidString.lowercased()
        let time = Timestamp.spaced(exchange.nowSeconds)
        let description =
            "AADSTS\(code): \(text) Trace ID: \(trace) Correlation ID: \(correlation) Timestamp: \(time)"
        return .json(
            [
                "error": .string(error), "error_description": .string(description),
                "error_codes": [.integer(code)], "timestamp": .string(time), "trace_id": .string(trace),
                "correlation_id": .string(correlation), "error_uri": "\(address)/error?code=\(code)",
            ], status: status, fields: identityFields(exchange))
    }
}
