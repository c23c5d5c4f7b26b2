/// The look of the lab's pages: calm, light and dark, readable without a pointer.

enum Style {
    static func escape(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            default: result.append(character)
            }
        }
        return result
    }

    /// A whole page. `nonce` marks the style for the page's content security policy.
    static func page(title: String, nonce: String? = nil, body: String) -> String {
        let mark = nonce.map { " nonce=\"\($0)\"" } ?? ""
        return """
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <title>\(escape(title))</title>
            <style\(mark)>\(css)</style>
            </head>
            <body>
            <main>
            \(body)
            </main>
            </body>
            </html>

            """
    }

    private static let css = """

        :root { --ground: #f4f5f2; --card: #ffffff; --ink: #1d2521; --soft: #5a6660; --line: #d6dbd7;
          --edge: #7b8881;
          --accent: #1f6f54; --accent-ink: #ffffff; --bad: #9b2c1f; --bad-ground: #fbeceb; }
        @media (prefers-color-scheme: dark) { :root { --ground: #141816; --card: #1d2320; --ink: #e8ece9;
          --soft: #9faaa4; --line: #36403b; --edge: #71807a;
          --accent: #7fd1b0; --accent-ink: #10201a; --bad: #ffb4a8;
          --bad-ground: #3a1f1b; } }
        * { box-sizing: border-box; }
        body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 2rem 1rem;
          background: var(--ground); color: var(--ink);
          font: 1rem/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
        main { width: 100%; max-width: 26rem; background: var(--card); border: 1px solid var(--line);
          border-radius: 14px; padding: 2rem; }
        main:has(table) { max-width: 52rem; }
        h1 { margin: 0 0 .35rem; font-size: 1.5rem; line-height: 1.25; font-weight: 650;
          letter-spacing: -.01em; }
        h2 { margin: 1.75rem 0 .5rem; font-size: 1rem; font-weight: 650; }
        p { margin: 0 0 1rem; } .soft { color: var(--soft); }
        label { display: block; margin: 1rem 0 .3rem; font-weight: 550; }
        input { width: 100%; padding: .65rem .8rem; font: inherit; color: inherit; background: var(--ground);
          border: 1px solid var(--edge); border-radius: 9px; }
        button { width: 100%; margin-top: 1.5rem; padding: .75rem; font: inherit; font-weight: 600;
          cursor: pointer;
          color: var(--accent-ink); background: var(--accent); border: 0; border-radius: 9px; }
        :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
        .problem { padding: .7rem .85rem; color: var(--bad); background: var(--bad-ground);
          border-radius: 9px; }
        .foot { margin: 1.5rem 0 0; padding-top: 1rem; border-top: 1px solid var(--line);
          font-size: .875rem; }
        table { width: 100%; border-collapse: collapse; font-size: .9rem; table-layout: fixed; }
        th, td { padding: .45rem .6rem .45rem 0; text-align: left; vertical-align: top;
          border-top: 1px solid var(--line); overflow-wrap: anywhere; }
        th { width: 14rem; font-weight: 500; color: var(--soft); }
        code, td { font-family: ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace;
          font-size: .85rem; }
        a { color: var(--accent); }
        @media (max-width: 36rem) { main { padding: 1.25rem; } th { width: 8.5rem; } }

        """
}
