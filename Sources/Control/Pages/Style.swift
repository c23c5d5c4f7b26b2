/// The one style sheet of all pages.
enum Style {
    static let sheet = """
        :root{--paper:#f6f7f5;--card:#fff;--ink:#1c2420;--soft:#5a665f;--line:#dfe4e0;--accent:#1f6f54;\
        --accent-ink:#fff;--warn:#8a4b08;--warn-paper:#fdf4e7;--shadow:0 1px 2px #0001,0 8px 24px #0000000d}
        @media (prefers-color-scheme:dark){:root{--paper:#121614;--card:#1a201d;--ink:#e7ece9;--soft:#9aa8a0;\
        --line:#2d3631;--accent:#6cc7a3;--accent-ink:#0d1411;--warn:#f0b76b;--warn-paper:#2a2115;--shadow:none}}
        *{box-sizing:border-box}
        body{margin:0;min-height:100vh;display:grid;place-items:center;padding:24px;background:var(--paper);\
        color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,Ubuntu,sans-serif}
        main{width:100%;max-width:30rem;background:var(--card);border:1px solid var(--line);border-radius:14px;\
        padding:32px;box-shadow:var(--shadow)}
        .mark{width:32px;height:32px;stroke:var(--accent);stroke-linecap:round;fill:none;display:block;\
        margin-bottom:20px}
        h1{font-size:1.35rem;line-height:1.3;margin:0 0 8px;font-weight:620;letter-spacing:-.01em}
        p{margin:0 0 12px}.soft{color:var(--soft)}
        ul.checks{list-style:none;margin:20px 0;padding:0;border-top:1px solid var(--line)}
        ul.checks li{padding:14px 0;border-bottom:1px solid var(--line)}
        ul.checks p{margin:0 0 4px}ul.checks .soft{font-size:.85rem}
        .remedy{background:var(--warn-paper);color:var(--warn);border-radius:10px;padding:12px 14px;margin:16px 0}
        a{color:var(--accent);overflow-wrap:anywhere}blockquote{overflow-wrap:anywhere}
        .button,button{display:block;width:100%;text-align:center;font:inherit;font-weight:600;text-decoration:none;\
        border:1px solid var(--accent);background:var(--accent);color:var(--accent-ink);border-radius:10px;\
        padding:11px 16px;margin:10px 0 0;cursor:pointer}
        .button.quiet,button.quiet{background:transparent;color:var(--ink);border-color:var(--line)}
        .choice{display:flex;gap:12px;align-items:center;text-align:start;overflow-wrap:anywhere}\
        .choice b{flex:none;width:2rem;height:2rem;line-height:2rem;border-radius:50%;text-align:center;\
        background:var(--line);color:var(--ink);font-size:.95rem}.choice span{min-width:0;font-weight:600}\
        .choice small{display:block;font-weight:400;font-size:.82rem}
        h2{font-size:.95rem;margin:24px 0 8px;font-weight:600}label{display:block;font-weight:600;margin:0 0 6px}
        input{width:100%;font:inherit;color:var(--ink);background:var(--paper);border:1px solid var(--soft);\
        border-radius:10px;padding:10px 12px}
        form button+p{margin:10px 0 0}ul.steps{margin:0 0 16px;padding-left:1.2rem}ul.steps li{margin:0 0 6px}
        .button:hover,button:hover{filter:brightness(1.06)}
        :focus-visible{outline:3px solid var(--accent);outline-offset:2px}
        .status{display:flex;gap:12px;align-items:center;color:var(--soft);margin:20px 0 0}
        h1:focus{outline:none}details{margin:20px 0 0;font-size:.9rem}summary{color:var(--soft);cursor:pointer;\
        padding:4px 0}details p{margin:6px 0 0}
        .question{border:1px solid var(--line);border-radius:12px;padding:12px 14px;margin:16px 0;font-size:.9rem;\
        background:var(--paper)}.question p{margin:0}.question .answers{display:flex;gap:8px;margin:10px 0 0;\
        justify-content:flex-end}.answers span,.answers b{border:1px solid var(--line);border-radius:99px;\
        padding:2px 14px;color:var(--soft);font-weight:500}\
        .answers b{border-color:var(--accent);color:var(--accent);font-weight:650;box-shadow:0 0 0 3px var(--line)}
        .spinner{flex:none;width:18px;height:18px;border-radius:50%;border:2px solid var(--line);\
        border-top-color:var(--accent);animation:turn 1s linear infinite}
        @keyframes turn{to{transform:rotate(1turn)}}
        @media (prefers-reduced-motion:reduce){.spinner{animation:none}}
        @media (max-width:26rem){body{padding:12px}main{padding:22px}}
        footer{margin-top:24px;padding-top:14px;border-top:1px solid var(--line);font-size:.82rem;\
        color:var(--soft);overflow-wrap:anywhere}
        code{font:.9em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
        [hidden]{display:none}
        """
}
