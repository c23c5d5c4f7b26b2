extension Scripts {
    /// Asking the agent by script, and finding out why it did not work.
    static let deviceCheckAgent = #"""
        // 'unknown': an engine without this permission (WebKit), or one where it was switched off.
        const permission = async () => {
          try { return (await navigator.permissions.query({name: 'loopback-network'})).state; }
          catch (e) { return 'unknown'; }
        };

        const within = async (milliseconds, work) => {
          const control = new AbortController();
          let isLate = false;
          const timer = setTimeout(() => { isLate = true; control.abort(); }, milliseconds);
          try { return {value: await work(control.signal)}; }
          catch (e) { return {isLate}; }
          finally { clearTimeout(timer); }
        };

        const attest = (url, challenge, milliseconds) => within(milliseconds, async signal => {
          const answer = await fetch(url, {method: 'POST', mode: 'cors', credentials: 'omit', cache: 'no-store',
            signal, headers: {'content-type': 'application/json'}, body: JSON.stringify({challenge})});
          return answer.json();
        });

        // Every configured port in turn: another person's agent may be the first to listen.
        const ask = async () => {
          const before = await permission(), isAsking = before === 'prompt';
          const wait = isAsking ? offer.agent.timeout_ms : 10000;
          const hint = isAsking ? setTimeout(showQuestion, 400)
            : setTimeout(() => say('The agent takes its time…'), 3000);
          const tellLater = isAsking ? setTimeout(() => tell('permission-prompt-pending'), 5000) : 0;
          let foreign = null, isLate = false;
          try {
            for (const url of offer.agent.urls) {
              const outcome = await attest(url, offer.challenge, wait);
              if (outcome.value && outcome.value.error === 'wrong-user') { foreign = outcome.value; continue; }
              if (outcome.value) return outcome;
              isLate = isLate || outcome.isLate;
              if (isLate) break;
            }
          } finally { clearTimeout(hint); clearTimeout(tellLater); }
          return foreign ? {value: foreign} : {isLate};
        };

        const addressOf = (index, path) =>
          new URL(path, offer.agent.urls[index]).href + '?c=' + encodeURIComponent(offer.challenge);

        // Pictures pass where scripts do not (WebKit): the agent shows one point for a challenge of its own gateway.
        const seesAgent = index => new Promise(done => {
          const picture = new Image(), timer = setTimeout(() => done(false), 1500);
          const end = isSeen => { clearTimeout(timer); done(isSeen); };
          picture.onload = () => end(true); picture.onerror = () => end(false);
          picture.src = addressOf(index, '/v1/p.gif');
        });
        const firstSeen = async from => {
          for (let index = from; index < offer.agent.urls.length; index += 1) {
            if (await seesAgent(index)) return index;
          }
          return -1;
        };

        // Whether anything listens: what it says cannot be read, that it answers can.
        const hears = async () => (await Promise.all(offer.agent.urls.map((_, index) => within(1500, signal =>
          fetch(addressOf(index, '/v1/p.gif'), {mode: 'no-cors', credentials: 'omit', cache: 'no-store', signal})))))
          .some(outcome => outcome.value);

        // Why no answer came; `seen`: the agent that a picture showed.
        const diagnose = async isLate => {
          const now = await permission();
          if (now === 'denied') return {state: 'permission-denied'};
          if (now === 'prompt' && isLate) return {state: 'permission-prompt-pending'};
          if (now === 'unknown') {
            const seen = await firstSeen(0);
            return {state: seen < 0 ? 'agent-not-running' : 'browser-unsupported', seen};
          }
          return {state: await hears() ? 'not-our-agent' : 'agent-not-running'};
        };
        """#
}
