import HTTP

/// Numbers as fixed-length lower-case hex.
enum Hex {
    static func write(_ value: UInt64, into output: inout HeadOutput) {
        for shift in stride(from: 60, through: 0, by: -4) { output.append(digit(value >> UInt64(shift))) }
    }

    static func text(_ high: UInt64, _ low: UInt64) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(32)
        for shift in stride(from: 60, through: 0, by: -4) { bytes.append(digit(high >> UInt64(shift))) }
        for shift in stride(from: 60, through: 0, by: -4) { bytes.append(digit(low >> UInt64(shift))) }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func digit(_ value: UInt64) -> UInt8 {
        let low = UInt8(value & 0xf)
        return low < 10 ? 48 + low : 87 + low
    }
}
