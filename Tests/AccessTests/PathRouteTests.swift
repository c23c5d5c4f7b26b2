import Testing

@testable import Access

@Suite("Routes of an application: which one a path takes, and what policy judges then")
struct PathRouteTests {
    private static let strip = PathRoute.Action.forward(stripsPrefix: true, addedPrefix: "")
    private static let answer = PathRoute.Action.answer(status: 200, contentType: "text/plain", body: [])

    private static func forward(_ path: String, strips: Bool = false, adds: String = "") -> PathRoutes {
        PathRoutes([
            PathRoute(
                path: path, isExact: false, action: .forward(stripsPrefix: strips, addedPrefix: adds))
        ])
    }

    struct Row: Sendable {
        var path: String
        var routes: PathRoutes
        var judged: String
    }

    static let rows: [Row] = [
        Row(path: "/api/x", routes: forward("/api", strips: true), judged: "/x"),
        Row(path: "/api", routes: forward("/api", strips: true), judged: "/"),
        Row(path: "/api/", routes: forward("/api", strips: true), judged: "/"),
        Row(path: "/apix", routes: forward("/api", strips: true), judged: "/apix"),
        Row(path: "/API/x", routes: forward("/api", strips: true), judged: "/API/x"),
        Row(path: "/api;v=1/x", routes: forward("/api", strips: true), judged: "/api;v=1/x"),
        Row(path: "/ap", routes: forward("/api", strips: true), judged: "/ap"),
        Row(path: "/x/api", routes: forward("/api", strips: true), judged: "/x/api"),
        Row(path: "/api/x", routes: forward("/api", strips: true, adds: "/v2"), judged: "/v2/x"),
        Row(path: "/api", routes: forward("/api", strips: true, adds: "/v2"), judged: "/v2"),
        Row(path: "/api/", routes: forward("/api", strips: true, adds: "/v2"), judged: "/v2/"),
        Row(path: "/api/x", routes: forward("/api", adds: "/v2"), judged: "/v2/api/x"),
        Row(path: "/x", routes: forward("/", adds: "/app"), judged: "/app/x"),
        Row(path: "/", routes: forward("/", adds: "/app"), judged: "/app/"),
        Row(path: "/x", routes: forward("/", strips: true), judged: "/x"),
        Row(path: "*", routes: forward("/", adds: "/app"), judged: "*"),
        Row(path: "/x", routes: PathRoutes(), judged: "/x"),
    ]

    @Test(arguments: rows)
    func `policy judges the path that is forwarded`(_ row: Row) {
        #expect(row.routes.judged(row.path) == row.judged)
    }

    @Test func `a path that the gateway answers is judged as it was asked for`() {
        let routes = PathRoutes([PathRoute(path: "/old", isExact: false, action: Self.answer)])
        #expect(routes.judged("/old/x") == "/old/x")
    }

    @Test func `an exact path goes before a prefix, a longer prefix before a shorter one, in any order`() {
        let routes = [
            PathRoute(path: "/", isExact: false, action: Self.answer),
            PathRoute(path: "/a", isExact: false, action: Self.strip),
            PathRoute(path: "/a/b", isExact: false, action: Self.strip),
            PathRoute(path: "/a/b", isExact: true, action: Self.answer),
        ]
        for shift in 0..<4 {
            let all = PathRoutes(Array(routes[shift...] + routes[..<shift]))
            func found(_ path: String) -> PathRoute? {
                all.index(for: Array(path.utf8).span).map { all.routes[$0] }
            }
            #expect(found("/a/b") == routes[3])
            #expect(found("/a/b/c") == routes[2])
            #expect(found("/a/bc") == routes[1])
            #expect(found("/ab") == routes[0])
        }
    }

    @Test func `what is stripped ends where a segment ends`() {
        for row in Self.rows {
            let bytes = Array(row.path.utf8)
            guard let index = row.routes.index(for: bytes.span) else { continue }
            let count = row.routes.strippedBytes(index)
            #expect(count == bytes.count || bytes[count] == 0x2f, "\(row.path)")
        }
    }
}
