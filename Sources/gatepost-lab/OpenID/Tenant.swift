/// A directory's tenant beside the plain provider, as Microsoft Entra has them: several registrations that
/// name the same person differently, one sign-in for all of them, and a device rule (Conditional Access) on
/// one of them.

import JSON
import Signatures
import Synchronization

extension OpenIDProvider {
    /// What a tenant knows beside its clients.
    struct Tenant: Sendable {
        var id: String
        /// `complianceState` of the device with this Entra device id; nil: there is none.
        var complianceState: @Sendable (String) -> String?

        /// The path below which the tenant answers.
        var prefix: String { "/\(id)/v2.0" }
    }
    /// The cookie by which a browser of the lab's shows which device it is on. A real browser proves it with a key of
    /// the device; here `GET …/lab/browser?device=ID` sets it, and without `device` takes it away.
    static let deviceCookie = "lab-device"

    func setBrowserDevice(_ exchange: Exchange) -> Response {
        let device = Parameters(parsing: exchange.head.query)?["device"] ?? ""
        guard
            device.utf8.allSatisfy({ $0 == 0x2d || (0x30...0x39).contains($0) || (0x61...0x7a).contains($0) })
        else { return .text("device is an id in lower case.\n", status: 400) }
        let age = device.isEmpty ? 0 : 28_800
        return .text("This browser is on device \(device).\n").adding(
            ("Set-Cookie", "\(Self.deviceCookie)=\(device); Path=/; HttpOnly; SameSite=Lax; Max-Age=\(age)"))
    }

    /// Why the tenant's device rule refuses, as error and description (Microsoft, "Microsoft Entra
    /// authentication and authorization error codes"); nil: it does not.
    func deviceRefusal(_ client: Client, _ exchange: Exchange) -> (error: String, description: String)? {
        guard let tenant, client.wantsCompliantDevice else { return nil }
        if faults.fires(.blockedByPolicy) != nil {
            return (
                "access_denied",
                "AADSTS53003: Access has been blocked by Conditional Access policies. "
                    + "The access policy does not allow token issuance."
            )
        }
        guard let device = cookie(Self.deviceCookie, exchange), !device.isEmpty else {
            return ("interaction_required", "AADSTS50097: Device authentication is required.")
        }
        guard let state = tenant.complianceState(device) else {
            return (
                "access_denied",
                "AADSTS53001: Device is not in required device state: domain_joined. "
                    + "Conditional Access policy requires a domain joined device, and the device is not domain joined."
            )
        }
        guard state == "compliant" else {
            return (
                "access_denied",
                "AADSTS53000: Device is not in required device state: compliant. Conditional Access policy "
                    + "requires a compliant device, and the device is not compliant. The user must enroll their "
                    + "device with an approved MDM provider like Intune."
            )
        }
        return nil
    }

    /// What the tenant says of a person to one client: `sub` is another one for each, `oid` and `tid` are not.
    func tenantClaims(of person: Person, for client: Client) -> [(String, JSONValue)] {
        guard let tenant else { return [] }
        return [
            ("sub", .string(Self.pairwise(person, client))), ("oid", .string(Self.objectID(of: person))),
            ("tid", .string(tenant.id)), ("preferred_username", .string(person.email)),
        ]
    }

    /// OpenID Connect Core 8.1: derived, so that two clients cannot compare their people.
    static func pairwise(_ person: Person, _ client: Client) -> String {
        Base64URL.encode(Digest.sha256(Array("pairwise \(client.id) \(person.subject)".utf8)))
    }

    static func objectID(of person: Person) -> String {
        let digits = Digest.sha256(Array("object \(person.subject)".utf8)).prefix(16).map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
        let groups = [0..<4, 4..<6, 6..<8, 8..<10, 10..<16].map { digits[$0].joined() }
        return groups.joined(separator: "-")
    }
}

extension Client {
    /// The two registrations of one gateway in one tenant; the second is behind the device rule.
    static func tenantDemo(origins: [String]) -> [Client] {
        func client(_ id: String, _ name: String, provider: String, wantsDevice: Bool) -> Client {
            Client(
                id: id, secret: "\(id)-demo-secret", displayName: name,
                redirectURIs: origins.map { "\($0)/.gatepost/callback/\(provider)" },
                postLogoutURIs: origins.flatMap { ["\($0)/", "\($0)/.gatepost/sign-out"] },
                wantsCompliantDevice: wantsDevice)
        }
        return [
            client("gatepost-entra", "Corp", provider: "entra", wantsDevice: false),
            client(
                "gatepost-entra-managed", "Corp (managed devices)", provider: "entra-managed",
                wantsDevice: true),
        ]
    }
}

extension Response {
    fileprivate func adding(_ field: (String, String)) -> Response {
        var response = self
        response.fields.append(field)
        return response
    }
}
