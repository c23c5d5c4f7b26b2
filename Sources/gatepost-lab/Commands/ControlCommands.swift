/// `gatepost-lab device` and `gatepost-lab fault`: talk to a running lab.

import ArgumentParser
import Foundation
import Glibc
import JSON

/// One request to a running lab on loopback; answers are small and read whole.
struct LabClient {
    let port: UInt16

    /// - Parameter trailing: bytes sent behind the request, for a connection that is upgraded
    /// - Returns: status, fields with names in lower case, and body
    func send(
        _ method: String, _ path: String, fields: [(String, String)] = [], body: [UInt8] = [],
        trailing: [UInt8] = []
    ) throws -> (status: Int, fields: [(name: String, value: String)], body: [UInt8]) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw StreamError(what: "no socket") }
        let stream = ByteStream(descriptor: descriptor)
        defer { stream.close() }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isConnected else { throw StreamError(what: "nothing listens on 127.0.0.1:\(port)") }
        var head = "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\n"
        if trailing.isEmpty { head += "Connection: close\r\nContent-Length: \(body.count)\r\n" }
        for (name, value) in fields { head += "\(name): \(value)\r\n" }
        try stream.write(Array((head + "\r\n").utf8) + body + trailing)
        return try Self.readAnswer(stream)
    }

    private static func readAnswer(
        _ stream: ByteStream
    ) throws -> (status: Int, fields: [(name: String, value: String)], body: [UInt8]) {
        guard let head = try stream.readHead(bytesMax: 64 << 10) else { throw StreamError(what: "no answer") }
        let lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n")
        guard let status = lines.first?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
            throw StreamError(what: "no status line")
        }
        let fields = lines.dropFirst().map { line -> (name: String, value: String) in
            let halves = line.split(separator: ":", maxSplits: 1)
            return (halves[0].lowercased(), halves.count == 2 ? halves[1].drop { $0 == " " }.description : "")
        }
        var body: [UInt8] = []
        // Connection: close was asked for, so the body ends where the connection does.
        while let piece = try? stream.readSome(upTo: ByteStream.chunkBytes), body.count < 64 << 20 {
            body += piece
        }
        return (status, fields, body)
    }
}

/// Why a command did not do its work; printed without the usage.
struct CommandFailure: Error, CustomStringConvertible {
    var description: String
}

/// Where the running lab is, as `serve` wrote it down.
struct LabLocation: ParsableArguments {
    @Option(help: "The folder that the running lab was given.")
    var folder = ".run"

    func port(_ name: String) throws -> UInt16 {
        let path = folder + "/lab.json"
        guard let data = FileManager.default.contents(atPath: path),
            let value = (try? JSONValue(parsing: Array(data)))?[name]?.integer,
            let port = UInt16(exactly: value)
        else {
            throw CommandFailure(
                description: "\(path) does not name a running lab; start it with `make run`, or give --folder"
            )
        }
        return port
    }

    func send(_ site: String, _ method: String, _ path: String, _ body: JSONValue?) throws -> JSONValue {
        let bytes = body?.serialized() ?? []
        do {
            let answer = try LabClient(port: try port(site)).send(method, path, body: bytes)
            let value = (try? JSONValue(parsing: answer.body)) ?? nil
            guard answer.status == 200 else {
                throw CommandFailure(
                    description: "the lab answered \(answer.status): \(value.serializedText())")
            }
            return value
        } catch let error as StreamError {
            throw CommandFailure(
                description: "the lab does not answer (\(error.what)); start it with `make run`")
        }
    }
}

struct DeviceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "device",
        abstract: "Show a device of the running Graph emulator, or change its compliance.",
        discussion: "Example: gatepost-lab device --set noncompliant")

    @OptionGroup var location: LabLocation
    @Option(
        help:
            "New complianceState, as Intune spells it: compliant, noncompliant, inGracePeriod, unknown, …"
    )
    var set: String?
    @Option(help: "Id, name or serial number of the device; Alice's when left out.")
    var id: String?

    func run() throws {
        let name = id ?? "5c1d9b7e-0a0e-4d51-9a0f-8d7b7a0d1c11"
        let path = "/lab/devices/\(Parameters.encode(name))"
        let body = set.map { JSONValue.object(["complianceState": .string($0)]) }
        let device = try location.send("graph", body == nil ? "GET" : "POST", path, body)
        let label = device["deviceName"]?.string ?? name
        let state = device["complianceState"]?.string ?? "unknown"
        print("\(label) (\(device["id"]?.string ?? name)) is \(state) at the Graph emulator.")
    }
}

struct FaultCommand: ParsableCommand {
    enum SiteName: String, ExpressibleByArgument, CaseIterable { case openid, graph }

    static let configuration = CommandConfiguration(
        commandName: "fault",
        abstract: "Switch on wilful misbehaviour of the running lab, or list it.",
        discussion:
            "Examples: gatepost-lab fault openid wrong-nonce · gatepost-lab fault graph throttle --count 3")

    @OptionGroup var location: LabLocation
    @Argument(help: "openid or graph.")
    var site: SiteName
    @Argument(help: "Name of the fault; none switches all off; left out lists all there are.")
    var name: String?
    @Option(help: "How many times; until switched off when left out.")
    var count: Int64?
    @Option(help: "For faults that take time.")
    var milliseconds: Int64?
    @Option(help: "Seconds for Retry-After.")
    var retryAfter: Int64?

    func run() throws {
        var body: JSONValue?
        if let name {
            var object: JSONObject = ["name": .string(name)]
            for (key, value) in [
                ("count", count), ("milliseconds", milliseconds), ("retryAfter", retryAfter),
            ] {
                object[key] = value.map { .integer($0) }
            }
            body = .object(object)
        }
        let answer = try location.send(site.rawValue, body == nil ? "GET" : "POST", "/lab/faults", body)
        for key in ["active", "known"] {
            let names = answer[key]?.array?.compactMap(\.string) ?? []
            print("\(key): \(names.isEmpty ? "none" : names.joined(separator: " "))")
        }
    }
}
