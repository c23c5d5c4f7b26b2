import Access
import Border
import Testing

@testable import DataPlane

@Suite("A form that is sent without a session, at an application that keeps forms")
struct KeptFormTests {
    static let own = "Origin: https://wiki.test:8443\r\n"
    static let type = "Content-Type: application/x-www-form-urlencoded\r\n"
    static let page = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"

    /// What the control plane is asked, and with how many bytes.
    private static func answer(_ message: ToControl, _ gateway: Gateway) {
        guard case .request(let request) = message else { return }
        let text =
            "\(request.purpose) \(request.method) \(request.path)?\(request.query) \(request.body.count)"
        gateway.send(
            .response(
                ControlResponse(ticket: request.ticket, status: 200, fields: [], body: Array(text.utf8))))
    }

    private func send(_ head: String, _ body: String = "a=b", keeps: Bool = true) throws -> TestResponse? {
        var route = Facts.closed(1)
        route.keepsForms = keeps
        let gateway = try Gateway([route], answer: Self.answer)
        let client = try gateway.client()
        client.send(
            "POST /x?y=z HTTP/1.1\r\nHost: wiki.test\r\n\(head)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
        )
        return client.receive()
    }

    @Test func `the application's own form is handed on whole`() throws {
        #expect(try send(Self.own + Self.type + Self.page)?.text == "keepForm POST /x?y=z 3")
        #expect(try send(Self.own + Self.type + Self.page, "")?.text == "keepForm POST /x?y=z 0")
        let folded = "content-type: Application/X-WWW-Form-Urlencoded\r\n"
        #expect(try send(Self.own + folded + Self.page)?.text == "keepForm POST /x?y=z 3")
    }

    @Test func `exactly 64 KiB are kept, one byte more is refused as ever`() throws {
        let kept = try send(Self.own + Self.type + Self.page, String(repeating: "a", count: 65_536))
        #expect(kept?.text == "keepForm POST /x?y=z 65536")
        let large = try send(Self.own + Self.type + Self.page, String(repeating: "a", count: 65_537))
        #expect(large?.text == "refused(Access.Reason.signInRequired) POST /x?y=z 0")
    }

    static let refused: [(String, String)] = [
        ("no Origin", type + page), ("Origin null", "Origin: null\r\n" + type + page),
        ("another site's", "Origin: https://evil.test\r\n" + type + page),
        ("a listed origin's", "Origin: https://friend.test\r\n" + type + page),
        ("without the port", "Origin: https://wiki.test\r\n" + type + page),
        ("plain HTTP", "Origin: http://wiki.test:8443\r\n" + type + page),
        ("two of them", own + own + type + page),
        ("no type", own + page), ("files", own + "Content-Type: multipart/form-data; boundary=x\r\n" + page),
        ("plain text", own + "Content-Type: text/plain\r\n" + page),
        (
            "a type with more",
            own + "Content-Type: application/x-www-form-urlencoded; charset=utf-7\r\n" + page
        ),
        ("two types", own + type + type + page),
        ("a coding", own + type + "Content-Encoding: gzip\r\n" + page),
        (
            "a frame",
            own + type
                + "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\nSec-Fetch-Site: same-origin\r\n"
        ),
        ("nobody says where it is shown", own + type + "Sec-Fetch-Mode: navigate\r\n"),
    ]

    @Test("not a byte of any other form is read or kept", arguments: refused)
    func notKept(_ row: (String, String)) throws {
        let answer = try send(row.1)
        #expect(answer?.text == "refused(Access.Reason.signInRequired) POST /x?y=z 0", "\(row.0)")
        #expect(answer?.field("Connection") == "close", "\(row.0)")
    }

    @Test func `what a script posts is no form, and without the setting no form is kept`() throws {
        let script = try send(Self.own + Self.type + "Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n")
        #expect(script?.status == 401)
        let unset = try send(Self.own + Self.type + Self.page, keeps: false)
        #expect(unset?.text == "refused(Access.Reason.signInRequired) POST /x?y=z 0")
    }

    @Test func `a form whose length nobody says is not kept`() throws {
        var route = Facts.closed(1)
        route.keepsForms = true
        let gateway = try Gateway([route], answer: Self.answer)
        let client = try gateway.client()
        client.send(
            "POST /x HTTP/1.1\r\nHost: wiki.test\r\n\(Self.own + Self.type + Self.page)"
                + "Transfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n")
        #expect(client.receive()?.text == "refused(Access.Reason.signInRequired) POST /x? 0")
    }

    @Test func `a form that policy refuses is refused, whoever keeps forms`() throws {
        var route = Facts.closed(1)
        route.keepsForms = true
        let gateway = try Gateway([route]) { message, gateway in
            if case .pullSession(let ticket, _, _) = message {
                gateway.send(.session(ticket, Facts.record(1, allowed: false)))
            }
            Self.answer(message, gateway)
        }
        let client = try gateway.client()
        client.send(
            "POST /x HTTP/1.1\r\nHost: wiki.test\r\n\(Facts.cookie(1) + Self.own + Self.type + Self.page)"
                + "Content-Length: 3\r\n\r\na=b")
        #expect(client.receive()?.text == "refused(Access.Reason.postureNonCompliant) POST /x? 0")
    }
}
