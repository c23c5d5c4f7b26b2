import Access
import Store
import Testing

@testable import Posture

@Suite("What the verdict cache takes of a process's memory")
struct CacheMemoryTests {
    /// One Intune device with every name that Intune gives.
    private static func record(_ number: Int, nowSeconds: Int64) -> VerdictRecord? {
        let tail = String(number + 1_000_000)
        let names: [(DeviceKey.Kind, String)] = [
            (.intune, "5c1d9b7e-0a0e-4d51-9a0f-8d7b7\(tail)"),
            (.entra, "9d3e2c10-7f6a-4f0e-8f30-2b9b8\(tail)"),
            (.serial, "C02XK\(tail)"), (.mac, "a45e60\(tail.suffix(6))"), (.mac, "a45e61\(tail.suffix(6))"),
            (.hardware, "1d3e2c10-7f6a-4f0e-8f30-2b9b8\(tail)"), (.name, "laptop-\(tail)"),
            (.owner, "person\(tail)@corp.example"), (.owner, "7d3e2c10-7f6a-4f0e-8f30-2b9b8\(tail)"),
        ]
        let keys = names.compactMap { DeviceKey($0.0, $0.1) }
        guard keys.count == names.count else { return nil }
        let digest = String(repeating: "0123456789abcdef", count: 4)
        var verdict = Verdict(
            id: "intune:\(keys[0].value):\(nowSeconds):\(digest.prefix(12))", integration: "intune",
            provider: "intune", nativeID: keys[0].value, state: .compliant, isManaged: true,
            labels: ["compliant", "registered"], observedAtSeconds: nowSeconds - 300,
            fetchedAtSeconds: nowSeconds, expiresAtSeconds: nowSeconds + 14_400,
            matchKey: DeviceKey.encoded(keys), matchStrength: .weak, rawState: "compliant", digest: digest)
        verdict.provenance = Verdict.Provenance(
            transport: .apiPoll, endpoint: "/v1.0/deviceManagement/managedDevices",
            requestID: "5c1d9b7e-0a0e-4d51-9a0f-8d7b7a0d1c11")
        return VerdictRecord(verdict: verdict, keys: keys)
    }

    /// Of the table and of everything that it alone holds: what was asked of the allocator, whose own part is some 16
    /// bytes for each record.
    private static func bytes(_ table: VerdictTable) -> Int {
        // In front of an array's elements.
        let arrayHeadBytes = 32
        let records = table.records.reduce(0) { $0 + arrayHeadBytes + ($1?.bytes.capacity ?? 0) }
        let slots =
            table.records.capacity * MemoryLayout<PackedVerdict?>.stride
            + table.seen.capacity * MemoryLayout<UInt32>.stride
        let indices = [table.byNativeID, table.byKey].reduce(0) { sum, index in
            // Of a crowd a slot and how often it is there, at a dictionary's worst filling.
            sum + index.entries.capacity * MemoryLayout<UInt64>.stride
                + index.crowds.values.reduce(0) { $0 + $1.capacity * 2 * MemoryLayout<(UInt32, Int)>.stride }
        }
        return records + slots + indices
    }

    /// 100,000 devices at four providers are to fit into 300 MiB with everything else that the process holds: these are
    /// 200 of them. Counted at several sizes, because everything that grows by steps is emptiest behind one.
    @Test(
        "a device takes at most 520 bytes at each provider, also after everything was read again",
        arguments: [700, 1_000, 1_400, 2_000])
    func device(_ devices: Int) async throws {
        let cache = VerdictCache(store: MemoryStore())
        for seconds in [1_800_000_100, 1_800_000_200] as [Int64] {
            var records = VerdictRecords()
            for number in 0..<devices {
                records.append(try #require(Self.record(number, nowSeconds: seconds)))
            }
            _ = await cache.replace(
                integration: "intune", with: records, startedAtSeconds: seconds, ttlSeconds: 14_400,
                nowSeconds: seconds)
        }
        let perDevice = await cache.bytesPerDevice(Self.bytes)
        print("measured: \(perDevice) bytes a device with \(devices)")
        #expect(perDevice <= 520, "\(devices) devices")
        // What is counted is what there is: the names alone are some 190 bytes.
        #expect(perDevice >= 350, "\(devices) devices")
    }
}

extension VerdictCache {
    fileprivate func bytesPerDevice(_ bytes: (VerdictTable) -> Int) -> Int {
        let table = table("intune")
        return bytes(table) / table.count
    }
}
