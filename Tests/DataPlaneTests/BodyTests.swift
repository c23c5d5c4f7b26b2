import Border
import CLinux
import Foundation
import Synchronization
import Testing

@testable import DataPlane

@Suite("Bodies stream both ways with bounded memory")
struct BodyTests {
    /// 1 GiB where the code is optimised, less where it is not.
    static var bigBytes: Int {
        var isDebug = false
        assert({ isDebug = true }() == ())
        return isDebug ? 64 << 20 : 1 << 30
    }

    /// Resident memory of this process in bytes.
    static func residentBytes() -> Int {
        let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        return (Int(text.split(separator: " ").dropFirst().first ?? "0") ?? 0) * 4_096
    }

    /// A sanitizer keeps what was freed for a while and shadows what is in use: memory says nothing then.
    static func expectNoGrowth(since before: Int, _ location: SourceLocation = #_sourceLocation) {
        guard !Sanitizer.isPresent else { return }
        #expect(residentBytes() - before < 32 << 20, sourceLocation: location)
    }

    @Test func `memory goes unmeasured only where malloc is a sanitizer's and not the C library's`() throws {
        let owner = try #require(Sanitizer.ownerOfMalloc)
        #expect(Sanitizer.isPresent != owner.contains("libc.so"), "malloc of \(owner)")
    }

    @Test func `an upload of any size reaches the upstream whole and the process does not grow`() throws {
        let total = Self.bigBytes
        let arrived = Atomic<Int>(0)
        let shared = Shared(arrived)
        let origin = TestOrigin { connection in
            guard connection.readHead() != nil else { return }
            while shared.count.load(ordering: .relaxed) < total, let count = connection.readSome() {
                shared.count.add(count, ordering: .relaxed)
            }
            connection.answer("stored")
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try gateway.client()
        client.send("POST /big HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: \(total)\r\n\r\n")
        let block = [UInt8](repeating: 120, count: 1 << 20)
        client.send(block)
        let before = Self.residentBytes()
        for _ in 1..<(total >> 20) { guard client.send(block) else { break } }
        #expect(client.receive()?.text == "stored")
        #expect(shared.count.load(ordering: .relaxed) == total)
        Self.expectNoGrowth(since: before)
    }

    final class Shared: Sendable {
        let count: Atomic<Int>
        init(_ count: consuming Atomic<Int>) { self.count = count }
    }

    @Test(arguments: ["length", "chunked", "close"])
    func `a download of any size reaches the client whole and the process does not grow`(_ framing: String)
        throws
    {
        let total = Self.bigBytes
        let origin = TestOrigin { connection in
            guard connection.readHead() != nil else { return }
            let block = [UInt8](repeating: 121, count: 1 << 20)
            switch framing {
            case "length": connection.socket.write("HTTP/1.1 200 OK\r\nContent-Length: \(total)\r\n\r\n")
            case "chunked": connection.socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            default: connection.socket.write("HTTP/1.1 200 OK\r\n\r\n")
            }
            for _ in 0..<(total >> 20) {
                if framing == "chunked" { connection.socket.write("100000\r\n") }
                guard connection.socket.write(block) else { return }
                if framing == "chunked" { connection.socket.write("\r\n") }
            }
            if framing == "chunked" { connection.socket.write("0\r\n\r\n") }
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try gateway.client()
        client.send("GET /big HTTP/1.1\r\nHost: wiki.test\r\nConnection: close\r\n\r\n")
        _ = client.readSome()
        let before = Self.residentBytes()
        var count = 0
        while let bytes = client.readSome() { count += bytes.count }
        #expect(count >= total - 65_536)
        Self.expectNoGrowth(since: before)
    }

    @Test func `a client that does not read stops the upstream instead of filling the gateway`() throws {
        let written = Shared(Atomic(0))
        let origin = TestOrigin { connection in
            guard connection.readHead() != nil else { return }
            connection.socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            let block = [UInt8](repeating: 121, count: 1 << 16)
            _ = fcntl(connection.socket.descriptor, F_SETFL, O_NONBLOCK)
            // Until the socket has taken nothing for a while: everything between is full.
            while connection.socket.waitWritable(200) {
                let count = Glibc.send(connection.socket.descriptor, block, block.count, Int32(MSG_NOSIGNAL))
                if count > 0 { written.count.add(count, ordering: .relaxed) }
            }
            written.count.add(1 << 40, ordering: .relaxed)
            _ = connection.readSome()
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try gateway.client()
        client.send("GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        let isFull = gateway.waitUntil { written.count.load(ordering: .relaxed) >= 1 << 40 ? true : nil }
        #expect(isFull == true)
        #expect(written.count.load(ordering: .relaxed) - (1 << 40) < 64 << 20)
    }

    @Test func `a chunked upload is decoded and coded anew, split anywhere`() throws {
        let origin = TestOrigin { connection in
            while let head = connection.readHead() {
                let body = connection.readUntil("0\r\nT: x\r\n\r\n") ?? ""
                connection.answer(
                    head.lowercased().contains("transfer-encoding: chunked") ? body : "not chunked")
            }
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try gateway.client()
        let request =
            "POST / HTTP/1.1\r\nHost: wiki.test\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "5;x=y\r\nhello\r\n0\r\nT: x\r\n\r\n"
        for split in stride(from: 1, to: request.utf8.count, by: 3) {
            client.send(records: [String(request.prefix(split)), String(request.dropFirst(split))])
            let text = try #require(client.receive()).text
            #expect(
                text.contains("hello") || text.filter { $0.isLetter } == "helloTx",
                "split at \(split): \(text)"
            )
            #expect(!text.contains("x=y") && text.hasSuffix("0\r\nT: x\r\n\r\n"))
        }
    }

    @Test func `a broken chunk in the middle of an upload is 400`() throws {
        let origin = TestOrigin { connection in
            _ = connection.readHead()
            while connection.readSome() != nil {}
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try gateway.client()
        client.send("POST / HTTP/1.1\r\nHost: wiki.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        #expect(gateway.waitForCounter("upstream_connects", atLeast: 1))
        client.send("zz\r\n")
        #expect(client.receive()?.status == 400)
    }

    @Test func `who expects 100 gets it from the gateway, and the body arrives`() throws {
        let origin = TestOrigin { connection in
            while let head = connection.readHead() {
                let isClean = !head.lowercased().contains("expect:")
                let body = connection.read(4).map { String(decoding: $0, as: UTF8.self) } ?? ""
                connection.answer("\(isClean) \(body)")
            }
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try gateway.client()
        client.send("PUT / HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        #expect(client.receive()?.status == 100)
        client.send("body")
        #expect(client.receive()?.text == "true body")
    }

    @Test func `who expects 100 and is refused gets the refusal instead`() throws {
        let gateway = try Gateway([Facts.closed(1)])
        let client = try gateway.client()
        client.send("PUT / HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        #expect(client.receive()?.status == 401)
        #expect(client.receive() == nil)
    }

    @Test func `an answer that comes before the upload is over ends the connection after it`() throws {
        let origin = TestOrigin { connection in
            _ = connection.readHead()
            connection.answer("too much", status: "413 Content Too Large")
            while connection.readSome() != nil {}
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try gateway.client()
        client.send("POST / HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 1000000\r\n\r\nstart")
        let response = try #require(client.receive())
        #expect(response.status == 413 && response.isComplete)
        #expect(response.field("Connection") == "close")
        #expect(client.receive() == nil)
    }

    @Test func `an HTTP 1.0 client gets a body that ends with the connection, never chunks`() throws {
        let origin = TestOrigin { connection in
            _ = connection.readHead()
            connection.socket.write(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try gateway.client()
        client.send("GET / HTTP/1.0\r\nHost: wiki.test\r\n\r\n")
        let response = try #require(client.receive())
        #expect(response.text == "hi" && response.isComplete)
        #expect(response.field("Transfer-Encoding") == nil)
    }
}

/// Whether this process runs under the address or the thread sanitizer.
enum Sanitizer {

    static let isPresent = dlsym(nil, "__asan_init") != nil || dlsym(nil, "__tsan_init") != nil

    /// The file that the process's `malloc` comes from: a sanitizer puts its own before the C library's.
    static var ownerOfMalloc: String? {
        guard let symbol = dlsym(nil, "malloc") else { return nil }
        let address = UInt(bitPattern: symbol)
        let file = FileHandle(forReadingAtPath: "/proc/self/maps")
        let maps = String(decoding: file?.readDataToEndOfFile() ?? Data(), as: UTF8.self)
        for line in maps.split(separator: "\n") {
            let words = line.split(separator: " ", omittingEmptySubsequences: true)
            let bounds = words[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            if bounds.count == 2, bounds[0] <= address, address < bounds[1] {
                return words.last.map(String.init)
            }
        }
        return nil
    }
}
