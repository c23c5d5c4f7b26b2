/// How long vendors say that a change of a device may take to get to them, by kind: what no refresh of ours makes
/// shorter.
enum VendorDelay {
    static let seconds: [String: Int64] = [
        // "Estimated refresh intervals" of Intune's documentation: about every 8 hours.
        "intune": 28_800,
        // From a compliance partner to the directory.
        "entra": 900,
    ]
}
