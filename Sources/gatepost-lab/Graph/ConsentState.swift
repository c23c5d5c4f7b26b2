/// What the tenant granted to the application, and sign-ins under way.

import JSON
import Signatures

struct ConsentState {
    static let codesMax = 1_000
    static let codeSeconds: Int64 = 600

    /// What the registration asks for: consent grants these.
    static let registered: Set<String> = [
        "DeviceManagementManagedDevices.Read.All", "DeviceManagementServiceConfig.Read.All",
        "DeviceManagementConfiguration.Read.All", "Device.Read.All",
    ]

    /// Application permissions, as they are put into new tokens. A lab is ready to be read.
    var roles = registered
    /// Where browsers may be sent back to begins with nothing else, whatever the host.
    static let redirectPath = "/.gatepost/connect/"
    private var codes: [String: SignIn] = [:]

    /// A code that waits to be redeemed.
    struct SignIn {
        var redirectURI: String
        var challenge: String
        var nonce: String?
        var scopes: Set<String>
        var account: String
        var tenant: String
        var expiresAtSeconds: Int64
    }

    mutating func keep(_ signIn: SignIn) -> String {
        if codes.count >= Self.codesMax { codes.removeAll() }
        let code = Base64URL.encode(Random.bytes(32))
        codes[code] = signIn
        return code
    }

    /// A code is good for one use, also for a wrong one.
    mutating func redeem(_ code: String, nowSeconds: Int64) -> SignIn? {
        guard let found = codes.removeValue(forKey: code), nowSeconds < found.expiresAtSeconds else {
            return nil
        }
        return found
    }
}
