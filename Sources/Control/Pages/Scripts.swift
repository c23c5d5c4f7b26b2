/// The scripts of the pages, sent inline under the page's nonce.
enum Scripts {
    /// Asks whether the way is open; the gateway holds each question until something changes (at most some seconds).
    static let watchUntilOpen = """
        (async () => {
          const status = document.getElementById('status');
          const calm = 'This page continues by itself as soon as the check passes.';
          for (;;) {
            const began = Date.now();
            try {
              const answer = await fetch('/.gatepost/events?path=' + encodeURIComponent(location.pathname)
                + '&reason=' + encodeURIComponent(status.dataset.reason),
                {cache: 'no-store', credentials: 'same-origin'});
              const body = await answer.json();
              if (body.state === 'open' || answer.status === 401) { location.reload(); return; }
              status.textContent = calm;
            } catch (e) { status.textContent = 'The gateway does not answer; trying again…'; }
            const rest = 1000 - (Date.now() - began);
            if (rest > 0) await new Promise(done => setTimeout(done, rest));
          }
        })();
        """

    /// The order of browsers: the permission's state tells "agent not running" from "permission missing", because
    /// both fail alike and equally fast (Chromium, Firefox); an engine that knows no such permission blocks
    /// loopback as mixed content (WebKit).
    static let deviceCheck = """
        (() => {
          const root = document.getElementById('check'), tx = root.dataset.tx;
          const status = document.getElementById('status'), remedy = document.getElementById('remedy');
          const title = document.getElementById('title'), spinner = document.getElementById('spinner');
          const again = document.getElementById('again'), links = document.getElementById('links');
          const texts = {
            'agent-not-running': 'The Gatepost agent did not answer. Start it on this device, then try again.',
            'permission-denied': 'This browser was told not to reach apps on this device. Open the site settings ' +
              'beside the address bar, allow “Apps on this device”, then try again.',
            'browser-unsupported': 'This browser cannot reach the agent. Use Chrome, Edge or Firefox.'
          };
          const permission = async () => {
            try { return (await navigator.permissions.query({name: 'loopback-network'})).state; }
            catch (e) { return 'unknown'; }
          };
          const post = async (path, body) => {
            const answer = await fetch(path, {method: 'POST', cache: 'no-store', credentials: 'same-origin',
              headers: {'content-type': 'application/json', 'x-gatepost-request': '1'}, body: JSON.stringify(body)});
            return answer.json();
          };
          const leave = document.getElementById('leave');
          const back = () => { if (root.dataset.back) location.replace(root.dataset.back + location.hash); };
          if (root.dataset.back) setTimeout(back, 3000);
          const fail = (reason, text, happened) => {
            if (root.dataset.back) return back();
            title.textContent = 'This device could not be checked';
            spinner.hidden = true; status.textContent = happened || 'The device check did not succeed.';
            remedy.textContent = text || texts[reason] || 'Try again.';
            document.getElementById('word').textContent = reason || '';
            document.getElementById('reason').hidden = !reason;
            remedy.dataset.reason = reason; remedy.hidden = false; links.hidden = false; again.hidden = false;
            leave.hidden = false;
            again.focus();
          };
          const attest = async (url, challenge, wait) => {
            const control = new AbortController(), timer = setTimeout(() => control.abort(), wait);
            try {
              const answer = await fetch(url, {method: 'POST', mode: 'cors', credentials: 'omit',
                cache: 'no-store', signal: control.signal, headers: {'content-type': 'application/json'},
                body: JSON.stringify({challenge})});
              return await answer.json();
            } finally { clearTimeout(timer); }
          };
          const run = async (retried) => {
            title.textContent = 'Checking this device';
            spinner.hidden = false; remedy.hidden = true; links.hidden = true; again.hidden = true;
            leave.hidden = true;
            document.getElementById('reason').hidden = true;
            status.textContent = 'Asking the agent on this device…';
            const offer = await post('/.gatepost/posture/challenge', {tx});
            if (!offer.challenge) {
              if (offer.next) { location.replace(offer.next + location.hash); return; }
              return fail(offer.reason, offer.remedy, offer.happened);
            }
            const before = await permission();
            const hint = setTimeout(() => {
              status.textContent = 'Your browser asks whether this page may reach apps on this device: choose Allow.';
            }, 400);
            let answer = null;
            for (const url of offer.agent.urls) {
              try { answer = await attest(url, offer.challenge, before === 'prompt' ? 60000 : offer.agent.timeout_ms); }
              catch (e) { continue; }
              if (answer && answer.error === 'wrong-user') continue;
              break;
            }
            clearTimeout(hint);
            if (!answer) {
              const after = await permission();
              return fail(after === 'denied' ? 'permission-denied'
                : after === 'unknown' ? 'browser-unsupported' : 'agent-not-running');
            }
            if (answer.error === 'challenge-expired' && !retried) return run(true);
            if (!answer.assertion) return fail(answer.error);
            status.textContent = 'Checking the answer…';
            const verdict = await post('/.gatepost/posture/assert', {tx, assertion: answer.assertion});
            if (verdict.next) { status.textContent = 'Done.'; location.replace(verdict.next + location.hash); return; }
            fail(verdict.reason, verdict.remedy, verdict.happened);
          };
          const start = () => run(false).catch(() => fail('control-plane-unavailable',
            'The gateway did not answer. Try again in a moment.'));
          again.addEventListener('click', start);
          start();
        })();
        """
}
