extension Scripts {
    /// The course of the check, and what starts it.
    static let deviceCheckCourse = #"""
        // A challenge that was too old for either side is worth one more try, silently.
        const tooOld = ['challenge-expired', 'nonce-expired', 'nonce-unknown', 'challenge-replayed'];
        // These need a new device check, which the application begins.
        const beginsAnew = ['session-mismatch', 'session-ended', 'challenge-expired', 'device-check-repeated'];

        const clockWords = answer => {
          if (answer.error !== 'clock-skew' || !offer || !Number.isInteger(answer.now)) return {};
          const minutes = Math.round((answer.now - offer.now) / 60);
          if (minutes === 0) return {};
          const side = minutes < 0 ? 'behind' : 'ahead';
          return {happened: `The clock of this device is about ${Math.abs(minutes)} minutes ${side}.`};
        };
        const ageWords = (state, days) => state !== 'last-seen-stale' || !(days > 0) ? {}
          : {happened: `The device was last seen by its management ${days} days ago.`};

        // - Returns: whether the check is over; otherwise it is worth one more try.
        const finish = async (answer, mayRetry = false) => {
          if (!answer.assertion) {
            if (mayRetry && tooOld.includes(answer.error)) return false;
            // Whatever answers on that port may say anything: a word that is none of an agent's shows what it is.
            const word = Object.hasOwn(agentWords, answer.error) ? agentWords[answer.error] : 'not-our-agent';
            tell(word);
            showState(word, [], clockWords(answer));
            return true;
          }
          showWork('Checking the answer…');
          const verdict = await post('/.gatepost/posture/assert',
            {tx, assertion: answer.assertion, statement: answer.statement});
          if (!verdict.next && mayRetry && tooOld.includes(verdict.reason)) return false;
          stopRenewing();
          if (verdict.next) { say('Done.'); location.replace(verdict.next + location.hash); return true; }
          if (!verdict.reason) { showRefusal(verdict); return true; }
          showState(verdict.reason, [], {...verdict, ...ageWords(verdict.reason, verdict.days)});
          return true;
        };

        // What the gateway refused, or that it did not answer at all.
        const showRefusal = refusal => {
          if (refusal && refusal.next) { location.replace(refusal.next + location.hash); return; }
          if (refusal && refusal.reason) return showState(refusal.reason, [], refusal);
          tell('control-plane-unavailable');
          showState('control-plane-unavailable');
        };

        const runOnce = async mayRetry => {
          await renew();
          if (!offer.transports.includes('fetch')) {
            const seen = await permission() === 'unknown' ? await firstSeen(0) : -1;
            await visitUnasked('click-required', seen);
            return true;
          }
          const outcome = await ask();
          if (outcome.value) {
            showWork('The agent has answered…');
            return finish(outcome.value, mayRetry);
          }
          const {state, seen} = await diagnose(outcome.isLate);
          // Where pictures are blocked as well nothing tells a silent agent from a silenced one: a click may try.
          if (seen !== undefined) { await visitUnasked(state, seen); return true; }
          tell(state);
          showState(state, state === 'permission-denied' || state === 'permission-prompt-pending' ? otherWays() : []);
          return true;
        };

        let isRunning = false;
        const run = async isUnasked => {
          if (isRunning) return;
          isRunning = true;
          try {
            if (isUnasked && isCircle()) { tell('device-check-repeated'); showState('device-check-repeated'); return; }
            showWork('Asking the agent on this device…');
            if (!await runOnce(true)) await runOnce(false);
          } catch (refusal) { showRefusal(refusal); }
          finally { isRunning = false; }
          lookLater();
        };

        // An agent that is just starting, or that fetches the keys which it missed while its machine slept, is there a
        // little later: it is looked for again while the page says what is the matter, and never where the browser
        // would ask about it.
        const mayComeLater = ['agent-not-running', 'not-our-agent'], lookAfter = 5000;
        let looksLeft = 4;
        const isThere = async () => {
          const now = await permission();
          if (now === 'unknown') return await firstSeen(0) >= 0;
          if (now !== 'granted') return false;
          const outcomes = await Promise.all(offer.agent.urls.map(url => attest(url, offer.challenge, 3000)));
          return outcomes.some(outcome => outcome.value);
        };
        const mayLook = () => !isRunning && !isGone && mayComeLater.includes(root.dataset.state);
        const lookLater = () => {
          if (looksLeft === 0 || !mayLook()) return;
          looksLeft -= 1;
          setTimeout(async () => {
            try {
              if (!mayLook() || await permission() === 'prompt') return;
              await renew();
              const isNow = await isThere();
              if (!mayLook()) return;
              if (isNow) await run(false); else lookLater();
            } catch (e) { /* The page says already that something is the matter. */ }
          }, lookAfter);
        };

        // Back from the agent with a refusal: the next port's agent may be this person's.
        const goOn = async () => {
          const {failed, days} = root.dataset, soFar = visitsSoFar();
          if (failed === 'wrong-user' && soFar > 0) {
            showWork('Asking the next agent on this device…');
            await renew();
            const seen = soFar < offer.agent.urls.length ? await firstSeen(soFar) : -1;
            if (seen >= 0) return visit(seen, true);
            port = soFar < offer.agent.urls.length ? soFar : 0;
            return showState(failed, otherWays());
          }
          // The next time it would be as long.
          if (failed === 'answer-too-large') {
            await renew();
            return showState(failed, otherWays().filter(way => way === 'popup'));
          }
          showState(failed, [], ageWords(failed, Number(days)));
        };

        // A permission that was given meanwhile: nobody should have to press a button for it. A few times is enough.
        let givenMax = 3;
        const watchPermission = async () => {
          try {
            const status = await navigator.permissions.query({name: 'loopback-network'});
            status.onchange = () => {
              const waits = ['permission-denied', 'permission-prompt-pending'].includes(root.dataset.state);
              if (status.state !== 'granted' || !waits || isRunning || givenMax === 0) return;
              givenMax -= 1; run(false);
            };
          } catch (e) { /* An engine without it. */ }
        };

        part('popup').addEventListener('click', checkInWindow);
        part('visit').addEventListener('click', () => visit(port).catch(showRefusal));
        part('again').addEventListener('click', () => {
          forget('runs:' + application); forget('visits'); port = 0;
          if (beginsAnew.includes(root.dataset.state) && home) { location.assign(home + location.hash); return; }
          run(false);
        });
        // Back from another page by the history: what stood here is old.
        window.addEventListener('pageshow', event => { if (event.persisted) location.reload(); });
        watchPermission();
        // Back from the agent with a refusal, from a check ahead of time: nobody waits for it now either.
        if (root.dataset.failed && recall('ahead') === tx) { forget('ahead'); back = home; }
        if (back) setTimeout(goBack, backAfter);
        if (root.dataset.failed) goOn().catch(showRefusal);
        else run(true);
        """#
}
