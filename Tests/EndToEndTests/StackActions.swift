import Foundation

/// What tests do to the surroundings, and read from them.
extension Stack {
    /// Changes what Intune says of the device.
    func setDevice(_ state: String) throws {
        try run("gatepost-lab", ["device", "--folder", folder.path, "--set", state])
    }

    /// Switches wilful misbehaviour on; "none" switches all of it off.
    func fault(_ site: String, _ name: String, _ options: [String] = []) throws {
        try run("gatepost-lab", ["fault", site, name, "--folder", folder.path] + options)
    }

    /// Talks to a control path of the lab: posts a body, or reads without one.
    @discardableResult
    func lab(_ site: LabChange.Site, _ path: String, _ body: String? = nil) throws -> String {
        let port = site == .graph ? Self.graphPort : Self.vendorsPort
        let sent = body.map { ["--data-binary", $0] } ?? []
        return try run(
            "/usr/bin/curl",
            ["-sS", "--fail-with-body", "--max-time", "\(Int(patienceSeconds))"] + sent + [
                "http://127.0.0.1:\(port)\(path)"
            ])
    }

    /// A file of what an agent keeps of this gateway in its state folder.
    func agentFile(_ state: String, _ name: String) -> URL {
        folder.appending(path: "\(state)/gateways/\(PrivateNetwork.authHost)/\(name)")
    }

    /// The id that an enrolment in this folder got.
    func deviceID(state: String) throws -> String {
        let data = try Data(contentsOf: agentFile(state, "enrolment.json"))
        let object = try JSONSerialization.jsonObject(with: data) as? [String: Any]
        guard let id = object?["device_id"] as? String else {
            throw Failure(description: "the enrolment in \(state) names no device")
        }
        return id
    }

    /// What the lab wrote down about itself.
    func labValue(_ name: String) throws -> String {
        let data = try Data(contentsOf: folder.appending(path: "lab.json"))
        guard let value = (try JSONSerialization.jsonObject(with: data) as? [String: Any])?[name] as? String
        else {
            throw Failure(description: "lab.json has no \(name)")
        }
        return value
    }

    /// Waits until the gateway's own explanation for Alice at the wiki begins so.
    ///
    /// - Parameter device: one of hers; nil: the one of her newest session.
    /// - Returns: when the last question was asked that was still answered otherwise, in seconds since 1970.
    ///   The gateway cannot have known before that, so what is measured from it is never too little.
    @discardableResult
    func waitForDecision(_ outcome: String, device: String? = nil) throws -> Double {
        var asked = Date()
        let device = device.map { ["--device", $0] } ?? []
        try poll("the gateway to decide \(outcome)", every: 0.005) {
            let now = Date()
            let answer = try gatepost(
                ["explain", "--user", "alice@corp.example", "--application", "wiki", "--json"] + device)
            // Warnings about the configuration may stand before it.
            let json = answer.split(separator: "\n").last { $0.hasPrefix("{") } ?? ""
            let object = try? JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]
            if (object?["outcome"] as? String)?.hasPrefix(outcome) == true { return true }
            asked = now
            return nil
        }
        return asked.timeIntervalSince1970
    }

    func killGateway() { try? child("gateway").stop(with: SIGKILL) }

    /// The gateway's access log, line by line.
    func accessLog() throws -> [[String: Any]] {
        try child("gateway").output.split(separator: "\n").compactMap {
            try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
        }
    }

    /// Whether a request for this path was forwarded.
    func hasReachedUpstream(_ path: String) throws -> Bool {
        try accessLog().contains { $0["path"] as? String == path && $0["upstream_us"] != nil }
    }

    /// Canaille once more, as after an update: it remembers nobody, and no connection of before is alive.
    ///
    /// - Parameter hasNewKey: signs with another key, and no longer publishes the one before.
    func restartProvider(hasNewKey: Bool = false, keepAliveSeconds: Int = 600) throws {
        try child("canaille").stop()
        if hasNewKey { try Provider.writeFiles(of: self) }
        try? FileManager.default.removeItem(atPath: path("canaille.sqlite"))
        try startProvider(keepAliveSeconds: keepAliveSeconds)
    }

    /// Waits until Canaille has said goodbye on an idle connection of the gateway, which has not looked yet.
    func waitForIdleProviderConnection() throws {
        try poll("Canaille to end an idle connection") {
            let rows = try run("/bin/ss", ["-Htnp", "dst", PrivateNetwork.providerAddress]).split(
                separator: "\n")
            return rows.contains { row in
                guard row.contains("((\"gatepost") else { return false }
                let columns = row.split(separator: " ")
                // Its close_notify has arrived and nobody has read it.
                return columns.count > 1 && columns[0] == "ESTAB" && columns[1] != "0"
            }.whenTrue
        }
    }

    /// How often the Graph emulator was asked until now.
    func graphRequests() -> Int {
        let lines = (try? child("lab"))?.output.split(separator: "\n") ?? []
        return lines.count { $0.contains("\"site\":\"graph\"") && !$0.contains("/lab/") }
    }

    /// Pictures for the documents: taken only when GATEPOST_PICTURES names a folder.
    func photograph(_ browser: Chromium, _ name: String) throws {
        guard let folder = ProcessInfo.processInfo.environment["GATEPOST_PICTURES"] else { return }
        try browser.photograph("\(folder)/\(name).png")
        try browser.photograph("\(folder)/\(name)-dark.png", dark: true)
    }
}

extension Stack {
    /// The same on a screen of 320 pixels (WCAG 2.2, 1.4.10).
    func photographNarrow(_ browser: Chromium, _ name: String) throws {
        try browser.setWidth(320)
        defer { try? browser.setWidth(1280) }
        try photograph(browser, name)
    }
}

extension Client {
    /// Somebody who signed in at the lab's provider and has reached the application.
    static func signedIn(_ stack: Stack, application: String, user: String = "alice") throws -> Client {
        let client = Client(stack)
        let end = try client.follow(try client.answerForm(of: application, user: user))
        guard end.answer.status == 200, try client.fetch("https://\(application).corp.test/").status == 200
        else {
            throw Failure(
                description: "\(user) did not reach \(application): \(end.answer.status) by \(end.visited)")
        }
        return client
    }
}
