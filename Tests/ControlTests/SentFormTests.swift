import Access
import Border
import Testing

@testable import Control

@Suite("A form taken apart so that a page can send it once more")
struct SentFormTests {
    @Test(
        "what a browser wrote comes back byte for byte",
        arguments: [
            "", "a=b", "a=", "a=b&a=c&b=", "text=two+words%0D%0Aand+a+line", "%C3%A9=%E2%82%AC",
            "a*-._9=%7E%21%27%28%29",
            "a%26b=c%3Dd", "csrf=%2Fx%2B%3D%3D", "_charset_=UTF-8&a=b", "q=%22%3E%3Cscript%3E",
        ])
    func kept(_ body: String) throws {
        let form = try #require(SentForm(Array(body.utf8)))
        #expect(form.encoded == Array(body.utf8))
    }

    @Test(
        "what the page would send otherwise is not kept",
        arguments: [
            "a", "&", "a=b&", "&a=b", "a=b&&c=d", "=b", "a=b=c", "a=%c3%a9", "a=%7e", "a=~", "a=b%20c", "a=!",
            "a=%E9", "a=%",
            "a=%4", "a=%zz", "a=%00", "a=%0A", "a=%0D", "a=%0Dx", "a=x%0A%0D", "%0A=b",
            "_charset_=windows-1252",
            "_CHARSET_=x", "a=\u{e9}", "a=b\r\nc=d", "{\"a\":1}", "a=%C0%AF", "a=%ED%A0%80",
        ])
    func notKept(_ body: String) { #expect(SentForm(Array(body.utf8)) == nil) }

    @Test func `exactly a thousand entries are kept, one more is not`() {
        func body(_ count: Int) -> [UInt8] {
            Array((0..<count).map { "a\($0)=b" }.joined(separator: "&").utf8)
        }
        #expect(SentForm(body(1_000))?.entries.count == 1_000)
        #expect(SentForm(body(1_001)) == nil)
    }

    @Test func `whatever bytes come, what is kept is what they were`() {
        var random = Generator(state: 0xf0f3)
        let pieces = Array("ab=&+%0D%0A%C3%A9%20*-._~\u{0}".utf8)
        for round in 0..<20_000 {
            let body = (0..<Int.random(in: 0...12, using: &random)).map { _ in
                pieces[Int.random(in: 0..<pieces.count, using: &random)]
            }
            guard let form = SentForm(body) else { continue }
            #expect(form.encoded == body, "seed 0xf0f3, round \(round)")
            #expect(form.entries.allSatisfy { !$0.name.isEmpty }, "seed 0xf0f3, round \(round)")
        }
    }

    private struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ (state >> 29)
        }
    }
}

@Suite("Forms that wait")
struct KeptFormsTests {
    private func form(_ bytes: Int = 10, client: UInt32 = 1, browser: UInt8 = 1, now: Int64 = 1_000)
        -> KeptForms.Form
    {
        KeptForms.Form(
            application: "wiki", target: "/x", sealed: String(repeating: "s", count: bytes),
            browser: [browser], person: nil, client: NetworkAddress(v4: client),
            expiresAtSeconds: now + KeptForms.lifetimeSeconds)
    }

    @Test func `a form is taken once, and by its own browser alone`() {
        let forms = KeptForms()
        #expect(forms.keep(form(), id: "a", nowSeconds: 1_000))
        #expect(forms.take("a", browser: [2], nowSeconds: 1_000) == nil)
        #expect(forms.find("a", browser: [2], nowSeconds: 1_000) == nil)
        #expect(forms.find("a", browser: [1], nowSeconds: 1_000) != nil)
        #expect(forms.take("a", browser: [1], nowSeconds: 1_000) != nil)
        #expect(forms.take("a", browser: [1], nowSeconds: 1_000) == nil)
        #expect(forms.size == (0, 0))
    }

    @Test func `it waits for five minutes and not a second more, also when the clock is set back`() {
        let forms = KeptForms()
        for id in ["a", "b", "c"] { #expect(forms.keep(form(), id: id, nowSeconds: 1_000)) }
        #expect(forms.take("a", browser: [1], nowSeconds: 1_299) != nil)
        #expect(forms.take("b", browser: [1], nowSeconds: 1_300) == nil)
        #expect(forms.size == (0, 0))
        #expect(forms.keep(form(), id: "d", nowSeconds: 1_000))
        #expect(forms.take("d", browser: [1], nowSeconds: 999) == nil)
    }

    @Test func `all together and each address have a bound, and what waits is never pushed out`() {
        let forms = KeptForms()
        for index in 0..<KeptForms.perClientMax {
            #expect(forms.keep(form(client: 7), id: "one-\(index)", nowSeconds: 1_000))
        }
        #expect(!forms.keep(form(client: 7), id: "one-more", nowSeconds: 1_000))
        #expect(forms.keep(form(client: 8), id: "other", nowSeconds: 1_000))
        // Who has one address of an IPv6 network has all of it.
        for index in 0...KeptForms.perClientMax {
            var near = form()
            near.client = NetworkAddress(high: 0x2001_0db8_0000_0001, low: UInt64(index))
            let isKept = forms.keep(near, id: "near-\(index)", nowSeconds: 1_000)
            #expect(isKept == (index < KeptForms.perClientMax), "\(index)")
        }
        var elsewhere = form()
        elsewhere.client = NetworkAddress(high: 0x2001_0db8_0000_0002, low: 0)
        #expect(forms.keep(elsewhere, id: "elsewhere", nowSeconds: 1_000))
        let large = KeptForms()
        let count = 16
        for index in 0..<count {
            #expect(
                large.keep(
                    form(KeptForms.bytesMax / count, client: UInt32(index)), id: "\(index)", nowSeconds: 1_000
                ))
        }
        #expect(!large.keep(form(1, client: 99), id: "more", nowSeconds: 1_000))
        #expect(large.find("0", browser: [1], nowSeconds: 1_000) != nil)
        // Room comes back with time, and with what is taken.
        #expect(large.take("0", browser: [1], nowSeconds: 1_000) != nil)
        #expect(large.keep(form(1, client: 99), id: "more", nowSeconds: 1_000))
        #expect(large.keep(form(5, client: 99, now: 1_400), id: "late", nowSeconds: 1_400))
        #expect(large.size == (1, 5))
    }

    @Test func `the most forms are kept, one more is not`() {
        let forms = KeptForms()
        for index in 0..<KeptForms.formsMax {
            #expect(forms.keep(form(client: UInt32(index)), id: "\(index)", nowSeconds: 1_000))
        }
        #expect(!forms.keep(form(client: 99_999), id: "more", nowSeconds: 1_000))
    }
}
