extension Scripts {
    /// What has to survive a reload, so that no way is a circle: kept in this tab's storage of the auth host.
    static let deviceCheckMemory = #"""
        const recall = name => {
          try { return sessionStorage.getItem('gatepost-' + name); } catch (e) { return null; }
        };
        const remember = (name, value) => {
          try { sessionStorage.setItem('gatepost-' + name, value); } catch (e) { /* Storage is switched off. */ }
        };
        const forget = name => {
          try { sessionStorage.removeItem('gatepost-' + name); } catch (e) { /* As above. */ }
        };

        // Checks that began by themselves for this application within a minute.
        const runsMax = 5;
        const isCircle = () => {
          let runs = [];
          const now = Date.now(), name = 'runs:' + application;
          try { runs = JSON.parse(recall(name) || '[]').filter(time => time <= now && now - time < 60000); }
          catch (e) { /* Not ours: it counts for nothing. */ }
          if (runs.length >= runsMax) return true;
          remember(name, JSON.stringify([...runs, now]));
          return false;
        };

        // The browser goes to the agent by itself once in each device check, and then to each further port once.
        const visitsSoFar = () => {
          const [check, count] = (recall('visits') || '').split(' ');
          return check === tx ? Number(count) || 0 : 0;
        };
        const rememberVisit = count => remember('visits', tx + ' ' + count);
        """#
}
