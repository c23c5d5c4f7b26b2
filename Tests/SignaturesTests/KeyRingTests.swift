import Foundation
import JSON
import Signatures
import Testing

@Suite("The key ring on disk")
struct KeyRingTests {
    /// A folder of its own, gone afterwards.
    private func withFolder(_ body: (String) throws -> Void) throws {
        let parent = FileManager.default.temporaryDirectory.appendingPathComponent(
            "keyring-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: parent, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: parent) }
        try body(parent.appendingPathComponent("keys").path)
    }

    private func mode(_ path: String) throws -> Int {
        try #require(FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
    }

    private func files(_ folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    }

    private func setMode(_ mode: Int, _ path: String) throws {
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    }

    /// Everything a ring knows, for comparison.
    private func fingerprint(_ ring: KeyRing) -> [String] {
        let signing = [KeyRing.Purpose.assertion, .challenge, .root].flatMap {
            ring.verificationKeys($0).map(\.kid)
        }
        let plain = [KeyRing.Purpose.cookie, .ticket, .sealing].flatMap { purpose in
            ring.secrets(purpose).map { "\(purpose) \($0.id) \(hex($0.secret))" }
        }
        return signing + plain
    }

    @Test func `the first start makes a folder of mode 0700 and files of mode 0600`() throws {
        try withFolder { folder in
            let ring = try KeyRing(folder: folder)
            #expect(try mode(folder) == 0o700)
            let expected = KeyRing.Purpose.allCases.flatMap { ["\($0)-1.json", "\($0)-2.json"] }.sorted()
            #expect(try files(folder) == expected)
            for name in expected { #expect(try mode(folder + "/" + name) == 0o600) }
            #expect(ring.secrets(.cookie).map(\.secret.count) == [32, 32])
            #expect(ring.secrets(.ticket).map(\.secret.count) == [80, 80])
            #expect(ring.secrets(.sealing).map(\.secret.count) == [32, 32])
            #expect(ring.secrets(.cookie).map(\.id) == [1, 2])
        }
    }

    @Test func `the second start reads the same keys`() throws {
        try withFolder { folder in
            let first = try KeyRing(folder: folder)
            try first.rotate(.assertion)
            try first.rotate(.cookie)
            #expect(fingerprint(try KeyRing(folder: folder)) == fingerprint(first))
        }
    }

    @Test func `a rotation moves every generation by one and deletes what was previous`() throws {
        try withFolder { folder in
            let ring = try KeyRing(folder: folder)
            let before = ring.verificationKeys(.assertion).map(\.kid)
            try ring.rotate(.assertion)
            #expect(ring.signingKey(.assertion).kid == before[1])
            #expect(ring.verificationKeys(.assertion).map(\.kid).prefix(2) == [before[1], before[0]])
            try ring.rotate(.assertion)
            #expect(!ring.verificationKeys(.assertion).map(\.kid).contains(before[0]))
            #expect(
                try files(folder).filter { $0.hasPrefix("assertion") }
                    == ["assertion-2.json", "assertion-3.json", "assertion-4.json"])
        }
    }

    @Test func `two processes on one folder agree after reload, and a rotation builds on the other's`() throws
    {
        try withFolder { folder in
            let one = try KeyRing(folder: folder)
            let two = try KeyRing(folder: folder)
            try one.rotate(.sealing)
            try two.rotate(.sealing)
            try one.reload()
            #expect(fingerprint(one) == fingerprint(two))
            #expect(one.secrets(.sealing).map(\.id) == [3, 2, 4])
        }
    }

    @Test func `a value sealed by a process that rotated first opens in one that did not yet`() throws {
        try withFolder { folder in
            let one = try KeyRing(folder: folder)
            let two = try KeyRing(folder: folder)
            try one.rotate(.sealing)
            #expect(Sealer(ring: two).open(Sealer(ring: one).seal([9], context: "c"), context: "c") == [9])
        }
    }

    @Test func `tokens carry the kid, and the key is found by it before and after a rotation`() throws {
        let ring = KeyRing.ephemeral()
        let token = try JWS(
            compact: JWS.sign(header: [:], payload: [:], with: ring.signingKey(.assertion).key))
        #expect(token.keyID == ring.signingKey(.assertion).kid)
        try ring.rotate(.assertion)
        let set = JWKSet(keys: ring.verificationKeys(.assertion).map(\.key))
        #expect(set.candidates(keyID: token.keyID, algorithm: .es256).contains { token.verify(with: $0) })
    }

    @Test(arguments: [0o640, 0o604, 0o620, 0o660, 0o644, 0o601])
    func `a file that others have access to is refused with the remedy`(loose: Int) throws {
        try withFolder { folder in
            _ = try KeyRing(folder: folder)
            let file = folder + "/cookie-1.json"
            try setMode(loose, file)
            let error = #expect(throws: SignatureError.self) { try KeyRing(folder: folder) }
            #expect(error?.what.contains("chmod 600 \(file)") == true)
            try setMode(0o600, file)
            _ = try KeyRing(folder: folder)
        }
    }

    @Test(arguments: [0o750, 0o705, 0o711, 0o777])
    func `a folder that others have access to is refused with the remedy`(loose: Int) throws {
        try withFolder { folder in
            _ = try KeyRing(folder: folder)
            try setMode(loose, folder)
            let error = #expect(throws: SignatureError.self) { try KeyRing(folder: folder) }
            #expect(error?.what.contains("chmod 700 \(folder)") == true)
        }
    }

    @Test func `symbolic links are refused, as a file and as the folder`() throws {
        try withFolder { folder in
            _ = try KeyRing(folder: folder)
            let file = folder + "/ticket-1.json"
            let elsewhere = folder + "/../ticket"
            try FileManager.default.moveItem(atPath: file, toPath: elsewhere)
            try FileManager.default.createSymbolicLink(atPath: file, withDestinationPath: elsewhere)
            let error = #expect(throws: SignatureError.self) { try KeyRing(folder: folder) }
            #expect(error?.what.contains("symbolic link") == true)
            try FileManager.default.removeItem(atPath: file)
            try FileManager.default.moveItem(atPath: elsewhere, toPath: file)
            let link = folder + "-link"
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: folder)
            #expect(throws: SignatureError.self) { try KeyRing(folder: link) }
        }
    }

    @Test func `a missing parent, and a file in the folder's place, are refused`() throws {
        try withFolder { folder in
            #expect(throws: SignatureError.self) { try KeyRing(folder: folder + "/a/b") }
            try Data().write(to: URL(fileURLWithPath: folder))
            #expect(throws: SignatureError.self) { try KeyRing(folder: folder) }
        }
    }

    @Test func `broken, swapped, shortened and oversized files are refused, never replaced`() throws {
        try withFolder { folder in
            _ = try KeyRing(folder: folder)
            let file = URL(fileURLWithPath: folder + "/sealing-1.json")
            let good = try Data(contentsOf: file)
            let text = String(decoding: good, as: UTF8.self)
            let broken: [Data] = [
                Data(), Data("{}".utf8), good.dropLast(8), good + good,
                try Data(
                    contentsOf: file.deletingLastPathComponent().appendingPathComponent("cookie-1.json")),
                try Data(
                    contentsOf: file.deletingLastPathComponent().appendingPathComponent("sealing-2.json")),
                Data(text.replacingOccurrences(of: "\"version\":1", with: "\"version\":2").utf8),
                Data(text.replacingOccurrences(of: "\"secret\":\"", with: "\"secret\":\"AAAA").utf8),
                Data(repeating: 0x20, count: 8193 - good.count) + good,
            ]
            for content in broken {
                try content.write(to: file)
                try setMode(0o600, file.path)
                let error = #expect(throws: SignatureError.self) { try KeyRing(folder: folder) }
                #expect(error?.what.contains(file.path) == true)
                #expect(try Data(contentsOf: file) == content)
            }
        }
    }

    @Test func `a gap between the numbers is refused, what an interruption leaves is completed`() throws {
        try withFolder { folder in
            let first = try KeyRing(folder: folder)
            // As after an interrupted first start: the second file is not there, a draft is.
            let kept = first.secrets(.cookie)[0].secret
            try FileManager.default.removeItem(atPath: folder + "/cookie-2.json")
            try Data("half".utf8).write(to: URL(fileURLWithPath: folder + "/.cookie-2.json.new"))
            let second = try KeyRing(folder: folder)
            #expect(second.secrets(.cookie)[0].secret == kept)
            #expect(second.secrets(.cookie).count == 2)
            #expect(try files(folder).allSatisfy { !$0.hasSuffix(".new") })
            // As after an interrupted rotation: the new key is there, the oldest still too.
            try second.rotate(.cookie)
            let oldest = try Data(contentsOf: URL(fileURLWithPath: folder + "/cookie-1.json"))
            try second.rotate(.cookie)
            try oldest.write(to: URL(fileURLWithPath: folder + "/cookie-1.json"))
            try setMode(0o600, folder + "/cookie-1.json")
            #expect(fingerprint(try KeyRing(folder: folder)) == fingerprint(second))
            #expect(try !files(folder).contains("cookie-1.json"))
            try FileManager.default.removeItem(atPath: folder + "/cookie-3.json")
            #expect(throws: SignatureError.self) { try KeyRing(folder: folder) }
        }
    }

    @Test func `names that the ring did not write are left alone`() throws {
        try withFolder { folder in
            _ = try KeyRing(folder: folder)
            for name in [
                "cookie-01.json", "cookie-.json", "cookie-0.json", "cookie-9999999999.json", "notes.txt",
            ] {
                try Data("x".utf8).write(to: URL(fileURLWithPath: folder + "/" + name))
            }
            let count = try files(folder).count
            _ = try KeyRing(folder: folder)
            #expect(try files(folder).count == count)
        }
    }

    @Test func `asking a purpose for what it does not have stops the program`() async {
        await #expect(processExitsWith: .failure) { _ = KeyRing.ephemeral().secrets(.assertion) }
        await #expect(processExitsWith: .failure) { _ = KeyRing.ephemeral().signingKey(.cookie) }
    }
}
