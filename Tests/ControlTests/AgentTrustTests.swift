import Access
import Foundation
import JSON
import Signatures
import Store
import Testing

@testable import Control
@testable import Posture

@Suite("Certificates that devices are proven by: their ends, their change, their revocation")
struct AgentTrustTests {
    static let day: Int64 = 86_400

    static func trust(named name: String = "Management", until: Int64) throws -> TrustCertificate {
        let made = try EnrollmentAuthority.generateSelfSigned(
            commonName: name, validSeconds: until, nowSeconds: 0)
        return TrustCertificate(
            integration: "agents", use: .statement, certificate: try Certificate(pem: made.certificatePEM))
    }

    @Test("004.7 an end is foreseen a month, a week and a day before, to the second")
    func stages() throws {
        let end: Int64 = 100 * Self.day
        let trust = try Self.trust(until: end)
        let table: [(Int64, CertificateState.Stage)] = [
            (end - 30 * Self.day - 1, .good), (end - 30 * Self.day, .month), (end - 7 * Self.day - 1, .month),
            (end - 7 * Self.day, .week), (end - Self.day - 1, .week), (end - Self.day, .day), (end - 1, .day),
            (end, .ended), (end + 1, .ended), (-61, .notYet), (-60, .good),
        ]
        for (now, stage) in table {
            let state = CertificateState(trust, nowSeconds: now)
            #expect(state.stage == stage, "\(now)")
            #expect((state.problem == nil) == (stage == .good), "\(now)")
        }
    }

    @Test("004.7 the event log tells each stage once, also when the clock jumps") func once() throws {
        let end: Int64 = 100 * Self.day
        let trust = try Self.trust(until: end)
        let ends = CertificateEnds()
        let walk: [(Int64, Int)] = [
            (end - 31 * Self.day, 0), (end - 30 * Self.day, 1), (end - 29 * Self.day, 0),
            (end - 40 * Self.day, 0), (end - 20 * Self.day, 0), (end - 6 * Self.day, 1),
            (end - 7 * Self.day, 0), (end - 10, 1), (end + 5, 1), (end + Self.day, 0),
        ]
        for (now, count) in walk {
            #expect(ends.news([trust], nowSeconds: now).count == count, "\(now - end)")
        }
        // Its successor is a certificate of its own.
        let next = try Self.trust(named: "Next", until: end + Self.day)
        #expect(ends.news([trust, next], nowSeconds: end + 1).map(\.name) == ["Next"])
    }

    @Test("004.7 check, status and integrations show a near end; a good certificate is only listed")
    func shown() async throws {
        let house = try Gatehouse()
        let status = await house.control.execute(["command": "status"])
        #expect(status["text"]?.string?.contains("ends at") == false)
        let listed = await house.control.execute(["command": "integrations"])
        #expect(listed["text"]?.string?.contains("enrollment-ca") == true)
        let certificate = try #require(listed["agents"]?["certificates"]?.array?.first)
        let end = try #require(certificate["not_after"]?.integer)
        house.advance(end - Gatehouse.start - 6 * Self.day)
        let late = await house.control.execute(["command": "status"])
        #expect(late["text"]?.string?.contains("agents: enrollment-ca: certificate test ends at") == true)
        #expect(late["agents"]?["certificates"]?.array?.first?["problem"]?.string != nil)
        let config = try ConfigurationLoader.load(path: house.folder.appending(path: "gatepost.yaml").path)
        for (now, expected) in [(end - 31 * Self.day, 0), (end - 6 * Self.day, 1), (end, 1)] {
            let found = AgentParts.findings(config, path: "gatepost.yaml", nowSeconds: now)
            #expect(found.problems.isEmpty)
            #expect(found.warnings.count == expected, "\(now)")
        }
    }

    @Test("a serial number revokes the device whose it is and ends its sessions; odd ones are refused")
    func serial() async throws {
        let house = try Gatehouse()
        let device = StoredDevice(
            id: "laptop", ownerIssuer: "i", ownerSubject: "s", keyThumbprint: "k", certificateSerial: "0a1b",
            enrolledAtSeconds: 0, certificateNotAfterSeconds: Gatehouse.start + Self.day)
        try await house.store.upsert(device)
        try await house.control.services.posture.load()
        for odd in ["", "xyz", "0x1", String(repeating: "a", count: 41), "1 2", "é"] {
            let answer = await house.control.execute(["command": "device-revoke", "serial": .string(odd)])
            #expect(answer["error"] != nil, "\(odd)")
        }
        let other = await house.control.execute(["command": "device-revoke", "serial": "77"])
        #expect(other["devices"]?.array == [])
        let answer = await house.control.execute(["command": "device-revoke", "serial": "00:A:1B"])
        #expect(answer["devices"]?.array == ["laptop"])
        #expect(try await house.store.device(id: "laptop")?.isRevoked == true)
        #expect(try await house.store.revokedSerials() == ["0a1b", "77"])
        #expect(ControlPlane.serial("0000") == "00" && ControlPlane.serial("F") == "0f")
    }

    @Test("accept-key is for devices of a management server") func acceptKey() async throws {
        let house = try Gatehouse()
        let none = await house.control.execute(["command": "device-accept-key"])
        #expect(none["error"] == "name a device")
        let unknown = await house.control.execute(["command": "device-accept-key", "device": "x"])
        #expect(unknown["error"]?.string?.contains("no device x") == true)
        let device = StoredDevice(
            id: "statement:agents:d1", ownerIssuer: "", ownerSubject: "", keyThumbprint: "k",
            certificateSerial: "", enrolledAtSeconds: 0, certificateNotAfterSeconds: 0)
        try await house.store.upsert(device)
        try await house.control.services.posture.load()
        let answer = await house.control.execute(
            ["command": "device-accept-key", "device": "statement:agents:d1"])
        #expect(answer["text"]?.string?.contains("statement:agents:d1~2") == true)
        #expect(try await house.store.device(id: "statement:agents:d1")?.isRevoked == true)
    }

    @Test("004.7 certificates change at a reload, without a restart; other keys of an integration need one")
    func reload() async throws {
        let house = try Gatehouse()
        let before = await house.control.services.posture.trustCertificates()
        let next = try EnrollmentAuthority.generateSelfSigned(
            commonName: "next", nowSeconds: Int64(Date().timeIntervalSince1970))
        try Data(next.certificatePEM).write(to: house.folder.appending(path: "certs/next.pem"))
        let file = house.folder.appending(path: "gatepost.yaml")
        let text = try String(contentsOf: file, encoding: .utf8)
        let rotated = text.replacing(
            "enrollment-ca: { certificate: certs/chain.pem",
            with: "enrollment-ca: { certificate: [ certs/chain.pem, certs/next.pem ]")
        try Data(rotated.utf8).write(to: file)
        try await house.control.reload()
        let after = await house.control.services.posture.trustCertificates()
        #expect(before.count == 1 && after.count == 2 && after.first == before.first)
        try Data(
            rotated.replacing("provider: endpoint-agent", with: "provider: endpoint-agent\n    port: 17473")
                .utf8
        )
        .write(to: file)
        await #expect(throws: ControlFailure.self) { try await house.control.reload() }
        // A certificate that is none leaves everything as it is.
        try Data("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n".utf8)
            .write(to: house.folder.appending(path: "certs/next.pem"))
        try Data(rotated.utf8).write(to: file)
        await #expect(throws: ControlFailure.self) { try await house.control.reload() }
        #expect(await house.control.services.posture.trustCertificates() == after)
    }
}
