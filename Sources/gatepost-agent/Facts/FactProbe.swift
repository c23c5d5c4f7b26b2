import JSON

/// One thing that was found out about the machine.
struct Fact: Sendable, Hashable {
    /// Member of the `posture` object, snake_case.
    var name: String
    var value: JSONValue
    /// The file or command that it was read from, for the person at the machine.
    var source: String
}

/// What probes look at: the files below a root, the commands that may be run, and the time.
struct Machine: Sendable {
    var root: HostRoot
    var commands: any CommandRunner
    /// Seconds since 1970.
    var nowSeconds: Int64
}

/// One question to the machine. It answers only what it found out: absent means unknown, never false.
protocol FactProbe: Sendable {
    /// Members of the `posture` object that this probe may add, snake_case.
    var names: [String] { get }
    /// How long an answer may be used, seconds.
    var lifeSeconds: Int64 { get }
    /// How long somebody waits for an answer; later ones count from when they come.
    var patienceMilliseconds: Int64 { get }
    func read(_ machine: Machine) -> [Fact]
}

extension FactProbe {
    var lifeSeconds: Int64 { FactCollector.cacheSeconds }
    var patienceMilliseconds: Int64 { 1_000 }
}

/// Every probe, one file each in this folder.
enum FactProbes {
    static func all(
        deviceIDsPath: String, machineIDKey: [UInt8], rulesPath: String = LocalRules.defaultPath
    ) -> [any FactProbe] {
        [
            OperatingSystemFact(), DiskEncryptionFact(), FirewallFact(), SecureBootFact(), ScreenLockFact(),
            EndpointProtectionFact(), ProtectionUnitsFact(), FalconFact(), DefenderFact(), HostnameFact(),
            MachineIDFact(key: machineIDKey), NetworkAdaptersFact(), SecurityChipFact(), UpdatesFact(),
            PendingUpdatesFact(), VirtualizationFact(), DeviceIDsFact(path: deviceIDsPath),
            CustomChecksFact(rulesPath: rulesPath),
        ]
    }
}
