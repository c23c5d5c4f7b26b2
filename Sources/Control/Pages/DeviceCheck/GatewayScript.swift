extension Scripts {
    /// The gateway: challenges, answers and what the page tells of itself.
    static let deviceCheckGateway = #"""
        const post = async (path, body) => {
          const control = new AbortController(), timer = setTimeout(() => control.abort(), 20000);
          try {
            const answer = await fetch(path, {method: 'POST', cache: 'no-store', credentials: 'same-origin',
              signal: control.signal, headers: {'content-type': 'application/json', 'x-gatepost-request': '1'},
              body: JSON.stringify(body)});
            return await answer.json();
          } finally { clearTimeout(timer); }
        };

        // The challenge that the next way uses. A gateway that refuses one says why: that is thrown as it came.
        let offer = null, offeredAt = 0;
        const isFresh = () => offer !== null && Date.now() - offeredAt < offer.renew_in_seconds * 1000;
        // `more`: what the way is, where that matters to the gateway.
        const renew = async (more = {}) => {
          const answer = await post('/.gatepost/posture/challenge', {tx, ...more});
          if (!answer.challenge) throw answer;
          offer = answer; offeredAt = Date.now();
          return offer;
        };

        // While a person reads or a browser asks, the challenge stays young; after some minutes it is enough.
        const renewalsMax = 12;
        let renewing = 0, renewer = 0;
        const stopRenewing = () => { clearTimeout(renewing); renewer += 1; };
        const keepFresh = (renewals = 0) => {
          stopRenewing();
          const mine = renewer;
          renewing = setTimeout(async () => {
            if (renewals >= renewalsMax) { showState('challenge-expired'); return; }
            try { await renew(); } catch (e) { offeredAt = 0; }
            // Something else may have begun, or all be over, while the gateway thought.
            if (mine === renewer) keepFresh(renewals + 1);
          }, 45000);
        };

        // Told once each, for the gateway's log. Whether it arrives changes nothing here.
        const told = new Set();
        const tell = state => {
          if (isGone || told.has(state)) return;
          told.add(state);
          post('/.gatepost/posture/report', {tx, reason: state}).catch(() => {});
        };
        """#
}
