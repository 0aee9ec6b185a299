// Answers on their way to the server. Each is a localStorage entry of its own, from the moment it is given until the
// server has confirmed it: a reload, a closed page or a lost connection loses none, and tabs of one reader never
// overwrite each other's. Two tabs may send the same answer; the server knows it by its id.

const RETRY_MS = [1000, 2000, 4000, 8000, 15000];

export class Outbox {
  // learned(answers): answers of this reader, from the server or another tab; changed(): what waits, or how sending
  // fares, may have changed
  constructor(base, { learned, changed }) {
    this.url = `${base}/answers`;
    this.prefix = `g2m-reader-study ${base} `;
    this.learned = learned;
    this.changed = changed;
    this.unstored = new Map(); // where the browser forbids localStorage, or it is full
    this.failures = 0;
    this.refused = false;
    addEventListener("online", () => this.send());
    addEventListener("storage", (event) => {
      if (event.key !== null && !event.key.startsWith(this.prefix)) return;
      if (event.newValue) this.learned([JSON.parse(event.newValue)]); // the entry itself may be sent and gone already
      this.changed();
    });
  }

  add(place, answer, after) {
    const bytes = crypto.getRandomValues(new Uint8Array(16)); // randomUUID is missing outside https and localhost
    const id = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    // an answer is always later than the one it changes, whatever this device's clock says
    const entry = { id, place, answer, given_at: Math.max(Date.now(), after + 1) };
    try {
      localStorage.setItem(this.prefix + id, JSON.stringify(entry));
    } catch {
      this.unstored.set(id, entry);
    }
    this.changed();
    this.send();
  }

  waiting() {
    const entries = [...this.unstored.values()];
    try {
      for (const key of Object.keys(localStorage)) {
        if (key.startsWith(this.prefix)) entries.push(JSON.parse(localStorage.getItem(key)));
      }
    } catch {
      // no localStorage: those in memory are all
    }
    return entries.filter(Boolean).sort((a, b) => a.given_at - b.given_at);
  }

  async send() {
    clearTimeout(this.timer);
    if (this.sending) return;
    const entries = this.waiting();
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
      this.refused = response.status >= 400 && response.status < 500;
      if (!response.ok) throw new Error(response.statusText);
      const reply = await response.json();
      for (const id of reply.saved) this.forget(id);
      this.failures = 0;
      this.learned(reply.answers);
    } catch {
      this.failures += 1;
    }
    this.sending = false;
    this.changed();
    if (!this.waiting().length) return;
    const pause = this.failures ? RETRY_MS[Math.min(this.failures, RETRY_MS.length) - 1] : 0;
    this.timer = setTimeout(() => this.send(), pause);
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
