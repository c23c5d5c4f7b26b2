import Access
import JSON
import Signatures

/// Google endpoint verification through the Cloud Identity Devices API (providers.md 8.5).
enum GoogleDevices {
    static let vendor = DeclaredConnector.vendor(declared)
    static let scope = "https://www.googleapis.com/auth/cloud-identity.devices.readonly"

    static let declared = DeclaredVendor(
        name: "google", title: "Google endpoint verification",
        permission: "scope cloud-identity.devices.readonly",
        api: { connection throws(ConnectorFailure) in
            let account = try ServiceAccount(connection)
            let grant = TokenGrant(
                url: try connection.text("token-url"), form: { account.form(nowSeconds: $0) },
                errorWord: { $0["error"]?.string })
            return ProviderAPI(
                name: "Google", base: try connection.text("base-url"), credentials: .token(grant),
                errorWord: { $0["error"]?["status"]?.string ?? $0["error"]?.string })
        },
        list: DeclaredList(
            path: "/v1/devices?customer=customers%2Fmy_customer", sizeParameter: "pageSize", size: 100,
            paging: .cursor(parameter: "pageToken", next: ["nextPageToken"]), items: ["devices"],
            mayLackItems: true),
        lookUps: [
            DeclaredLookUp(
                kind: .serial,
                path: {
                    "/v1/devices?customer=customers%2Fmy_customer&pageSize=100&filter=serial%3A%22\($0)%22"
                },
                items: ["devices"])
        ], read: read)

    @Sendable static func read(_ record: JSONValue, _ connection: ProviderConnection, _ now: Int64)
        -> DeclaredDevice?
    {
        guard let id = record["name"]?.identifier, id.hasPrefix("devices/") else { return nil }
        func word(_ name: String) -> String { record[name]?.string?.uppercased() ?? "" }
        let management = word("managementState")
        let compromised = word("compromisedState")
        let state: Verdict.State
        if compromised == "COMPROMISED" || ["BLOCKED", "WIPING", "WIPED"].contains(management) {
            state = .noncompliant
        } else if management == "UNPROVISIONED" {
            state = .notManaged
        } else {
            state = management == "APPROVED" && isUncompromised(compromised) ? .compliant : .unknown
        }
        var labels: [String] = []
        if word("ownerType") == "COMPANY" { labels.append("company") }
        if word("ownerType") == "BYOD" { labels.append("personal") }
        if word("encryptionState") == "ENCRYPTED" { labels.append("encrypted") }
        let macs = (record["wifiMacAddresses"]?.array ?? []).prefix(16)
        return DeclaredDevice(
            id: id, keys: RecordReading.keys([(.serial, record["serialNumber"])] + macs.map { (.mac, $0) }),
            state: state, isManaged: management.isEmpty ? nil : management == "APPROVED", labels: labels,
            lastSeenSeconds: record["lastSyncTime"]?.timestamp,
            rawState: "managementState=\(management) compromisedState=\(compromised)",
            checks: checks(record),
            remedies: [
                state == .noncompliant
                    ? "Google has this device as blocked or compromised. Contact your administrator."
                    : "Google has not approved this device. Open the Endpoint Verification extension "
                        + "in Chrome, choose "
                        + "“Sync now”, and ask your administrator to approve the device if that does "
                        + "not help."
            ])
    }

    private static func checks(_ record: JSONValue) -> [Verdict.Check] {
        var checks = CheckList()
        checks.add(
            word: record["managementState"], "managementState", "Approved", good: ["approved"],
            bad: ["blocked", "pending", "unprovisioned", "wiping", "wiped"])
        checks.add(
            word: record["compromisedState"], "compromisedState", "Not compromised",
            good: ["uncompromised", "not_compromised"], bad: ["compromised"])
        if record["encryptionState"]?.string == "UNSUPPORTED_BY_DEVICE" {
            checks.add("encryptionState", "Encrypted", .notApplicable)
        } else {
            checks.add(
                word: record["encryptionState"], "encryptionState", "Encrypted", good: ["encrypted"],
                bad: ["not_encrypted"])
        }
        return checks.checks
    }

    /// The two resources spell it differently.
    private static func isUncompromised(_ word: String) -> Bool {
        word == "UNCOMPROMISED" || word == "NOT_COMPROMISED"
    }
}

/// A Google service account that acts for an administrator (domain-wide delegation).
struct ServiceAccount: Sendable {
    private let email: String
    private let admin: String
    private let audience: String
    private let key: SigningKey

    init(_ connection: ProviderConnection) throws(ConnectorFailure) {
        email = try connection.text("service-account.email")
        admin = try connection.text("service-account.admin")
        audience = try connection.text("token-url")
        let pem = try connection.secret("service-account.key")
        do throws(SignatureError) {
            key = try SigningKey(pem: Array(pem.utf8))
        } catch {
            throw ConnectorFailure(.configError, "service-account.key: \(error.what)")
        }
        guard key.publicKey.algorithm == .rs256 else {
            throw ConnectorFailure(.configError, "service-account.key: not an RSA key")
        }
    }

    /// RFC 7523 §2.1, as Google reads it.
    func form(nowSeconds: Int64) -> [(name: String, value: String)] {
        let assertion = JWS.sign(
            header: ["typ": "JWT"],
            payload: [
                "iss": .string(email), "sub": .string(admin), "scope": .string(GoogleDevices.scope),
                "aud": .string(audience), "iat": .integer(nowSeconds), "exp": .integer(nowSeconds + 300),
            ], with: key)
        return [
            (name: "grant_type", value: "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            (name: "assertion", value: assertion),
        ]
    }
}
