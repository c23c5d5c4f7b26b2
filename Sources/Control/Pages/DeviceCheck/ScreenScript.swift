extension Scripts {
    /// What the person sees. Two kinds of screens: something is going on, or a state with its words and ways on.
    static let deviceCheckScreen = #"""
        const part = id => document.getElementById(id);
        const root = part('check'), {tx, application, home} = root.dataset;
        let {back} = root.dataset;
        const states = JSON.parse(root.dataset.states), agentWords = JSON.parse(root.dataset.agentWords);
        const say = text => { part('status').textContent = text; };
        const show = (id, isShown) => { part(id).hidden = !isShown; };
        const entitle = text => { part('title').textContent = text; document.title = text; };

        const showWork = text => {
          root.dataset.state = '';
          entitle('Checking this device');
          show('spinner', true); say(text);
          for (const id of ['question', 'remedy', 'links', 'actions', 'reason']) show(id, false);
        };

        // The browser asks; the check goes on by itself as soon as the person has answered.
        const showQuestion = () => {
          showState('permission-prompt-pending');
          if (back) return;
          keepFresh();
          show('spinner', true); show('question', true); show('links', false); show('actions', false);
        };

        // A check ahead of time: nobody waits for it, and nobody should have to read why it came to nothing.
        const backAfter = 3000;
        let isGone = false;
        const goBack = () => {
          if (isGone) return;
          isGone = true; stopRenewing();
          location.replace(back + location.hash);
        };

        // `ways`: other ways that may still work. `words`: the gateway's own, where it has said something.
        const showState = (state, ways = [], words = {}) => {
          if (back) return goBack();
          const known = states[state] || {title: root.dataset.otherTitle, happened: '', remedy: 'Try again.'};
          root.dataset.state = state || '';
          entitle(known.title);
          show('spinner', false); say(words.happened || known.happened);
          show('question', false);
          part('remedy').textContent = words.remedy || known.remedy;
          part('remedy').dataset.reason = state || '';
          part('word').textContent = state || '';
          show('reason', Boolean(state)); show('remedy', true); show('links', true);
          show('popup', ways.includes('popup')); show('visit', ways.includes('navigation'));
          part('popup').className = '';
          part('visit').className = ways.includes('popup') ? 'quiet' : '';
          part('again').className = ways.length > 0 ? 'quiet' : '';
          show('actions', true);
          // Only a way that waits for a click needs a young challenge.
          if (ways.length > 0) keepFresh(); else stopRenewing();
          // The heading is read first, then the way leads through the remedies in their order.
          part('title').focus();
        };
        """#
}
