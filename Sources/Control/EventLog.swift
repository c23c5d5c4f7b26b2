import Foundation
import JSON

/// What happened in the control plane, as JSON lines on standard error.
enum EventLog {
    static func write(_ event: String, _ members: [(String, JSONValue)]) {
        let time = Date().formatted(.iso8601)
        let line = JSONValue.object(
            JSONObject([("time", .string(time)), ("event", .string(event))] + members))
        FileHandle.standardError.write(Data(line.serialized() + [0x0a]))
    }
}
