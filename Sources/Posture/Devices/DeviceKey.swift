public import Access
import Store

/// One way to name a device at a provider (providers.md 13), already normalised.
public struct DeviceKey: Sendable, Hashable {
    /// The kinds, strongest first.
    public enum Kind: String, Sendable, CaseIterable {
        case intune = "intune-device-id"
        case entra = "entra-device-id"
        case falcon = "falcon-aid"
        case tanium = "tanium-computer-id"
        case serial
        case hardware = "hardware-uuid"
        /// A host name: given again to other machines, so it never names one by itself.
        case name = "device-name"
        case mac
        /// Who the provider says uses it: a user principal name or a user's id. It names people, never a device.
        case owner

        /// The strength of a match over an id of this kind that is pinned to the device key. A MAC address is
        /// never pinned: adapters move between devices. Nor is a name; a certificate may vouch for one.
        public var strengthWhenPinned: Verdict.Strength {
            switch self {
            case .intune, .entra, .falcon, .tanium, .serial, .hardware: .strong
            case .name: .medium
            case .mac, .owner: .weak
            }
        }

        /// Whether a first statement pins it to the device key.
        public var isPinned: Bool { self != .mac && self != .name && self != .owner }

        /// Whether it names the machine itself rather than its enrolment somewhere.
        var isHardware: Bool { self == .serial || self == .hardware }

        /// The member of an agent's `device_ids` that carries it.
        public var memberName: String {
            switch self {
            case .intune: "intune_device_id"
            case .entra: "entra_device_id"
            case .falcon: "falcon_aid"
            case .tanium: "tanium_computer_id"
            case .serial: "serial"
            case .hardware: "hardware_uuid"
            case .name: "device_name"
            case .mac: "mac"
            case .owner: "owner"
            }
        }
    }

    /// What the value is.
    public let kind: Kind
    /// Normalised; never empty, and ASCII only, so that comparing texts is comparing bytes.
    public let value: String

    /// Normalises a raw value; nil when it names no device: placeholders of board makers, the nil GUID,
    /// randomised MAC addresses, or text of another shape (refused, never repaired).
    public init?(_ kind: Kind, _ raw: String) {
        guard let value = Self.normalised(kind, raw) else { return nil }
        self.kind = kind
        self.value = value
    }

    private static func normalised(_ kind: Kind, _ raw: String) -> String? {
        switch kind {
        case .intune, .entra, .hardware: guid(raw)
        case .falcon: hexadecimal(raw, count: 32)
        case .tanium: identifier(raw)
        case .serial: serial(raw)
        case .name: CertificateNames.hostName(raw)
        case .mac: mac(raw)
        case .owner: owner(raw)
        }
    }

    private static func guid(_ raw: String) -> String? {
        guard raw.utf8.count == 36 else { return nil }
        let text = raw.utf8.contains(where: isUpperCase) ? raw.lowercased() : raw
        var index = 0
        for byte in text.utf8 {
            let isDash = index == 8 || index == 13 || index == 18 || index == 23
            guard isDash ? byte == 0x2d : isHexadecimal(byte) else { return nil }
            index += 1
        }
        return text == "00000000-0000-0000-0000-000000000000" ? nil : text
    }

    private static func hexadecimal(_ raw: String, count: Int) -> String? {
        let text = raw.lowercased()
        return text.utf8.count == count && text.utf8.allSatisfy(isHexadecimal) ? text : nil
    }

    private static func identifier(_ raw: String) -> String? {
        let isPlain =
            !raw.isEmpty && raw.utf8.count <= 64
            && raw.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != 0x3b }
        guard isPlain else { return nil }
        return raw.utf8.contains(where: isUpperCase) ? raw.lowercased() : raw
    }

    private static let placeholders: Set<String> = [
        "", "TO BE FILLED BY O.E.M.", "DEFAULT STRING", "0", "NONE", "SYSTEM SERIAL NUMBER", "NOT SPECIFIED",
        "NOT APPLICABLE", "CHASSIS SERIAL NUMBER",
    ]

    private static func serial(_ raw: String) -> String? {
        guard raw.utf8.count <= 128, raw.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f && $0 != 0x3b }) else {
            return nil
        }
        // ASCII by now: by bytes, because a cut of thousands of devices reads these once for each.
        var bytes = Substring(raw.utf8.contains(where: isLowerCase) ? raw.uppercased() : raw).utf8
        while bytes.first == 0x20 { bytes.removeFirst() }
        while bytes.last == 0x20 { bytes.removeLast() }
        let text = String(Substring(bytes))
        return placeholders.contains(text) ? nil : text
    }

    private static func owner(_ raw: String) -> String? {
        let isPlain =
            (1...256).contains(raw.utf8.count) && raw.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != 0x3b }
        return isPlain ? raw.lowercased() : nil
    }

    private static func mac(_ raw: String) -> String? {
        let text = raw.lowercased().filter { $0 != ":" && $0 != "-" && $0 != "." }
        guard text.utf8.count == 12, text.utf8.allSatisfy(isHexadecimal),
            let first = UInt8(text.prefix(2), radix: 16)
        else { return nil }
        // Bit 1 of the first octet: locally administered, so randomised (003.8); bit 0: a group, not a
        // device.
        guard first & 0b11 == 0, text != "000000000000" else { return nil }
        return text
    }

    private static func isUpperCase(_ byte: UInt8) -> Bool { (0x41...0x5a).contains(byte) }

    private static func isLowerCase(_ byte: UInt8) -> Bool { (0x61...0x7a).contains(byte) }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
    }
}

extension DeviceKey {
    /// The keys of one record as one text (`kind=value;kind=value`), so that a stored verdict keeps its
    /// reverse index.
    static func encoded(_ keys: [DeviceKey]) -> String {
        keys.map { "\($0.kind.rawValue)=\($0.value)" }.sorted().joined(separator: ";")
    }

    /// The keys of `encoded`; what cannot be read is left out.
    static func decoded(_ text: String) -> [DeviceKey] {
        text.split(separator: ";").compactMap { part in
            let pair = part.split(separator: "=", maxSplits: 1)
            guard pair.count == 2, let kind = Kind(rawValue: String(pair[0])) else { return nil }
            return DeviceKey(kind, String(pair[1]))
        }
    }
}
