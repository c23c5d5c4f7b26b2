/// What the clients of a simulation ask for.
struct RequestPlan {
    private let profile: Profile

    init(_ profile: Profile) { self.profile = profile }

    /// The requests of one connection. Whatever ends a connection is the last of them.
    func requests(from id: inout Int, _ random: inout SeededGenerator) -> [ModelRequest] {
        var list: [ModelRequest] = []
        for _ in 0..<(1 + random.below(6)) {
            id += 1
            let request = request(id, &random)
            list.append(request)
            if endsConnection(request) { break }
        }
        return list
    }

    private func request(_ id: Int, _ random: inout SeededGenerator) -> ModelRequest {
        let request = ModelRequest(id: id)
        let kinds: [ModelRequest.Kind] = [
            .plain, .plain, .plain, .plain, .plain, .plain, .plain, .tunnel, .events, .reserved, .reserved,
            .malformed,
        ]
        request.kind = random.pick(kinds)
        request.host = random.chance(40) ? "open.test" : "wiki.test"
        if request.host == "wiki.test" {
            request.cookie =
                random.chance(12)
                ? random.pick([.none, .forged])
                : .session(UInt8(random.below(Int(ModelRequest.Cookies.count))))
        }
        request.script.delay = random.delay()
        switch request.kind {
        case .plain: makePlain(request, &random)
        case .reserved:
            request.script.bodyBytes = random.below(2_000)
            if random.chance(50) { giveBody(request, &random, most: 3_000) }
        case .tunnel, .events, .malformed: break
        }
        return request
    }

    private func makePlain(_ request: ModelRequest, _ random: inout SeededGenerator) {
        request.method = random.pick(["GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "PURGE"])
        if request.method == "POST" || request.method == "PUT" {
            giveBody(request, &random, most: profile.movesMuch ? 400_000 : 3_000)
        }
        request.isHTTP10 = random.chance(5) && !request.isChunked && !request.expectsContinue
        request.script.status = random.pick([200, 200, 200, 404, 500, 204, 304])
        request.script.framing = random.pick([.length, .length, .chunked, .untilClose])
        request.script.bodyBytes =
            random.chance(15) ? 0 : random.below(profile.movesMuch ? 400_000 : random.pick([300, 5_000]))
        if request.script.status == 204 || request.script.status == 304 { request.script.framing = .none }
        request.script.interimResponses = random.chance(10) ? 1 + random.below(3) : 0
        request.script.isEarly = request.bodyBytes > 0 && random.chance(15)
        request.script.closesAfterwards = random.chance(10)
        if profile.upstreamsMisbehave, random.chance(30) {
            request.script.fault = random.pick(UpstreamScript.Fault.allCases)
        } else if random.chance(8), request.script.framing == .length || request.script.framing == .none {
            request.script.hasTail = true
            // Also longer than what is read at once.
            if request.script.framing == .length {
                request.script.bodyBytes = random.below(random.pick([300, 30_000]))
            }
        }
    }

    private func giveBody(_ request: ModelRequest, _ random: inout SeededGenerator, most: Int) {
        if request.kind == .reserved { request.method = "POST" }
        request.bodyBytes = random.chance(15) ? 0 : random.below(most)
        request.isChunked = random.chance(40)
        request.expectsContinue = random.chance(15) && (request.isChunked || request.bodyBytes > 0)
    }

    private func endsConnection(_ request: ModelRequest) -> Bool {
        switch request.kind {
        case .tunnel, .malformed: true
        case .events, .reserved: profile.upstreamsMisbehave || profile.revokes || profile.controlMisbehaves
        case .plain:
            request.isHTTP10 || request.script.isEarly || request.script.fault != nil || request.bodyBytes > 0
                || request.isChunked || profile.revokes || profile.upstreamsCloseIdle
                || profile.controlMisbehaves
                || profile.kernelFails
        }
    }
}
