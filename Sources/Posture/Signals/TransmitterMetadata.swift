import Access
import Foundation
import JSON

/// A transmitter's metadata (Shared Signals 1.0 §7): only what a receiver uses.
struct TransmitterMetadata: Sendable, Hashable {
    var keySetURL: String?
    var configurationURL: String?
    var statusURL: String?
    var verificationURL: String?
    /// Members of complex subjects that must be understood.
    var criticalMembers: Set<String>
    var deliveryMethods: [String]?
    var addSubjectURL: String?
    var removeSubjectURL: String?
    /// Whom a new stream is about; nil: not said.
    var defaultSubjects: DefaultSubjects?

    enum DefaultSubjects: String, Sendable {
        case everybody = "ALL"
        case nobody = "NONE"
    }

    /// `/.well-known/ssf-configuration` between host and path of the issuer; a slash at its end is left out.
    static func url(of issuer: String) -> String? {
        guard var parts = URLComponents(string: issuer), parts.query == nil, parts.fragment == nil,
            parts.host?.isEmpty == false
        else { return nil }
        var path = parts.percentEncodedPath
        while path.hasSuffix("/") { path.removeLast() }
        parts.percentEncodedPath = "/.well-known/ssf-configuration" + path
        return parts.string
    }

    /// - Throws: `malformed_response` when it is another transmitter's, or leads to a host that is not its
    ///   own.
    init(_ document: JSONValue, for settings: SignalStreamSettings) throws(ConnectorFailure) {
        guard let issuer = document["issuer"]?.string, ExactText.isEqual(issuer, settings.issuer) else {
            throw ConnectorFailure(.malformedResponse, "metadata: issuer is not \(settings.issuer)")
        }
        let origins = [settings.issuer, settings.managementOrigin].compactMap { $0.flatMap(URLOrigin.init) }
        func endpoint(_ name: String) throws(ConnectorFailure) -> String? {
            guard let value = document[name], !value.isNull else { return nil }
            // Our credentials go there: not wherever a document says.
            guard let text = value.string, text.utf8.count <= 2_048,
                let origin = URLOrigin(text), origins.contains(origin)
            else {
                throw ConnectorFailure(
                    .malformedResponse,
                    "metadata: \(name) is not on the issuer's host; if it is right, set management-url"
                )
            }
            return text
        }
        configurationURL = try endpoint("configuration_endpoint")
        statusURL = try endpoint("status_endpoint")
        verificationURL = try endpoint("verification_endpoint")
        addSubjectURL = try endpoint("add_subject_endpoint")
        removeSubjectURL = try endpoint("remove_subject_endpoint")
        if let word = document["default_subjects"], !word.isNull {
            guard let known = word.string.flatMap(DefaultSubjects.init) else {
                throw ConnectorFailure(
                    .malformedResponse, "metadata: default_subjects is neither ALL nor NONE")
            }
            defaultSubjects = known
        }
        keySetURL = document["jwks_uri"]?.string
        let critical = document["critical_subject_members"]?.array ?? []
        guard critical.count <= 64 else {
            throw ConnectorFailure(.malformedResponse, "metadata: more than 64 critical_subject_members")
        }
        criticalMembers = Set(critical.compactMap(\.string))
        deliveryMethods = document["delivery_methods_supported"]?.array?.compactMap(\.string)
    }
}

/// A stream as its transmitter describes it (Shared Signals 1.0 §8.1.1).
struct StreamConfiguration: Sendable, Hashable {
    var id: String
    var eventsDelivered: [String]
    var eventsRequested: [String]
    var method: String?
    var endpointURL: String?
    var verificationSecondsMin: Int64
    var inactivitySeconds: Int64?

    /// - Throws: `malformed_response` when it is not of this transmitter or not for us: `iss` and `aud` are
    ///   checked in every answer.
    init(_ document: JSONValue, for settings: SignalStreamSettings) throws(ConnectorFailure) {
        guard let id = document["stream_id"]?.string, (1...256).contains(id.utf8.count) else {
            throw ConnectorFailure(.malformedResponse, "stream: no stream_id")
        }
        guard let issuer = document["iss"]?.string, ExactText.isEqual(issuer, settings.issuer) else {
            throw ConnectorFailure(.malformedResponse, "stream: iss is not \(settings.issuer)")
        }
        let audiences =
            document["aud"]?.array?.compactMap(\.string) ?? [document["aud"]?.string].compactMap { $0 }
        guard ExactText.contains(audiences, settings.audience) else {
            throw ConnectorFailure(.malformedResponse, "stream: aud does not have our audience")
        }
        self.id = id
        eventsDelivered = (document["events_delivered"]?.array ?? []).prefix(256).compactMap(\.string)
        eventsRequested = (document["events_requested"]?.array ?? []).prefix(256).compactMap(\.string)
        method = document["delivery"]?["method"]?.string
        endpointURL = document["delivery"]?["endpoint_url"]?.string
        verificationSecondsMin = min(max(document["min_verification_interval"]?.integer ?? 0, 0), 86_400)
        inactivitySeconds = document["inactivity_timeout"]?.integer.flatMap { $0 > 0 ? $0 : nil }
    }
}
