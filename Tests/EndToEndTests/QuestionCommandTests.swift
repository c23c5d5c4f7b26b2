import Foundation
import Testing

extension EndToEnd {
    @Suite("Commands that ask about verdicts, integrations and policies, as an administrator runs them")
    struct QuestionCommandTests {
        private func run(_ stack: Stack, _ arguments: [String]) throws -> ProgramRun {
            try ProgramRun(stack, arguments + ["--config", stack.folder.path])
        }

        private func object(_ run: ProgramRun) throws -> [String: Any] {
            #expect(run.status == 0, "\(run.errors)")
            return try #require(
                try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [String: Any],
                "\(run.output)")
        }

        @Test("verdicts --device: who says what, with both ages; an unknown device ends with 1")
        func verdicts() throws {
            let stack = try Stack.current()
            let device = try stack.deviceID(state: "agent")
            let text = try run(stack, ["verdicts", "--device", device])
            #expect(text.status == 0 && text.errors == "", "\(text.errors)")
            #expect(text.output.contains("intune") && text.output.contains(" ago "), "\(text.output)")
            let all = try object(try run(stack, ["verdicts", "--device", device, "--json"]))
            let verdicts = try #require(all["verdicts"] as? [[String: Any]])
            #expect(verdicts.contains { $0["integration"] as? String == "intune" })
            let unknown = try run(stack, ["verdicts", "--device", "no-such-device"])
            #expect(unknown.status == 1 && unknown.output == "")
            #expect(unknown.errors.contains("no-such-device"), "\(unknown.errors)")
            #expect(try run(stack, ["verdicts"]).status == 64, "without a device there is no question")
        }

        @Test("integrations: state, ages and how soon a change is noticed, in words and as JSON")
        func integrations() throws {
            let stack = try Stack.current()
            let text = try run(stack, ["integrations"])
            #expect(text.status == 0 && text.errors == "", "\(text.errors)")
            let header = try #require(text.output.split(separator: "\n").first)
            for name in ["integration", "state", "last error", "throttled for", "notices within"] {
                #expect(header.contains(name), "\(header)")
            }
            let all = try object(try run(stack, ["integrations", "--json"]))
            let list = try #require(all["integrations"] as? [[String: Any]])
            let intune = try #require(list.first { $0["integration"] as? String == "intune" })
            #expect(intune["state"] as? String == "configured")
            #expect((intune["notices_within"] as? Int ?? 0) > 0)
            let wrong = try run(stack, ["integrations", "reconnect", "no-such-integration"])
            #expect(wrong.status == 1 && wrong.errors.contains("no-such-integration"), "\(wrong.errors)")
        }

        @Test("held: nothing is held in peace; releasing what is not held ends with 1")
        func held() throws {
            let stack = try Stack.current()
            let text = try run(stack, ["held"])
            #expect(text.status == 0 && text.errors == "" && !text.output.isEmpty, "\(text.errors)")
            let all = try object(try run(stack, ["held", "--json"]))
            #expect((all["changes"] as? [Any])?.isEmpty == true, "\(all)")
            let wrong = try run(stack, ["held", "release", "--cause", "no-such-cause"])
            #expect(wrong.status == 1 && wrong.errors.contains("no-such-cause"), "\(wrong.errors)")
        }

        @Test(
            "a gateway that does not answer is told from one that refuses: status 2, and where it was looked for"
        )
        func nobody() throws {
            let stack = try Stack.current()
            for arguments in [["integrations"], ["held"], ["verdicts", "--device", "d"]] {
                let run = try ProgramRun(stack, arguments + ["--socket", stack.path("no.sock")])
                #expect(run.status == 2 && run.output == "", "\(arguments)")
                #expect(run.errors.contains("no.sock"), "\(run.errors)")
            }
        }

        @Test("analyze reach, unreachable and equal answer without a gateway, each with its status")
        func analyze() throws {
            let small = try SmallConfiguration(Stack.current())
            let block = "{ name: guests, action: block, include: [ { email-domain: guests.example } ] }"
            let everybody = SmallConfiguration.allow.replacing("staff", with: "anybody")
            let staff = "{ name: staff, action: allow, include: [ { email-domain: corp.example } ] }"
            try small.write("one.yaml", small.gateway + SmallConfiguration.application([staff, block]))
            try small.write("other.yaml", small.gateway + SmallConfiguration.application([block, staff]))
            try small.write(
                "open.yaml",
                small.gateway + SmallConfiguration.application([everybody, staff]))
            let stack = small.stack
            func analyze(_ arguments: [String]) throws -> ProgramRun {
                try ProgramRun(stack, ["analyze"] + arguments)
            }
            let reach = try object(
                try analyze(
                    ["reach", "--platform", "macos", "--json", "--config", small.path("one.yaml")]))
            let first = try #require((reach["applications"] as? [[String: Any]])?.first)
            #expect(first["application"] as? String == "wiki" && first["everybody"] as? Bool == false)
            let policies = try #require(first["policies"] as? [[String: Any]])
            #expect(policies.map { $0["name"] as? String } == ["staff"])
            #expect(
                try analyze(["reach", "--platform", "amiga", "--config", small.path("one.yaml")]).status == 64
            )
            let dead = try analyze(["unreachable", "--config", small.path("open.yaml")])
            #expect(dead.status == 0 && dead.output.contains("staff"), "\(dead.output)\(dead.errors)")
            let same = try analyze(["equal", small.path("one.yaml"), small.path("other.yaml")])
            #expect(same.status == 0, "\(same.output)\(same.errors)")
            let other = try analyze(["equal", small.path("one.yaml"), small.path("open.yaml")])
            #expect(other.status == 1 && other.output.contains("wiki"), "\(other.output)\(other.errors)")
            let missing = try analyze(["equal", small.path("one.yaml"), small.path("none.yaml")])
            #expect(missing.status == 1 && missing.output == "" && missing.errors.contains("none.yaml"))
        }

        @Test("replay --policy: the log is decided again, and who would newly be blocked is named")
        func replay() throws {
            let stack = try Stack.current()
            _ = try Client.signedIn(stack, application: "people")
            let small = try SmallConfiguration(stack)
            // Of the log's applications it has none but this, where nobody gets in.
            let block = "{ name: nobody, action: block, include: [ { everyone: true } ] }"
            try small.write(
                "none.yaml",
                (small.gateway + SmallConfiguration.application([block]))
                    .replacing("wiki", with: "people").replacing("corp:", with: "hr-staff:")
                    .replacing("[ corp ]", with: "[ hr-staff ]"))
            // Older files are of gateways that other tests killed in the middle of a line.
            let log = stack.folder.appending(path: "state/decisions")
            let newest = try #require(
                try FileManager.default.contentsOfDirectory(atPath: log.path)
                    .filter { $0.hasSuffix(".jsonl") }.max())
            let question = ["replay", log.appending(path: newest).path, "--policy"]
            let result = try poll("a decision about people in the log") { () -> [String: Any]? in
                let all = try object(try run(stack, question + [small.path("none.yaml"), "--json"]))
                return (all["changes"] as? [[String: Any]])?.isEmpty == false ? all : nil
            }
            #expect(result["equal"] as? Bool == true && (result["decisions"] as? Int ?? 0) > 0)
            #expect(result["candidate"] as? String != nil)
            let text = try run(stack, question + [small.path("none.yaml")])
            #expect(text.status == 0, "\(text.errors)")
            for word in ["newly blocked by the candidate:", "people", "alice@corp.example"] {
                #expect(text.output.contains(word), "\(word): \(text.output)")
            }
            let missing = try run(stack, question + [small.path("no-such.yaml")])
            #expect(missing.status == 1 && missing.output == "" && missing.errors.contains("no-such.yaml"))
            try small.write("broken.yaml", small.gateway.replacing("corp:", with: "Corp Staff:"))
            let broken = try run(stack, question + [small.path("broken.yaml")])
            #expect(broken.status == 1 && broken.output == "" && broken.errors.contains("broken.yaml:"))
            let nothing = try run(stack, ["replay", small.path("no-such-folder")])
            #expect(nothing.status == 1 && nothing.errors.contains("no-such-folder"), "\(nothing.errors)")
        }
    }
}
