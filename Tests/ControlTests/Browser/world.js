// A browser in miniature: what browsers.md 2, 4 and 6 say of three engines, on a clock that only this file moves.
'use strict';
const vm = require('node:vm');

const HOUR = 3600 * 1000;

class Clock {
  constructor() { this.now = 1900000000000; this.timers = []; this.count = 0; }
  set(work, milliseconds = 0) {
    this.count += 1;
    this.timers.push({id: this.count, at: this.now + Math.max(0, milliseconds), work});
    return this.count;
  }
  clear(id) { this.timers = this.timers.filter(timer => timer.id !== id); }
  // Until nothing is left to happen before `until`.
  async run(until) {
    for (let turns = 0; turns < 5000; turns += 1) {
      await new Promise(done => setImmediate(done));
      this.timers.sort((a, b) => a.at - b.at || a.id - b.id);
      const next = this.timers[0];
      if (!next || next.at > until) { this.now = Math.max(this.now, until); return; }
      this.timers.shift();
      this.now = Math.max(this.now, next.at);
      next.work();
    }
    throw new Error('it never comes to rest');
  }
}

class Element {
  constructor(id, world) {
    Object.assign(this, {id, world, textContent: '', className: '', dataset: {}, listeners: []});
    this.hidden = ['question', 'remedy', 'links', 'actions', 'popup', 'visit', 'reason'].includes(id);
  }
  addEventListener(name, work) { if (name === 'click') this.listeners.push(work); }
  focus() { this.world.focus = this.id; }
  click() { for (const work of this.listeners) work({}); }
}

class World {
  constructor(row) {
    this.row = row;
    this.clock = new Clock();
    this.elements = new Map();
    this.listeners = {message: [], pageshow: []};
    this.storage = new Map(Object.entries(row.storage || {}));
    this.permission = row.permission || 'prompt';
    this.began = this.clock.now;
    this.statuses = [];
    this.seen = {states: [], went: [], replaced: [], opened: [], closed: 0, told: [], challenges: 0, asked: 0,
      handedIn: 0, probes: 0, reloads: 0, unasked: 0};
    this.element('check').dataset = {
      tx: 'tx-1', application: 'wiki', home: 'https://wiki.corp.example/x', states: JSON.stringify(row.states),
      agentWords: JSON.stringify(row.agentWords), otherTitle: 'other', ...(row.back ? {back: row.back} : {}), ...(row.failed ? {failed: row.failed, days: row.days || ''} : {}),
    };
  }

  element(id) {
    if (!this.elements.has(id)) this.elements.set(id, new Element(id, this));
    return this.elements.get(id);
  }

  later(milliseconds, work) { return new Promise((done, fail) => this.clock.set(() => work(done, fail), milliseconds)); }

  fail(milliseconds) {
    return this.later(milliseconds, (_, fail) => fail(new TypeError('Failed to fetch')));
  }

  agent(url) {
    const port = Number(new URL(url).port);
    const index = this.ports().indexOf(port);
    const agent = index < 0 ? 'closed' : this.row.agents[index] || 'closed';
    // Of an agent that comes later: what is at its place until then.
    const before = {starting: 'closed', waking: 'squatter'}[agent];
    return before === undefined ? agent : this.clock.now - this.began < 12000 ? before : 'good';
  }
  ports() { return (this.row.agents || ['good']).map((_, index) => 17472 + index); }

  fetch(url, options = {}) {
    const isOwn = url.startsWith('/');
    const work = isOwn ? this.gateway(url, JSON.parse(options.body)) : this.loopback(url, options);
    if (!options.signal) return work;
    return Promise.race([work, new Promise((_, fail) => {
      options.signal.addEventListener('abort', () => fail(new DOMException('aborted', 'AbortError')));
    })]);
  }

  // The rules of browsers.md 2 and 6 for a script's request.
  loopback(url, options) {
    this.seen.asked += 1;
    const {engine} = this.row, agent = this.agent(url), isOpen = agent !== 'closed';
    if (engine === 'webkit') return this.fail(4);
    const isFree = this.row.isIntranet || this.row.skips || this.permission === 'granted';
    if (isFree) return isOpen ? this.answer(agent, options) : this.fail(2);
    if (this.permission === 'denied') return this.fail(3);
    if (!isOpen) return this.fail(14);
    if (this.row.isHeadless) { this.permission = 'denied'; return this.fail(9); }
    const {answer, afterMilliseconds} = this.row.person || {};
    if (!answer) return new Promise(() => {});
    return this.later(afterMilliseconds, done => { this.grant(answer); done(); })
      .then(() => answer === 'granted' ? this.answer(agent, options) : this.fail(3));
  }

  grant(state) {
    this.permission = state;
    for (const status of this.statuses) { status.state = state; if (status.onchange) status.onchange(); }
  }

  answer(agent, options) {
    if (agent === 'hang') return new Promise(() => {});
    if (options.mode === 'no-cors') return this.later(3, done => done({type: 'opaque'}));
    if (agent === 'squatter') return this.fail(5);
    const {challenge} = JSON.parse(options.body);
    return this.later(20, done => done({json: async () => this.words(agent, challenge)}));
  }

  words(agent, challenge) {
    if (agent === 'good') return {assertion: 'assertion-of-' + challenge};
    if (agent === 'old') {
      const isFirst = challenge === 'challenge-1';
      return isFirst ? {error: 'challenge-expired', now: 1} : {assertion: 'assertion-of-' + challenge};
    }
    if (agent === 'slow-clock') return {error: 'clock-skew', now: Math.floor(this.clock.now / 1000) - 360};
    return {error: agent, now: Math.floor(this.clock.now / 1000)};
  }

  gateway(path, body) {
    const answer = value => this.later(30, done => done({json: async () => value}));
    if (this.row.isGatewayDown) return this.fail(20);
    if (path.endsWith('/report')) { this.seen.told.push(body.reason); return answer({state: 'noted'}); }
    if (path.endsWith('/challenge')) {
      if (this.row.refusesChallenge) return answer({reason: this.row.refusesChallenge, happened: 'h', remedy: 'r'});
      this.seen.challenges += 1;
      if (body.unasked === true) this.seen.unasked += 1;
      return answer({
        challenge: 'challenge-' + this.seen.challenges, renew_in_seconds: 45, now: Math.floor(this.clock.now / 1000),
        agent: {urls: this.ports().map(port => `http://127.0.0.1:${port}/v1/attest`), timeout_ms: 60000},
        transports: this.row.transports || ['fetch', 'popup', 'navigation'],
      });
    }
    this.seen.handedIn += 1;
    const refusal = (this.row.refusals || [])[this.seen.handedIn - 1];
    if (refusal === 'without a word') return answer({});
    return answer(refusal ? {reason: refusal, happened: 'said by the gateway', remedy: 'do', days: 9}
      : {verdict: 'proven', next: 'https://wiki.corp.example/x'});
  }

  open(url) {
    if (this.row.blocksPopups) return null;
    const world = this, opened = {
      close() { world.seen.closed += 1; },
      set location(url) { world.show(opened, url); },
    };
    this.show(opened, url);
    return opened;
  }

  // The agent's page in the window tells its opener; a browser's error page tells nobody.
  show(opened, url) {
    this.seen.opened.push(url.split('?')[0]);
    if (!url || this.agent(url) === 'closed') return;
    const say = (source, origin, data) => { for (const hear of [...this.listeners.message]) hear({source, origin, data}); };
    const {origin} = new URL(url), data = this.words(this.agent(url), new URL(url).searchParams.get('c'));
    this.clock.set(() => {
      if (this.row.isHostile) {
        say({}, origin, {assertion: 'of another window'});
        say(opened, 'https://evil.example', {assertion: 'of another origin'});
        say(opened, origin, 'no object');
        return;
      }
      say(opened, origin, data);
    }, 40);
  }

  image() {
    const world = this;
    return {
      set src(url) {
        world.seen.probes += 1;
        const agent = world.agent(url), isHere = !['closed', 'squatter', 'gateway-not-trusted'].includes(agent);
        world.clock.set(() => world.row.engine === 'webkit' && isHere ? this.onload() : this.onerror(), 5);
      },
    };
  }

  globals() {
    const world = this, {row, clock} = this;
    const location = {
      hash: row.hash || '',
      assign(url) { world.seen.went.push(url); }, replace(url) { world.seen.replaced.push(url); },
      reload() { world.seen.reloads += 1; },
    };
    const query = async () => {
      if (row.engine === 'webkit' || row.knowsNoPermission) throw new TypeError('Type error');
      const status = {state: world.permission, onchange: null};
      world.statuses.push(status);
      return status;
    };
    const window = {
      open: url => world.open(url),
      addEventListener: (name, work) => world.listeners[name].push(work),
      removeEventListener: (name, work) => {
        world.listeners[name] = world.listeners[name].filter(other => other !== work);
      },
    };
    const storage = {
      getItem: name => row.hasNoStorage ? fail() : world.storage.get(name) ?? null,
      setItem: (name, value) => row.hasNoStorage ? fail() : void world.storage.set(name, value),
      removeItem: name => row.hasNoStorage ? fail() : void world.storage.delete(name),
    };
    const fail = () => { throw new Error('storage is switched off'); };
    class ClockDate extends Date { static now() { return clock.now; } }
    return {
      document: {getElementById: id => world.element(id), title: ''}, navigator: {permissions: {query}}, location,
      window, sessionStorage: storage, fetch: (url, options) => world.fetch(url, options),
      Image: function () { return world.image(); }, Date: ClockDate, URL, AbortController, encodeURIComponent,
      setTimeout: (work, time) => clock.set(work, time), clearTimeout: id => clock.clear(id),
      JSON, Promise, Set, Number, Boolean, Math, Object, console,
    };
  }

  async play(script) {
    vm.runInNewContext(script, this.globals());
    await this.clock.run(this.clock.now + (this.row.seconds || 90) * 1000);
    for (const step of this.row.clicks || []) {
      if (step === 'granted') this.grant('granted');
      else if (this.element(step).hidden || this.element('actions').hidden) throw new Error(step + ' cannot be seen');
      else this.element(step).click();
      await this.clock.run(this.clock.now + 90 * 1000);
    }
    const isShown = id => !this.element(id).hidden && !this.element('actions').hidden;
    return {
      name: this.row.name, state: this.element('check').dataset.state || '', title: this.element('title').textContent,
      said: this.element('status').textContent, word: this.element('word').textContent,
      ways: ['popup', 'visit'].filter(isShown), isSpinning: !this.element('spinner').hidden,
      isAsking: !this.element('question').hidden, focus: this.focus || '', ...this.seen,
      timersLeft: this.clock.timers.filter(timer => timer.at < this.clock.now + HOUR).length,
      storage: Object.fromEntries(this.storage),
    };
  }
}

module.exports = {World};
