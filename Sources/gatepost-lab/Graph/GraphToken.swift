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
        guard tenant == Self.tenant else {
            return refuse(exchange, "invalid_request", 90002, "Tenant '\(tenant)' not found.")
        }
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
        let secret = form["client_secret"] ?? ""
        guard faults.fires(.revokedSecret) == nil,
            constantTimeEqual(Array(secret.utf8), Array(Self.clientSecret.utf8))
        else {
            return refuse(
                exchange, "invalid_client", 7_000_215, "Invalid client secret provided.", status: 401)
        }
        // The scope names the Graph of the same cloud: the vendor's or this emulator's own address.
        guard let scope = form["scope"], scope.hasSuffix("/.default"),
            [address, "https://graph.microsoft.com"].contains(String(scope.dropLast("/.default".count)))
        else { return refuse(exchange, "invalid_scope", 70011, "The provided scope is not valid.") }
        let issued = state.withLock { $0.issueToken(nowSeconds: exchange.nowSeconds) }
        return .json(
            [
                "token_type": "Bearer", "expires_in": .integer(GraphState.tokenSeconds),
                "ext_expires_in": .integer(GraphState.tokenSeconds), "access_token": .string(issued),
            ], fields: identityFields(exchange))
    }

    private func refuse(
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
