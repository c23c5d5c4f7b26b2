/// The emulator's devices, shaped as Intune's `managedDevice`.

import JSON

/// A device record. Ordered by insertion, kept as JSON so that tests may put anything into any field.
struct ManagedDevice: Sendable {
    var id: String
    var members: JSONObject
    /// Set once a test has chosen the time of the last sync itself; otherwise the device synced five
    /// minutes ago.
    var hasOwnSyncTime = false

    static let complianceStates = [
        "unknown", "compliant", "noncompliant", "conflict", "error", "inGracePeriod", "configManager",
    ]

    struct Identity {
        var id: String
        var serial: String
        var name: String
        var directoryID: String
        var user: Person
    }

    init(_ identity: Identity, operatingSystem: String, complianceState: String) {
        let person = identity.user
        id = identity.id
        members = [
            "id": .string(identity.id), "userId": .string(Self.directoryID(of: person)),
            "userPrincipalName": .string(person.email), "userDisplayName": .string(person.name),
            "emailAddress": .string(person.email), "deviceName": .string(identity.name),
            "managedDeviceName": .string("\(person.user)_\(operatingSystem)"),
            "managedDeviceOwnerType": "company",
            "enrolledDateTime": "2026-01-10T09:00:00.1234567Z", "lastSyncDateTime": nil,
            "operatingSystem": .string(operatingSystem), "osVersion": "12.0",
            "complianceState": .string(complianceState),
            "complianceGracePeriodExpirationDateTime": "9999-12-31T23:59:59Z", "jailBroken": "Unknown",
            "managementAgent": "mdm", "azureADRegistered": true,
            "azureADDeviceId": .string(identity.directoryID), "deviceRegistrationState": "registered",
            "deviceEnrollmentType": "userEnrollment", "deviceCategoryDisplayName": "Office",
            "isEncrypted": true, "isSupervised": false, "serialNumber": .string(identity.serial),
            "wiFiMacAddress": nil, "ethernetMacAddress": nil, "udid": nil, "imei": "", "meid": nil,
            "model": "T14", "manufacturer": "LENOVO", "partnerReportedThreatState": "secured",
            "managementCertificateExpirationDate": "2027-01-10T09:00:00Z",
        ]
    }

    static func directoryID(of person: Person) -> String {
        "0f1e2d3c-4b5a-4697-8877-\(suffix(person.subject))"
    }

    private static func suffix(_ text: String) -> String {
        String(String(text.filter(\.isNumber)).reversed()).padding(12)
    }

    /// The two devices of the demo, and as many more as a test wants to page through.
    static func demo(serial: String, deviceName: String, fillers: Int) -> [ManagedDevice] {
        let alice = Person.demo[0]
        let bob = Person.demo[1]
        var devices = [
            ManagedDevice(
                Identity(
                    id: "5c1d9b7e-0a0e-4d51-9a0f-8d7b7a0d1c11", serial: serial, name: deviceName,
                    directoryID: "9d3e2c10-7f6a-4f0e-8f30-2b9b8a7c6d5e", user: alice),
                operatingSystem: "Linux", complianceState: "compliant"),
            ManagedDevice(
                Identity(
                    id: "5c1d9b7e-0a0e-4d51-9a0f-8d7b7a0d1c12", serial: "LAB-BOB-0002", name: "bob-laptop",
                    directoryID: "9d3e2c10-7f6a-4f0e-8f30-2b9b8a7c6d5f", user: bob),
                operatingSystem: "Linux", complianceState: "noncompliant"),
        ]
        for index in 0..<max(fillers, 0) {
            let tail = String(index, radix: 16).padding(12)
            devices.append(
                ManagedDevice(
                    Identity(
                        id: "00000000-0000-4000-8000-\(tail)", serial: "FILL-\(index)",
                        name: "filler-\(index)",
                        directoryID: "00000000-0000-4000-9000-\(tail)", user: bob),
                    operatingSystem: index % 2 == 0 ? "Windows" : "macOS",
                    complianceState: complianceStates[index % complianceStates.count]))
        }
        return devices
    }

    /// The record as answered at that time.
    func record(nowSeconds: Int64) -> JSONObject {
        var record = members
        if !hasOwnSyncTime { record["lastSyncDateTime"] = .string(Timestamp.rfc3339(nowSeconds - 300)) }
        return record
    }
}

extension String {
    /// Zeros in front until it is `width` characters long.
    fileprivate func padding(_ width: Int) -> String {
        String(repeating: "0", count: max(0, width - count)) + self
    }
}
