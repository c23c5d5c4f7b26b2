import Access
import JSON
import Signatures
import Store
import Testing

@testable import Posture

@Suite("Devices that a management server speaks for: whose they are, one key each, and their end")
struct StatedDeviceTests {
    static let id = "statement:agents:d1"

    @Test("the owner is who the server says, by subject or by address, and follows its word") func owner()
        async throws
    {
        let setting = try ModeSetting()
        #expect(
            try await setting.refusal(ModeSetting.stated { $0["owner"] = ["email": "Ada@Corp.example"] })
                == nil)
        var device = await setting.service.devices().first
        #expect(device?.ownerSubject == "ada" && device?.ownerEmail == "ada@corp.example")
        // The address is somebody else's now: the old owner's claim ends with the same answer.
        var other = ModeSetting.stated { $0["owner"] = ["email": "bob@corp.example"] }
        other.counter = 2
        #expect(try await setting.refusal(other)?.reason == .deviceOwnerMismatch)
        other.counter = 3
        (other.subject, other.email) = ("bob", "bob@corp.example")
        #expect(try await setting.refusal(other) == nil)
        device = await setting.service.devices().first
        #expect(device?.ownerSubject == "bob")
        // And a person without an address owns nothing by one.
        other.counter = 4
        other.email = nil
        other.subject = "carol"
        #expect(try await setting.refusal(other)?.reason == .deviceOwnerMismatch)
    }

    @Test("a device without an owner counts where anybody's does, and only there") func anybody() async throws
    {
        let setting = try ModeSetting()
        var answer = ModeSetting.stated { $0["owner"] = nil }
        #expect(try await setting.refusal(answer)?.reason == .deviceOwnerMismatch)
        answer.owner = .any
        answer.counter = 2
        #expect(try await setting.refusal(answer) == nil)
        let facts = await setting.service.deviceFacts(id: Self.id, statement: nil)
        #expect(facts?.ownerSubject == "" && facts?.ownerIssuer == "")
    }

    @Test("the first key stays: another one is refused and told until an administrator accepts it")
    func pinned() async throws {
        let setting = try ModeSetting()
        #expect(try await setting.refusal(ModeSetting.stated()) == nil)
        let key = SigningKey.generateP256()
        var answer = ModeSetting.stated { $0["cnf"] = ["jwk": .object(key.publicKey.jwk)] }
        answer.payload = { $0["cnf"] = ["jkt": .string(key.publicKey.thumbprint)] }
        answer.signer = key
        let refusal = try await setting.refusal(answer)
        #expect(refusal?.reason == .certificateRevoked && refusal?.isAlert == true)
        #expect(await setting.store.auditKinds().contains("posture-alert"))
        #expect(try await setting.service.acceptNewKey(deviceID: Self.id) == Self.id + "~2")
        // The session that the old key proved goes on with the new one, which counts from the beginning.
        answer.bound = setting.key.publicKey.thumbprint
        #expect(try await setting.refusal(answer) == nil)
        #expect(try await setting.refusal(ModeSetting.stated())?.reason == .certificateRevoked)
        let devices = await setting.service.devices()
        #expect(devices.map(\.isRevoked) == [true, false])
        #expect(try await setting.service.acceptNewKey(deviceID: Self.id) == Self.id + "~3")
    }

    @Test("one key is one device: a second name for it is refused") func oneDevicePerKey() async throws {
        let setting = try ModeSetting()
        #expect(try await setting.refusal(ModeSetting.stated()) == nil)
        var second = ModeSetting.stated { $0["sub"] = "d2" }
        second.payload = { $0["sub"] = "d2" }
        second.counter = 2
        #expect(try await setting.refusal(second)?.reason == .certificateRevoked)
        #expect(await setting.service.devices().count == 1)
    }

    @Test("a device that enrolled here stays that device with a statement: its owner, its counter, its end")
    func enrolledHere() async throws {
        let setting = try ModeSetting()
        try await setting.enroll()
        var answer = ModeSetting.stated { $0["owner"] = ["email": "bob@corp.example"] }
        #expect(try await setting.refusal(answer) == nil)
        #expect(await setting.service.devices().map(\.ownerSubject) == ["ada"])
        // The counter is the key's, whichever way it is proven.
        #expect(try await setting.refusal(ModeSetting.Answer(counter: 1))?.reason == .statementInvalid)
        #expect(try await setting.refusal(ModeSetting.Answer(counter: 2)) == nil)
        answer.counter = 3
        (answer.subject, answer.email) = ("bob", "bob@corp.example")
        #expect(try await setting.refusal(answer)?.reason == .deviceOwnerMismatch)
        #expect(try await setting.service.revoke(deviceID: "d1"))
        answer = ModeSetting.stated()
        answer.counter = 4
        #expect(try await setting.refusal(answer)?.reason == .certificateRevoked)
    }

    @Test("revoked is revoked, whatever the server goes on saying") func revoked() async throws {
        let setting = try ModeSetting()
        #expect(try await setting.refusal(ModeSetting.stated()) == nil)
        #expect(try await setting.service.revoke(deviceID: Self.id))
        #expect(await setting.service.deviceFacts(id: Self.id, statement: nil) == nil)
        var answer = ModeSetting.stated()
        answer.counter = 2
        #expect(try await setting.refusal(answer)?.reason == .certificateRevoked)
        #expect(try await setting.service.acceptNewKey(deviceID: Self.id) == nil)
    }

    @Test(
        "a device is revoked under the name it had before another key was accepted, seen by then or not",
        arguments: [true, false])
    func revokedByItsOldName(_ isSeen: Bool) async throws {
        let setting = try ModeSetting()
        #expect(try await setting.refusal(ModeSetting.stated()) == nil)
        #expect(try await setting.service.acceptNewKey(deviceID: Self.id) == Self.id + "~2")
        let key = SigningKey.generateP256()
        var answer = ModeSetting.stated { $0["cnf"] = ["jwk": .object(key.publicKey.jwk)] }
        answer.payload = { $0["cnf"] = ["jkt": .string(key.publicKey.thumbprint)] }
        answer.signer = key
        answer.bound = setting.key.publicKey.thumbprint
        if isSeen { #expect(try await setting.refusal(answer) == nil) }
        #expect(try await setting.service.revoke(deviceID: Self.id))
        answer.counter = 2
        #expect(try await setting.refusal(answer)?.reason == .certificateRevoked)
        #expect(await setting.service.deviceFacts(id: Self.id + "~2", statement: nil) == nil)
        #expect(try await !setting.service.revoke(deviceID: "statement:agents:nobody"))
    }

    @Test("only devices of a management server get another key accepted") func enrolled() async throws {
        let setting = try ModeSetting()
        try await setting.enroll()
        #expect(try await setting.service.acceptNewKey(deviceID: "d1") == nil)
        #expect(try await setting.service.acceptNewKey(deviceID: "nobody") == nil)
    }

    @Test("ids that the server vouches for stand above the agent's, and are pinned to the key") func ids()
        async throws
    {
        let setting = try ModeSetting()
        var answer = ModeSetting.stated { $0["device_ids"] = ["serial": "PF3", "tanium_computer_id": "77"] }
        answer.payload = {
            $0["posture"] = [
                "platform": "linux",
                "device_ids": [
                    "serial": "LIE",
                    "falcon_aid":
                        "0123456789abcdef0123456789abcdef",
                ],
            ]
        }
        #expect(try await setting.refusal(answer) == nil)
        let pins = await setting.service.devices().first?.pinnedIDs
        #expect(
            pins == [
                "serial": "PF3", "tanium-computer-id": "77", "falcon-aid": "0123456789abcdef0123456789abcdef",
            ])
    }

    @Test("a device is stored before its proof counts") func storeFails() async throws {
        let setting = try ModeSetting()
        await setting.store.failDeviceWrites(true)
        #expect(try await setting.refusal(ModeSetting.stated())?.reason == .storeUnavailable)
        await setting.store.failDeviceWrites(false)
        var answer = ModeSetting.stated()
        answer.counter = 2
        #expect(try await setting.refusal(answer) == nil)
        #expect(await setting.store.stored.count == 1)
    }
}
