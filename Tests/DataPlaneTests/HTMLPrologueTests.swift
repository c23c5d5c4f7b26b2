import Testing

@testable import DataPlane

@Suite("Where the visible part of a page begins")
struct HTMLPrologueTests {
    /// "|" is the place; without one there is none.
    static let pages: [String] = [
        // Behind the tag that says so.
        "<html><body>|hello", "<body>|", "<BODY class=x>|<p>", "<body\n\tonload='a>b' title=\"</body>\">|x",
        "<body a=b/>|x", "<body/>|x", "<body a = \">\" >|x", "<body \">|x", "<body a\"=1>|x",
        "<body =\">|\">x",
        "<body a==\">|x", "<body a=>|x", "<body / a = '>' / b>|x",
        "<!DOCTYPE html><html lang=en><head><title>t</title></head>\n <body>|x",
        "\u{FEFF}<!doctype html>\r\n<body>|x",
        // What looks like it and is not.
        "<!-- <body> --><body>|", "<!--><body>|", "<!---><body>|", "<!----!><body>|",
        "<!-- --!-- > <body> --><body>|",
        "<!-- <!--><body>|", "<!-x <body>|x", "<?xml version='1.0'?><body>|", "<!doctype \"<body>|x",
        "<title><body></title><body>|", "<TITLE><body></titlex></Title ><body>|",
        "<style>a>b{}<body></style/><body>|",
        "<script>'<body>'</script><body>|", "<script src=a></script x='>'><body>|",
        "<script><!-- <script> </script> <body> --></script><body>|",
        "<script><!-- </script><body>|", "<script><!--><script></script><body>|",
        "<script><!-- <script> --></script><body>|", "<script><!-- <scripty></script><body>|",
        "<noscript><body></noscript><body>|", "<template><body></template><body>|",
        "<noframes><body></noframes><body>|", "<meta content='<body>'><body>|", "<meta content=<body><body>|",
        // The tag may be left out: in front of whatever is nothing of a head.
        "|hello", " \n|hello", "|<p>hello", "<title>t</title>|<p>", "<html><head></head>|<main>",
        "<meta charset=x>|text",
        "|<bodyx>", "<head>|<abcdefghijklmnop>", "|< p>", "|<3", "|<1body>", "</head>|é", "</p><link>|<div>",
        "|</body>", "</>|x", "</ body><body>|", "</abcdefghijk=\">|\">x", "<base><basefont><bgsound>|<h1>",
        "|\u{0}<body>", "|</html>", "|</br>", "<!-- -->|<svg>",
        // None, or not yet.
        "", " ", "<html><head><title>t</title>", "<!-- <body>", "<script><body>", "<body", "<body a='>",
        "<!DOCTYPE",
        "<title></titl", "<b", "<frameset><frame></frameset><body>", "<head><frameset cols=1>x",
    ]

    static func place(_ pieces: [[UInt8]]) -> Int? {
        var prologue = HTMLPrologue()
        var before = 0
        for piece in pieces {
            if let found = prologue.find(in: piece.span) { return before + found }
            before += piece.count
            #expect(Int(prologue.undecided) <= min(before, HTMLPrologue.undecidedBytesMax))
        }
        return nil
    }

    @Test(arguments: pages)
    func `it is found behind body, or in front of the first visible thing, at every split`(_ page: String) {
        let marked = Array(page.utf8)
        let wanted = marked.firstIndex(of: UInt8(ascii: "|"))
        let bytes = marked.filter { $0 != UInt8(ascii: "|") }
        #expect(Self.place([bytes]) == wanted)
        #expect(Self.place(bytes.map { [$0] }) == wanted, "byte by byte")
        for split in 0...bytes.count {
            let pieces = [Array(bytes[..<split]), Array(bytes[split...])]
            #expect(Self.place(pieces) == wanted, "split at \(split)")
        }
    }

    @Test(arguments: [[0xff, 0xfe, 0x3c, 0], [0xfe, 0xff, 0, 0x3c], [0xff, 0xfe]] as [[UInt8]])
    func `a page in UTF-16 has no such place`(_ page: [UInt8]) {
        #expect(Self.place([page]) == nil)
        #expect(Self.place(page.map { [$0] }) == nil)
    }

    @Test(
        arguments: [([0xef], nil), ([0xef, 0xbb], nil), ([0xef, 0x3c], 0), ([0xef, 0xbb, 0x3c], 0)]
            as [([UInt8], Int?)])
    func `what only begins like a byte order mark is text`(_ page: [UInt8], _ wanted: Int?) {
        #expect(Self.place([page]) == wanted)
        #expect(Self.place(page.map { [$0] }) == wanted)
    }

    @Test func `whatever comes in whatever pieces, the place is the same, and nothing before it is visible`()
    {
        let parts = [
            "<", "</", "<!--", "-->", "<body", ">", "<script", "</script", "\"", "'", "=", " ", "a", "/",
            "<title>",
            "</title>", "<!", "-", "<head>", "<frameset", "\u{e9}", "<meta ",
        ]
        for seed in UInt64(1)...3_000 {
            var random = Seeded(seed)
            var page = ""
            for _ in 0..<(random.next() % 24) { page += parts[Int(random.next() % UInt64(parts.count))] }
            let bytes = Array(page.utf8)
            var pieces: [[UInt8]] = []
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = min(rest.count, Int(random.next() % 7))
                pieces.append(Array(rest.prefix(count)))
                rest = rest.dropFirst(count)
            }
            let whole = Self.place([bytes])
            #expect(Self.place(pieces) == whole, "seed \(seed): \(page)")
            #expect(whole.map { (0...bytes.count).contains($0) } ?? true, "seed \(seed)")
        }
    }
}
