import Testing

@testable import HTTP

/// Laws that hold for any input; the seed in a failure makes it come again.
@Suite("Laws of heads and paths")
struct HeadPropertyTests {
    private let pathBytes = latin("ab./;%2eEfF5c0%25ABz~-_!$&'()*+,=:@|[]^%2e%2F%5C%c3%a9%41")

    private func randomText(_ alphabet: [UInt8], _ most: Int, _ random: inout SeededGenerator) -> [UInt8] {
        let count = Int.random(in: 0...most, using: &random)
        return (0..<count).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &random)] }
    }

    private func randomHead(_ random: inout SeededGenerator) -> [UInt8] {
        let methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "REPORT"]
        var lines = [
            "\(methods[Int.random(in: 0..<methods.count, using: &random)]) /",
            "Host: h\(UInt8.random(in: 0...9, using: &random))",
        ]
        var line = latin(lines[0]) + randomText(pathBytes, 12, &random)
        if Bool.random(using: &random) { line += [63] + randomText(latin("ab=&?/%.\\"), 8, &random) }
        let fields = [
            "Accept: a, b", "X-Own:1", "Cookie: a=1; __Host-gatepost=x; b=2", "Connection: close",
            "X-Y: \t z ",
            "X-Forwarded-For: 1", "Remote_User: root", "Content-Type: text/plain", "Referer: https://a/#b",
            "Empty:",
        ]
        for _ in 0..<Int.random(in: 0...8, using: &random) {
            lines.append(fields[Int.random(in: 0..<fields.count, using: &random)])
        }
        switch Int.random(in: 0...3, using: &random) {
        case 0: lines.append("Content-Length: \(UInt32.random(in: 0...99999, using: &random))")
        case 1: lines.append("Transfer-Encoding: chunked")
        default: break
        }
        line += latin(" HTTP/1.1\r\n")
        return line + latin(lines.dropFirst().map { $0 + "\r\n" }.joined() + "\r\n")
    }

    @Test(
        "what is written for the upstream parses to the same request, and writing that changes nothing more")
    func writtenHeadIsTheSameRequest() {
        var bench = Bench(options: [.allowsEncodedSlash, .allowsEmptySegments])
        var accepted = 0
        for seed in Seeds.of(4_000) {
            var random = SeededGenerator(seed: seed)
            let bytes = randomHead(&random)
            guard case .head(let first) = bench.parse(bytes), let written = bench.written(first, bytes) else {
                continue
            }
            accepted += 1
            let judged = bench.describe(first, bytes).replacing(" close", with: "")
            guard case .head(let second) = bench.parse(written) else {
                Issue.record(
                    "seed \(seed): \(bench.see(written)) for \(String(decoding: written, as: UTF8.self))")
                continue
            }
            #expect(bench.describe(second, written) == judged, "seed \(seed)")
            #expect(!second.path.isInScratch, "seed \(seed): the canonical path is canonical")
            #expect(bench.written(second, written) == written, "seed \(seed)")
        }
        #expect(accepted > 500, "\(accepted) of 4000 random heads were fine")
    }

    @Test("no accepted path has a dot segment, a refused escape or a needless one, whatever was sent")
    func pathsAreCanonical() {
        var bench = Bench()
        var accepted = 0
        for seed in Seeds.of(20_000) {
            var random = SeededGenerator(seed: seed)
            let bytes =
                latin("GET /") + randomText(pathBytes, 24, &random) + latin(" HTTP/1.1\r\nHost: h\r\n\r\n")
            guard case .head(let request) = bench.parse(bytes) else { continue }
            accepted += 1
            let path = bench.text(request.path, bytes)
            for segment in path.split(separator: "/", omittingEmptySubsequences: false) {
                let name = segment.replacing("%3B", with: ";").prefix { $0 != ";" }
                #expect(name != "." && name != "..", "seed \(seed): \(path)")
            }
            for refused in ["//", "\\", "%2F", "%5C", "%00", "%2E", "%41", "%61", "%252E", "%252F", "%255C"] {
                #expect(!path.contains(refused), "seed \(seed): \(path)")
            }
        }
        #expect(accepted > 1_000, "\(accepted) of 20000 random paths were fine")
    }

    @Test("a mutated head never crashes, and an accepted one never yields a path with two dots as a segment")
    func mutations() {
        var bench = Bench()
        for seed in Seeds.of(6_000) {
            var random = SeededGenerator(seed: seed)
            var bytes = randomHead(&random)
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let position = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0...2, using: &random) {
                case 0: bytes[position] = UInt8.random(in: 0...255, using: &random)
                case 1:
                    bytes.insert(
                        latin("\r\n\0 :;./%\u{ff}")[Int.random(in: 0..<10, using: &random)], at: position)
                default: if bytes.count > 1 { bytes.remove(at: position) }
                }
            }
            guard case .head(let request) = bench.parse(bytes) else { continue }
            let path = bench.text(request.path, bytes)
            #expect(!path.split(separator: "/").contains(".."), "seed \(seed): \(path)")
            #expect(request.headBytes <= bytes.count, "seed \(seed)")
            let written = bench.written(request, bytes) ?? []
            #expect(!written.isEmpty, "seed \(seed)")
        }
    }

    @Test("a random split never changes the outcome")
    func splits() {
        var bench = Bench()
        for seed in Seeds.of(1_500) {
            var random = SeededGenerator(seed: seed)
            var bytes = randomHead(&random)
            bytes[Int.random(in: 0..<bytes.count, using: &random)] =
                latin("\r\n\0 :")[Int.random(in: 0..<5, using: &random)]
            let whole = bench.see(bytes)
            for _ in 0..<8 {
                let seen = bench.see(Array(bytes[..<Int.random(in: 0...bytes.count, using: &random)]))
                #expect(seen == .needMore || seen == whole, "seed \(seed)")
            }
        }
    }

    @Test("no folded variant of an identity name survives, however it is spelled")
    func identityNeverSurvives() {
        let names = [
            "gatepost-assertion", "x-forwarded-user", "x-forwarded-email", "x-forwarded-groups",
            "x-auth-request-user",
            "x-forwarded-preferred-username", "remote-user", "x-remote-groups", "x-forwarded-for",
            "forwarded",
            "x-real-ip", "x-employee-id", "proxy-authorization", "x-original-url", "x-forwarded-proto",
        ]
        let separators = ["", "-", "_", ".", "--", "-_", "~", "!", "^", "'"]
        var bench = Bench()
        for seed in Seeds.of(4_000) {
            var random = SeededGenerator(seed: seed)
            var spelling = ""
            for character in names[Int.random(in: 0..<names.count, using: &random)] {
                let separator = separators[Int.random(in: 0..<separators.count, using: &random)]
                let isLetter = character != "-"
                let text = isLetter ? String(character) : separator
                spelling += Bool.random(using: &random) ? text.uppercased() : text
                if isLetter, Int.random(in: 0..<12, using: &random) == 0 { spelling += separator }
            }
            let bytes = headOf("GET / HTTP/1.1", "Host: a", "\(spelling): secret", "A: 1")
            guard case .head(let request) = bench.parse(bytes) else {
                Issue.record("seed \(seed): \(spelling)")
                continue
            }
            let written = bench.written(request, bytes, identity: ["X-Employee-ID"])
            #expect(written == headOf("GET / HTTP/1.1", "Host: a", "A: 1"), "seed \(seed): \(spelling)")
        }
    }

    @Test("of random cookies exactly ours disappear, the others stay byte for byte and in order")
    func cookies() {
        var bench = Bench()
        for seed in Seeds.of(3_000) {
            var random = SeededGenerator(seed: seed)
            var pairs: [String] = []
            for index in 0..<Int.random(in: 1...6, using: &random) {
                let isOurs = Int.random(in: 0..<3, using: &random) == 0
                pairs.append(isOurs ? "__Host-gatepost\(index)=s" : "c\(index)=\(random.next())")
            }
            let bytes = headOf("GET / HTTP/1.1", "Host: a", "Cookie: " + pairs.joined(separator: "; "))
            guard case .head(let request) = bench.parse(bytes) else {
                Issue.record("seed \(seed)")
                continue
            }
            let others = pairs.filter { !$0.hasPrefix("__Host") }.joined(separator: "; ")
            let expected =
                others.isEmpty
                ? headOf("GET / HTTP/1.1", "Host: a")
                : headOf("GET / HTTP/1.1", "Host: a", "Cookie: " + others)
            #expect(bench.written(request, bytes) == expected, "seed \(seed)")
        }
    }
}
