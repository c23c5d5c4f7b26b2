import JSON
import Signatures

// The popup's page and the probe's image, where they are offered.
extension ConformanceCheck {
    static let visits: [ConformanceCheck] = [
        ConformanceCheck(
            "popup", "8.4", "a popup holds a bound assertion, in a page that may do nothing else"
        ) { subject throws(ConformanceFailure) in
            let draft = subject.draft()
            let challenge = draft.compact
            let reply = try offered(subject, "/v1/popup", challenge)
            let page = try PopupReader(reply)
            try page.checkPolicy()
            try page.checkTarget(subject.origin)
            guard let assertion = page.assertion else {
                throw ConformanceFailure("the page holds no assertion, as it is or in base64url")
            }
            _ = try StatementReader(
                subject: subject, draft: draft, challenge: challenge, transport: "popup", origin: nil
            ).read(assertion)
        },
        ConformanceCheck(
            "popup-refusal", "8.4", "a popup with a challenge that has ended posts the error's word"
        ) { subject throws(ConformanceFailure) in
            var draft = subject.draft()
            draft.shift(seconds: -400)
            let page = try PopupReader(try offered(subject, "/v1/popup", draft.compact))
            try page.checkPolicy()
            guard page.assertion == nil, page.holds("challenge-expired") else {
                throw ConformanceFailure("the page does not hold challenge-expired, or holds an assertion")
            }
        },
        refused("popup-origin-claim", "/v1/popup", "a popup for a challenge of another page's origin") {
            $0.payload["origin"] = "https://evil.example"
        },
        refused("popup-elsewhere", "/v1/popup", "a popup whose way back is another site's") {
            $0.payload["rtn"] = "https://evil.example/"
        },
        refused("popup-framed", "/v1/popup", "a frame is no popup", destination: "iframe") { _ in },
        ConformanceCheck(
            "probe", "8.4", "the probe image says that the agent is there and uses nothing up"
        ) { subject throws(ConformanceFailure) in
            let challenge = subject.draft().compact
            let reply = try offered(subject, "/v1/p.gif", challenge)
            guard reply.status == 200, reply.value("content-type") == "image/gif",
                reply.body.starts(with: "GIF8".utf8), reply.body.count <= 64
            else { throw ConformanceFailure("answered \(reply.status ?? 0), not 200 with a small GIF") }
            guard reply.values("access-control-allow-origin").isEmpty else {
                throw ConformanceFailure("pages may read the image")
            }
            _ = try subject.assertion(in: subject.attest(challenge), "the challenge that was probed with")
        },
        refused("probe-expired", "/v1/p.gif", "a probe with a challenge that has ended") {
            $0.shift(seconds: -400)
        },
        refused("probe-opened", "/v1/p.gif", "a probe that somebody navigates to", destination: "document") {
            _ in
        },
    ]

    /// What the browser says of a visit there.
    private static func metadata(_ path: String, _ destination: String?) -> [String] {
        let standard = path == "/v1/p.gif" ? "image" : "document"
        let place = destination ?? standard
        return [
            "Sec-Fetch-Mode: \(place == "image" ? "no-cors" : "navigate")", "Sec-Fetch-Dest: \(place)",
        ]
    }

    private static func get(
        _ subject: ConformanceSubject, _ path: String, _ challenge: String, destination: String? = nil
    ) -> ProbeReply {
        let lines =
            ["GET \(path)?c=\(challenge) HTTP/1.1", "Host: \(subject.host)"] + metadata(path, destination)
        subject.pace()
        return subject.exchange([Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)])
    }

    /// The answer to a visit, where a good one is answered at all.
    private static func offered(
        _ subject: ConformanceSubject, _ path: String, _ challenge: String, destination: String? = nil
    ) throws(ConformanceFailure) -> ProbeReply {
        let good = get(subject, path, subject.draft().compact)
        if good.comparable == (try subject.refusal()).comparable {
            throw .notOffered("\(path) is not offered")
        }
        return get(subject, path, challenge, destination: destination)
    }

    private static func refused(
        _ name: String, _ path: String, _ what: String, destination: String? = nil,
        _ edit: @escaping @Sendable (inout ChallengeDraft) -> Void
    ) -> ConformanceCheck {
        ConformanceCheck(name, "8.4", "gets the silent refusal: \(what)") {
            subject throws(ConformanceFailure) in
            var draft = subject.draft()
            edit(&draft)
            try subject.expectSilent(
                try offered(subject, path, draft.compact, destination: destination), what)
        }
    }
}

/// The popup's page as a browser would take it apart; no script of it is run.
struct PopupReader {
    private let reply: ProbeReply
    private let html: String

    init(_ reply: ProbeReply) throws(ConformanceFailure) {
        guard reply.status == 200, reply.value("content-type")?.lowercased().hasPrefix("text/html") == true
        else { throw ConformanceFailure("answered \(reply.status ?? 0), not 200 with a page") }
        self.reply = reply
        html = String(decoding: reply.body, as: UTF8.self)
    }

    /// Nothing but the scripts that the policy names by digest; and no field that parts the page from its opener.
    func checkPolicy() throws(ConformanceFailure) {
        guard reply.values("cross-origin-opener-policy").isEmpty else {
            throw ConformanceFailure("Cross-Origin-Opener-Policy cuts the opener off")
        }
        guard let policy = reply.value("content-security-policy") else {
            throw ConformanceFailure("no Content-Security-Policy, or two")
        }
        var directives: [String: [Substring]] = [:]
        for directive in policy.split(separator: ";") {
            let words = directive.split(separator: " ")
            if let name = words.first { directives[name.lowercased()] = Array(words.dropFirst()) }
        }
        guard directives["default-src"] == ["'none'"] else {
            throw ConformanceFailure("the policy's default-src is not 'none'")
        }
        let allowed = directives["script-src"] ?? []
        guard !allowed.isEmpty, allowed.allSatisfy({ $0.hasPrefix("'sha256-") || $0.hasPrefix("'sha384-") })
        else { throw ConformanceFailure("the policy allows scripts otherwise than by their digest") }
        for script in scripts {
            let digest = "'sha256-\(Base64.encode(Digest.sha256(Array(script.utf8))))'"
            guard allowed.contains(where: { $0 == digest || $0.hasPrefix("'sha384-") }) else {
                throw ConformanceFailure("the policy does not name the page's own script: it cannot run")
            }
        }
    }

    /// The page knows whom it posts to, and that is not everybody.
    func checkTarget(_ origin: String) throws(ConformanceFailure) {
        guard scripts.contains(where: { $0.contains("postMessage") }) else {
            throw ConformanceFailure("no script of the page calls postMessage")
        }
        for star in ["'*'", "\"*\"", "`*`", ">*<", "&#42;"] where html.contains(star) {
            throw ConformanceFailure("the page may post to everybody: \(star)")
        }
        guard holds(origin) else { throw ConformanceFailure("the page does not name the gateway's origin") }
    }

    /// Texts between `<script…>` and its end.
    private var scripts: [String] {
        html.split(separator: "<script").dropFirst().compactMap { piece in
            guard let begin = piece.firstIndex(of: ">") else { return nil }
            let rest = piece[piece.index(after: begin)...]
            return rest.firstRange(of: "</script>").map { String(rest[..<$0.lowerBound]) }
        }
    }

    /// Whether a text stands in the page, or in a base64url of it.
    func holds(_ text: String) -> Bool { texts.contains { $0.contains(text) } }

    /// A compact JWS with an assertion's header.
    var assertion: String? {
        for text in texts {
            for word in Self.words(text, further: ".") where word.count > 100 {
                guard let jws = try? JWS(compact: String(word), bytesMax: 16 << 10) else { continue }
                if jws.header["typ"] == "posture+jwt" { return String(word) }
            }
        }
        return nil
    }

    private var texts: [String] {
        [html]
            + Self.words(html, further: "").compactMap { word in
                guard word.count >= 8, let bytes = Base64URL.decode(String(word)) else { return nil }
                return String(validating: bytes, as: UTF8.self)
            }
    }

    private static func words(_ text: String, further: String) -> [Substring] {
        text.split { letter in
            guard let byte = letter.asciiValue else { return true }
            let isLetter = (0x41...0x5a).contains(byte & 0xdf) || (0x30...0x39).contains(byte)
            return !isLetter && byte != 0x2d && byte != 0x5f && !further.contains(letter)
        }
    }
}
