import JSON
import Signatures

/// `machine_id`: a keyed hash of /etc/machine-id. The id itself never leaves the machine (machine-id(5)):
/// with it, every service on the network could recognise the machine.
struct MachineIDFact: FactProbe {
    let key: [UInt8]
    let names = ["machine_id"]

    func read(_ machine: Machine) -> [Fact] {
        let root = machine.root
        guard let id = root.line("/etc/machine-id"), id.utf8.count == 32, id != "uninitialized" else {
            return []
        }
        let mac = Digest.hmacSHA256(key: Array(id.utf8), key + Array("gatepost-agent".utf8))
        let value = Base64URL.encode(Array(mac.prefix(16)))
        return [Fact(name: "machine_id", value: .string(value), source: "/etc/machine-id (keyed hash)")]
    }
}
