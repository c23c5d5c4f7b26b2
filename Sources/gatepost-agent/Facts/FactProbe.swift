import JSON

/// One question to the machine. It answers only what it found out: absent means unknown, never false.
protocol FactProbe: Sendable {
    /// Members of the `posture` object that this probe may add, snake_case.
    var names: [String] { get }
    func read(_ root: HostRoot, nowSeconds: Int64) -> [(String, JSONValue)]
}

/// Every probe, one file each in this folder.
enum FactProbes {
    static func all(deviceIDsPath: String, machineIDKey: [UInt8]) -> [any FactProbe] {
        [
            OperatingSystemFact(), DiskEncryptionFact(), FirewallFact(), SecureBootFact(), ScreenLockFact(),
            EndpointProtectionFact(), HostnameFact(), MachineIDFact(key: machineIDKey), NetworkAdaptersFact(),
            SecurityChipFact(), UpdatesFact(), DeviceIDsFact(path: deviceIDsPath),
        ]
    }
}
