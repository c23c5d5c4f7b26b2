import JSON
import Testing

@testable import gatepost_lab

@Suite("Faults of an emulator that name calls, statuses and bytes (providers.md 1.2)")
struct PathFaultTests {
    @Test(
        "a star stands for any run of characters, all else for itself",
        arguments: [
            ("/devices", "/devices", true), ("/devices", "/devices/1", false),
            ("/devices/*", "/devices/1", true),
            ("/devices/*", "/devices", false), ("*", "", true), ("*", "/a/b", true), ("/a*c", "/abc", true),
            ("/a*c", "/ac", true), ("/a*c", "/a", false), ("/a*b*c", "/a1b2c", true),
            ("/a*b*c", "/a1c2b", false),
            ("*/token", "/oauth2/token", true), ("*token*", "/oauth2/token", true), ("/aa*aa", "/aaa", false),
        ])
    func globs(_ glob: String, _ path: String, _ isMeant: Bool) {
        #expect(PathGlob.matches(glob, path) == isMeant, "\(glob) \(path)")
    }

    @Test("a status, only where it was asked for, and as often") func status() throws {
        let lab = try VendorLab()
        let bearer = try lab.falcon()
        let fault: JSONValue = ["name": "fail", "status": 418, "count": 1, "path": "/devices/*"]
        #expect(try lab.json("POST", "/crowdstrike/lab/faults", json: fault).status == 200)
        // Another path is not meant, also not as one of the count.
        #expect(try lab.bearer("/crowdstrike/oauth2/token", falconForm).count == 1)
        let path = "/crowdstrike/devices/queries/devices-scroll/v1"
        #expect(try lab.json("GET", path, fields: bearer).status == 418)
        #expect(try lab.json("GET", path, fields: bearer).status == 200)
    }

    private var falconForm: [(String, String)] {
        [("client_id", Falcon.clientID), ("client_secret", Falcon.clientSecret)]
    }

    @Test("bytes as they were given, with their type") func bytes() throws {
        let lab = try VendorLab()
        let bearer = try lab.falcon()
        let fault: JSONValue = ["name": "raw-body", "body": "not json", "contentType": "text/csv"]
        #expect(try lab.json("POST", "/crowdstrike/lab/faults", json: fault).status == 200)
        let answer = try lab.send(
            "GET", "/crowdstrike/devices/queries/devices-scroll/v1", fields: bearer)
        #expect(answer.status == 200 && answer.body == Array("not json".utf8))
        #expect(answer.fields.contains { $0.name == "content-type" && $0.value == "text/csv" })
        // A field line must not come in through the type.
        let bad: JSONValue = ["name": "raw-body", "body": "", "contentType": "a\r\nX-Evil: 1"]
        #expect(try lab.json("POST", "/crowdstrike/lab/faults", json: bad).status == 200)
        let next = try lab.send(
            "GET", "/crowdstrike/devices/queries/devices-scroll/v1", fields: bearer)
        #expect(!next.fields.contains { $0.name == "x-evil" })
    }

    @Test("a fault of certificates cannot be switched on where there are none") func plain() throws {
        let lab = try VendorLab()
        let answer = try lab.json("POST", "/crowdstrike/lab/faults", json: ["name": "tls-expired"])
        #expect(answer.body["active"] == [])
    }
}
