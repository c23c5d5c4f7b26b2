extension Scripts {
    /// The ways without a script's request: a small window, and going there and back.
    static let deviceCheckVisits = #"""
        let port = 0;
        const otherWays = () => offer ? offer.transports.filter(way => way !== 'fetch') : [];

        // The window opens in the click itself: an engine that blocks pop-ups lets nothing later through.
        const checkInWindow = () => {
          const isReady = isFresh();
          const opened = window.open(isReady ? addressOf(port, '/v1/popup') : '', 'gatepost-agent',
            'popup,width=460,height=340');
          if (!opened) {
            tell('popup-blocked');
            return showState('popup-blocked', otherWays());
          }
          showWork('Waiting for the small window…');
          if (isReady) return listen(opened);
          renew().then(() => { opened.location = addressOf(port, '/v1/popup'); listen(opened); },
            refusal => { opened.close(); showRefusal(refusal); });
        };

        const listen = opened => {
          let timer = 0;
          const end = () => {
            clearTimeout(timer); window.removeEventListener('message', hear);
            try { opened.close(); } catch (e) { /* It may be gone. */ }
          };
          const next = state => {
            port += 1;
            if (port < offer.agent.urls.length) {
              opened.location = addressOf(port, '/v1/popup');
              return wait();
            }
            port = 0; end(); tell(state); showState(state, otherWays());
          };
          const wait = () => {
            clearTimeout(timer);
            // Nothing answers: without this clock the window would show the browser's error for ever.
            timer = setTimeout(() => next('agent-not-running'), 6000);
          };
          const hear = event => {
            // Only that window, and only while the agent's own page is in it.
            if (event.source !== opened) return;
            if (event.origin !== new URL(offer.agent.urls[port]).origin) return;
            const answer = event.data;
            if (!answer || typeof answer !== 'object') return;
            if (answer.error === 'wrong-user') return next('wrong-user');
            end();
            finish(answer).catch(showRefusal);
          };
          window.addEventListener('message', hear);
          wait();
        };

        // Leaves this page. If nobody comes back to it the browser has shown why; a page that is still here says so.
        const visit = async (index, isUnasked = false) => {
          rememberVisit(index + 1);
          showWork('Going to the agent…');
          if (isUnasked) await renew({unasked: true});
          else if (!isFresh()) await renew();
          if (isGone) return;
          stopRenewing();
          const address = addressOf(index, '/v1/nav') + location.hash;
          // Ahead of time this page is a detour that the way back should not know.
          if (back) { remember('ahead', tx); location.replace(address); }
          else location.assign(address);
          setTimeout(() => showState('agent-not-running', otherWays()), 10000);
        };

        // Going there unasked strands a person where nobody answers: only after a picture has shown the agent, and
        // once.
        const visitUnasked = async (state, seen) => {
          const mayGo = seen >= 0 && seen >= visitsSoFar() && otherWays().includes('navigation');
          if (mayGo) return visit(seen, true);
          if (back) return goBack();
          tell(state);
          showState(state, otherWays());
        };
        """#
}
