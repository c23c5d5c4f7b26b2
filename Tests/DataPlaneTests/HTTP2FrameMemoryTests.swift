import CNghttp2
import Glibc
import Testing

@testable import DataPlane

@Suite("The memory that nghttp2 packs frames in")
struct HTTP2FrameMemoryTests {
    /// Pages of the first 16 KiB that the kernel holds.
    private static func pages(_ buffer: UnsafeMutableRawPointer, of bytes: Int = 16_384) -> Int {
        var held = [UInt8](repeating: 0, count: bytes / 4_096)
        #expect(mincore(buffer, bytes, &held) == 0)
        return held.count { $0 & 1 == 1 }
    }

    private static func drain(_ session: OpaquePointer?) -> [UInt8] {
        var sent: [UInt8] = []
        var bytes: UnsafePointer<UInt8>?
        while true {
            let count = nghttp2_session_mem_send(session, &bytes)
            guard count > 0 else { return sent }
            sent += UnsafeBufferPointer(start: bytes, count: count)
        }
    }

    @Test func `a session that rests holds none of it, and packs the next frame as before`() {
        let owner = UnsafeMutablePointer<HTTP2FrameMemory>.allocate(capacity: 1)
        owner.initialize(to: HTTP2FrameMemory())
        defer { owner.deallocate() }
        var callbacks: OpaquePointer?
        nghttp2_session_callbacks_new(&callbacks)
        defer { nghttp2_session_callbacks_del(callbacks) }
        var memory = HTTP2FrameMemory.functions(for: owner)
        var session: OpaquePointer?
        #expect(nghttp2_session_server_new3(&session, callbacks, nil, nil, &memory) == 0)
        let buffer = owner.pointee.buffer
        #expect(buffer.map { UInt(bitPattern: $0) % 4_096 } == 0)
        let ping: [UInt8] = [7, 6, 5, 4, 3, 2, 1, 0]
        var first: [UInt8] = []
        for round in 0..<3 {
            #expect(nghttp2_submit_ping(session, 0, ping) == 0)
            let sent = Self.drain(session)
            #expect(sent.suffix(8) == ping[...])
            if round == 0 { first = sent } else { #expect(sent == Array(first.suffix(sent.count))) }
            #expect(buffer.map { Self.pages($0) } ?? 0 >= 1)
            owner.pointee.rest()
            #expect(buffer.map { Self.pages($0) } == 0)
        }
        nghttp2_session_del(session)
        #expect(owner.pointee.buffer == nil)
    }

    @Test func `the table of streams is given back while there is none, and only then`() throws {
        let owner = UnsafeMutablePointer<HTTP2FrameMemory>.allocate(capacity: 1)
        owner.initialize(to: HTTP2FrameMemory())
        defer { owner.deallocate() }
        var callbacks: OpaquePointer?
        var option: OpaquePointer?
        nghttp2_session_callbacks_new(&callbacks)
        nghttp2_option_new(&option)
        nghttp2_option_set_no_closed_streams(option, 1)
        defer {
            nghttp2_session_callbacks_del(callbacks)
            nghttp2_option_del(option)
        }
        var memory = HTTP2FrameMemory.functions(for: owner)
        var session: OpaquePointer?
        #expect(nghttp2_session_server_new3(&session, callbacks, nil, option, &memory) == 0)
        let table = try #require(owner.pointee.table)
        #expect(UInt(bitPattern: table) % 4_096 == 0)
        func receive(_ bytes: [UInt8]) {
            #expect(nghttp2_session_mem_recv(session, bytes, bytes.count) == bytes.count)
        }
        receive(HTTP2Client.preface + HTTP2Frame.bytes(.settings, 0, 0, []))
        for round in 0..<3 {
            let ids = (0..<20).map { UInt32(round * 40 + 2 * $0 + 1) }
            for id in ids { receive(HTTP2Client.headers(id, HTTP2Client.request("/"), ends: false)) }
            owner.pointee.rest()
            #expect(Self.pages(table, of: 4_096) == 1)
            #expect(ids.allSatisfy { nghttp2_session_find_stream(session, Int32($0)) != nil })
            for id in ids { receive(HTTP2Frame.bytes(.reset, 0, id, [0, 0, 0, 8])) }
            #expect(ids.allSatisfy { nghttp2_session_find_stream(session, Int32($0)) == nil })
            _ = Self.drain(session)
            owner.pointee.rest()
            #expect(Self.pages(table, of: 4_096) == 0)
        }
        nghttp2_session_del(session)
        #expect(owner.pointee.table == nil)
    }

    @Test func `only the first large block lies on pages of its own; resting without one does nothing`() {
        let owner = UnsafeMutablePointer<HTTP2FrameMemory>.allocate(capacity: 1)
        owner.initialize(to: HTTP2FrameMemory())
        defer { owner.deallocate() }
        owner.pointee.rest()
        let memory = HTTP2FrameMemory.functions(for: owner)
        let small = memory.malloc(16_383, memory.mem_user_data)
        #expect(owner.pointee.buffer == nil)
        let first = memory.realloc(nil, 16_384, memory.mem_user_data)
        let second = memory.malloc(20_000, memory.mem_user_data)
        #expect(owner.pointee.buffer == first)
        let grown = memory.realloc(first, 60_000, memory.mem_user_data)
        #expect(owner.pointee.buffer == nil)
        for block in [small, second, grown] { memory.free(block, memory.mem_user_data) }
        memory.free(nil, memory.mem_user_data)
    }
}
