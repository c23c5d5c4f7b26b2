import Foundation
import Testing

extension EndToEnd {
    @Suite("Attacks on the device check in three browser engines", .threeEngines)
    struct EngineAttackTests {
        /// The page's own request, with whatever session the browser has.
        private static let assert = """
            const headers = {'content-type': 'application/json', 'x-gatepost-request': '1'};
            const body = JSON.stringify({tx: arguments[0], assertion: arguments[1]});
            return fetch('/.gatepost/posture/assert', {method: 'POST', headers, body})
              .then(async answer => answer.status + ' ' + (await answer.json()).reason);
            """

        @Test(
            "004.3 two browsers relay: what one's device check asked for counts in no other, and is used up",
            arguments: Engine.allCases)
        func relay(_ engine: Engine) throws {
            let stage = try EngineStage.current()
            let attacker = try Attacker(stage.stack)
            let victim = try engine.browser(stage.stack)
            defer { victim.quit() }
            for isSignedIn in [false, true] {
                if isSignedIn {
                    try victim.open("https://people.corp.test/")
                    try victim.signInAtLab("alice")
                    try victim.waitForApplication("people")
                }
                // The address itself leads whoever opens it to an own sign-in or an own check.
                try victim.open(attacker.address)
                if isSignedIn {
                    // The own check goes on by itself, and its navigations would take the next page away.
                    try victim.waitForApplication(EngineStage.application)
                } else {
                    try victim.wait(for: "a sign-in") {
                        try victim.url.hasPrefix("http://127.0.0.1:\(Stack.openidPort)/")
                    }
                }
                #expect(try !victim.url.contains(attacker.transaction), "\(victim.seen())")

                let assertion = try attacker.assertion(for: try attacker.challenge())
                try victim.open("https://\(PrivateNetwork.authHost)/.gatepost/jwks.json")
                let answer = try victim.script(Self.assert, [attacker.transaction, assertion]) as? String
                #expect(answer == "403 session-mismatch", "signed in: \(isSignedIn)")
                #expect(try attacker.assert(assertion) == "403 nonce-used", "signed in: \(isSignedIn)")
            }
            #expect(try !attacker.isInside())
            #expect(try !stage.stack.hasReachedUpstream("/attacker"))
        }

        @Test(
            "a hostile page of another site gets nothing from the agent, and the agent signs nothing for it",
            arguments: Engine.allCases)
        func hostilePage(_ engine: Engine) throws {
            let stage = try EngineStage.current()
            let stack = stage.stack
            let challenge = try Attacker(stack).challenge()
            let silence = try AgentSilence(stack)
            let browser = try engine.browser(stack, permission: nil)
            defer { browser.quit() }
            let page = CallStage.page(EngineStage.hostile, "<title>Hostile</title><p id=p>Hello")
            try browser.open(page)
            // The browser itself lets it through: what follows is the agent's refusal.
            if Engine.asking.contains(engine) { try browser.answer(.granted) }

            let agent = "http://127.0.0.1:\(Stack.agentPort)"
            let fetch = """
                const type = arguments[1] === 'cors' ? 'application/json' : 'text/plain';
                return fetch(arguments[0] + '/v1/attest', {method: 'POST', mode: arguments[1],
                  headers: {'content-type': type}, body: JSON.stringify({challenge: arguments[2]})})
                  .then(answer => answer.type, error => error.name);
                """
            #expect(try browser.script(fetch, [agent, "cors", challenge]) as? String == "TypeError")
            let opaque = engine == .webkit ? "TypeError" : "opaque"
            #expect(try browser.script(fetch, [agent, "no-cors", challenge]) as? String == opaque)
            let image = """
                return new Promise(done => {
                  const image = new Image();
                  image.onload = () => done('load'); image.onerror = () => done('error');
                  image.src = arguments[0];
                });
                """
            for path in ["/v1/attest", "/v1/p.gif", "/v1/p.gif?c=x.y.z", "/favicon.ico"] {
                #expect(try browser.script(image, [agent + path]) as? String == "error", "\(path)")
            }
            let form = """
                const form = document.createElement('form');
                form.method = 'post'; form.enctype = 'text/plain'; form.action = arguments[0] + '/v1/attest';
                const field = document.createElement('input');
                field.name = '{"challenge":"' + arguments[1] + '","x":"'; field.value = '"}';
                form.append(field); document.body.append(form); form.submit();
                """
            _ = try browser.script(form, [agent, challenge])
            try browser.wait(for: "the agent's answer") { try !browser.url.hasPrefix(EngineStage.hostile) }
            #expect(try !browser.text.contains("assertion"), "\(browser.seen())")
            for path in ["/v1/attest", "/v1/nav", "/v1/nav?c=x.y.z", "/v1/popup?c=x.y.z", "/"] {
                _ = try? browser.open(agent + path)
                #expect(try !browser.text.contains("assertion"), "\(browser.seen())")
            }
            #expect(try silence.lasts())
        }

        @Test(
            "a hostile page that opens the popup with a good challenge of its own hears nothing and reads nothing",
            arguments: Engine.allCases)
        func hostileOpener(_ engine: Engine) throws {
            let stage = try EngineStage.current()
            let attacker = try Attacker(stage.stack)
            let browser = try engine.browser(stage.stack, permission: nil)
            defer { browser.quit() }
            try browser.open(
                CallStage.page(EngineStage.hostile, "<title>Hostile</title><button id=go>Go</button>"))
            let popup = "http://127.0.0.1:\(Stack.agentPort)/v1/popup?c=\(try attacker.challenge())"
            let prepare = """
                const address = arguments[0];
                window.heard = [];
                addEventListener('message', event => heard.push(event.origin));
                document.getElementById('go').onclick = () => { window.w = window.open(address); };
                """
            _ = try browser.script(prepare, [popup])
            let main = try #require(try browser.windows.first)
            try browser.click("#go")
            try browser.wait(for: "the popup") { try browser.windows.count == 2 }
            try browser.enter(window: try #require(try browser.windows.first { $0 != main }))
            // It was answered: what keeps the answer from the opener is whom the page posts it to.
            try browser.wait(for: "the answer") { try browser.text.contains("This device has answered") }
            #expect(try browser.script("return window.opener !== null") as? Bool == true)
            try browser.enter(window: main)
            let read = """
                return new Promise(done => setTimeout(() => {
                  let read = 'nothing';
                  try { read = w.document.body.innerHTML; } catch (error) { read = error.name; }
                  done(heard.length + ' ' + read);
                }, 500));
                """
            #expect(try browser.script(read) as? String == "0 SecurityError")
            #expect(try !attacker.isInside())
        }

        @Test(
            "frames, scripts and WebSockets of a hostile page get no answer to a good challenge",
            arguments: Engine.allCases)
        func embedded(_ engine: Engine) throws {
            let stage = try EngineStage.current()
            let stack = stage.stack
            let challenge = try Attacker(stack).challenge()
            let silence = try AgentSilence(stack)
            let browser = try engine.browser(stack, permission: nil)
            defer { browser.quit() }
            try browser.open(CallStage.page(EngineStage.hostile, "<title>Hostile</title><p>Hello"))
            if Engine.asking.contains(engine) { try browser.answer(.granted) }
            let agent = "127.0.0.1:\(Stack.agentPort)"
            let element = """
                return new Promise(done => {
                  const element = document.createElement(arguments[0]);
                  element.onload = () => done('load'); element.onerror = () => done('error');
                  setTimeout(() => done('nothing'), 3000);
                  element[arguments[0] === 'object' ? 'data' : 'src'] = arguments[1];
                  document.body.append(element);
                });
                """
            for path in ["/v1/nav", "/v1/popup", "/v1/p.gif", "/v1/attest"] {
                let address = "http://\(agent)\(path)?c=\(challenge)"
                let script = try browser.script(element, ["script", address]) as? String
                #expect(script == "error", "\(path)")
                for kind in ["iframe", "object", "embed"] {
                    _ = try browser.script(element, [kind, address])
                }
                let frames = """
                    let text = '';
                    for (let i = 0; i < window.length; i++) {
                      try { text += window[i].document.body.innerText; } catch { text += ''; }
                    }
                    return text;
                    """
                #expect(try browser.script(frames) as? String == "", "\(path)")
            }
            let socket = """
                return new Promise(done => {
                  try {
                    const socket = new WebSocket(arguments[0]);
                    socket.onopen = () => done('open'); socket.onerror = () => done('error');
                  } catch (error) { done(error.name); }
                  setTimeout(() => done('nothing'), 3000);
                });
                """
            for path in ["/v1/attest", "/v1/nav?c=\(challenge)"] {
                let said = try browser.script(socket, ["ws://\(agent)\(path)"]) as? String
                #expect(said == "error" || said == "SecurityError", "\(said ?? "")")
            }
            #expect(try browser.url.hasPrefix(EngineStage.hostile), "no frame leads the page away")
            #expect(try silence.lasts())
        }

        @Test(
            "a hostile page that opens the device check holds no window of it (COOP)",
            arguments: Engine.allCases)
        func opener(_ engine: Engine) throws {
            let stage = try EngineStage.current()
            let browser = try engine.browser(stage.stack)
            defer { browser.quit() }
            let open =
                "<title>Hostile</title><button id=go onclick=\"w = window.open('\(EngineStage.origin)')\">Go"
            try browser.open(CallStage.page(EngineStage.hostile, open))
            let main = try #require(try browser.windows.first)
            try browser.click("#go")
            try browser.wait(for: "the popup") { try browser.windows.count == 2 }
            // Without a device the way ends at the check; the sign-in before it is on another site.
            let popup = try #require(try browser.windows.first { $0 != main })
            try browser.enter(window: popup)
            try stage.stack.child("agent").stop()
            defer { try? stage.stack.startAgent() }
            try browser.signInAtLab("alice")
            try browser.wait(for: "the device check") {
                try browser.url.contains("/.gatepost/posture/start?tx=")
            }
            #expect(try browser.script("return window.opener === null") as? Bool == true)
            try browser.enter(window: main)
            #expect(try browser.script("return w === null || w.closed") as? Bool == true)
        }
    }
}
