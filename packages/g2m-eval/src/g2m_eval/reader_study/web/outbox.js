// Answers on their way to the server. Each is a localStorage entry of its own, from the moment it is given until the
// server has confirmed it: a reload, a closed page or a lost connection loses none, and tabs of one reader never
// overwrite each other's. Two tabs may send the same answer; the server knows it by its id. An answer that the server
// does not accept stays stored, marked as refused, until its image is answered again, and holds up no other.

const RETRY_MS = [1000, 2000, 4000, 8000, 15000];
const MOST = 100; // answers a request, some 110 bytes each: browsers send at most 64 KiB beyond a page's end

export class Outbox {
  // learned(answers): answers of this reader, from the server or another tab; lost(entry): the server does not accept
  // this one; changed(): what waits, or how sending fares, may have changed
  constructor(base, { learned, lost, changed }) {
    this.url = `${base}/answers`;
    this.prefix = `g2m-reader-study ${base} `;
    this.learned = learned;
    this.lost = lost;
    this.changed = changed;
    this.unstored = new Map(); // where the browser forbids localStorage, or it is full
    this.failures = 0;
    this.refused = false;
    this.most = MOST;
    addEventListener("online", () => this.send());
    addEventListener("storage", (event) => {
      if (event.key !== null && !event.key.startsWith(this.prefix)) return;
      const entry = parse(event.newValue);
      if (entry?.refused) this.lost(entry);
      else if (entry) this.learned([entry]); // the entry itself may be sent and gone already
      this.changed();
    });
  }

  add(place, answer, after) {
    const bytes = crypto.getRandomValues(new Uint8Array(16)); // randomUUID is missing outside https and localhost
    const id = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    // an answer is always later than the one it changes, whatever this device's clock says
    this.keep({ id, place, answer, given_at: Math.max(Date.now(), after + 1) });
    for (const entry of this.unaccepted()) if (entry.place === place) this.forget(entry.id);
    this.changed();
    this.send();
  }

  keep(entry) {
    try {
      localStorage.setItem(this.prefix + entry.id, JSON.stringify(entry));
    } catch {
      this.unstored.set(entry.id, entry);
    }
  }

  waiting() {
    return this.kept().filter((entry) => !entry.refused);
  }

  unaccepted() {
    return this.kept().filter((entry) => entry.refused);
  }

  kept() {
    const entries = [...this.unstored.values()];
    try {
      for (const key of Object.keys(localStorage)) {
        if (key.startsWith(this.prefix)) entries.push(parse(localStorage.getItem(key)));
      }
    } catch {
      // no localStorage: those in memory are all
    }
    return entries.filter(Boolean).sort((a, b) => a.given_at - b.given_at);
  }

  async send() {
    clearTimeout(this.timer);
    if (this.sending) return;
    const entries = this.waiting().slice(0, this.most);
    if (!entries.length) return;
    this.sending = true;
    try {
      const response = await fetch(this.url, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ answers: entries }),
        keepalive: true, // goes on when the page is closed meanwhile
        signal: AbortSignal.timeout(10000),
      });
      const unacceptable = response.status === 422;
      this.refused = response.status >= 400 && response.status < 500 && !unacceptable;
      if (!response.ok && !unacceptable) throw new Error(response.statusText);
      if (unacceptable) {
        if (entries.length === 1) this.refuse(entries[0]);
        this.most = entries.length === 1 ? MOST : 1; // one by one, until the one it is about is found
      } else {
        const reply = await response.json();
        for (const id of reply.saved) this.forget(id);
        this.learned(reply.answers);
      }
      this.failures = 0;
    } catch {
      this.failures += 1;
    }
    this.sending = false;
    this.changed();
    if (!this.waiting().length) return;
    const pause = this.failures ? RETRY_MS[Math.min(this.failures, RETRY_MS.length) - 1] : 0;
    this.timer = setTimeout(() => this.send(), pause);
  }

  refuse(entry) {
    this.forget(entry.id);
    const again = this.waiting().some((other) => other.place === entry.place); // answered again meanwhile
    if (!again) this.keep({ ...entry, refused: true });
    this.lost(entry);
  }

  forget(id) {
    this.unstored.delete(id);
    try {
      localStorage.removeItem(this.prefix + id);
    } catch {
      // was in memory only
    }
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // written by no page of ours
  }
}
