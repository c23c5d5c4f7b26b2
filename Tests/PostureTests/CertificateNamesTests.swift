import Access
import Testing

@testable import Posture

@Suite("A device by the names in its certificate, and by its hardware address")
struct CertificateNamesTests {
    static let id = "5c1d9b7e-0a0e-4d51-9a0f-8d7b7a0d1c11"
    static let other = "5c1d9b7e-0a0e-4d51-9a0f-8d7b7a0d1c12"

    private func device(
        _ native: String, _ name: String, id: String? = nil, isCurrent: Bool = true
    ) -> CertificateNames.NamedDevice {
        CertificateNames.NamedDevice(
            nativeID: native, intuneID: id.flatMap { DeviceKey(.intune, $0) }, name: name,
            isCurrent: isCurrent)
    }

    @Test(
        "003.10 the Intune id among the DNS names: bare, or as one label under the suffix",
        arguments: [
            ([id], nil, true), ([id.uppercased()], nil, true), (["\(id)."], nil, true),
            (["\(id).mdm.corp.example"], nil, false), (["\(id).mdm.corp.example"], "mdm.corp.example", true),
            (["\(id).mdm.corp.example"], ".MDM.corp.example", true),
            (["x.\(id).mdm.corp.example"], "mdm.corp.example", false),
            (["\(id).x.mdm.corp.example"], "mdm.corp.example", false),
            (["\(id)mdm.corp.example"], "mdm.corp.example", false), (["laptop.corp.example"], nil, false),
            (["00000000-0000-0000-0000-000000000000"], nil, false), ([String(id.dropLast())], nil, false),
            ([], nil, false), ([""], "", false), (["\(id)\u{0}"], nil, false), (["*.\(id)"], nil, false),
        ] as [([String], String?, Bool)])
    func ids(_ names: [String], _ suffix: String?, _ isFound: Bool) {
        let found = CertificateNames(commonName: nil, dnsNames: names).intuneIDs(suffix: suffix)
        #expect(found == (isFound ? [DeviceKey(.intune, Self.id)] : []))
    }

    @Test("003.10 an id finds its one record, strongly; two ids find none") func byID() {
        let devices = [device("a", "lt-1", id: Self.id), device("b", "lt-2", id: Self.other)]
        let names = CertificateNames(commonName: nil, dnsNames: ["lt.corp.example", Self.id])
        #expect(
            names.match(devices) == .device(nativeID: "a", key: "intune-device-id", strength: .strong))
        #expect(names.match([devices[1]]) == .notFound)
        let two = CertificateNames(commonName: nil, dnsNames: [Self.id, Self.other])
        #expect(two.match(devices) == .ambiguous)
    }

    @Test(
        "003.9 the device's name in CN, alone or with the domain, finds its one record, less strongly",
        arguments: [
            ("LT-0042", nil, true), ("lt-0042.", nil, true), ("LT-0042.corp.example", nil, false),
            ("LT-0042.corp.example", "corp.example", true), ("LT-0042.corp.example", ".CORP.example.", true),
            ("LT-0042.evil.example", "corp.example", false), ("LT-00421", nil, false), ("", nil, false),
            ("L\u{212a}-0042", nil, false), ("\u{212a}T-0042", nil, false), ("LT 0042", nil, false),
            ("LT-0042\u{0}", nil, false), ("*", nil, false),
        ] as [(String, String?, Bool)])
    func byName(_ name: String, _ domain: String?, _ isFound: Bool) {
        let names = CertificateNames(commonName: name, dnsNames: [])
        let found = names.match(
            [device("a", "LT-0042"), device("b", "lt-0043"), device("c", "lk-0042"), device("d", "kt-0042")],
            domain: domain)
        #expect(
            found
                == (isFound
                    ? .device(nativeID: "a", key: "certificate-name", strength: .medium) : .notFound))
    }

    @Test("003.9 names are given again: several current records are ambiguous, past ones do not count")
    func reused() {
        let names = CertificateNames(commonName: "lt-1", dnsNames: [])
        let (old, new) = (device("old", "lt-1", isCurrent: false), device("new", "lt-1"))
        #expect(
            names.match([old, new]) == .device(nativeID: "new", key: "certificate-name", strength: .medium))
        #expect(names.match([new, device("newer", "LT-1")]) == .ambiguous)
        #expect(names.match([old, device("older", "lt-1", isCurrent: false)]) == .ambiguous)
    }

    @Test("where id and name are of different devices neither counts") func contradiction() {
        let devices = [device("a", "lt-1", id: Self.id), device("b", "lt-2", id: Self.other)]
        func match(_ name: String) -> CertificateNames.Match {
            CertificateNames(commonName: name, dnsNames: [Self.id]).match(devices)
        }
        #expect(match("lt-2") == .ambiguous)
        #expect(match("lt-1") == .device(nativeID: "a", key: "intune-device-id", strength: .strong))
        #expect(match("people") == .device(nativeID: "a", key: "intune-device-id", strength: .strong))
    }

    @Test(
        "003.8 a hardware address matches in any notation; a randomised one names nothing",
        arguments: [
            ("7C:21:4A:0B:1C:2D", "7c214a0b1c2d"), ("7c-21-4a-0b-1c-2d", "7c214a0b1c2d"),
            ("7c21.4a0b.1c2d", "7c214a0b1c2d"), ("7C214A0B1C2D", "7c214a0b1c2d"),
            // Bit 1 of the first octet: 2, 6, a and e as its second digit.
            ("72:21:4a:0b:1c:2d", nil), ("76:21:4a:0b:1c:2d", nil), ("7a:21:4a:0b:1c:2d", nil),
            ("7e:21:4a:0b:1c:2d", nil), ("02:00:00:00:00:00", nil), ("00:00:00:00:00:00", nil),
            ("ff:ff:ff:ff:ff:ff", nil), ("01:00:5e:00:00:01", nil), ("7c:21:4a:0b:1c", nil),
            ("7c:21:4a:0b:1c:2g", nil), ("", nil),
        ] as [(String, String?)])
    func address(_ raw: String, _ value: String?) {
        #expect(DeviceKey(.mac, raw)?.value == value)
        #expect(DeviceKey.Kind.mac.strengthWhenPinned == .weak && !DeviceKey.Kind.mac.isPinned)
    }
}
