// What the consent page's script finds in a browser, as far as it uses it. Markup can
// not be made of text here: a script that tries fails.
'use strict';

class Element {
  constructor(tag) { Object.assign(this, { tag, children: [], listeners: [], hidden: false, disabled: false, checked: false, value: '', type: '' }); }
  append(...children) { this.children.push(...children); }
  get textContent() { return this.children.map((c) => (c instanceof Element ? c.textContent : c)).join(''); }
  set textContent(text) { this.children = [String(text)]; }
  set innerHTML(_) { throw new TypeError('markup of text'); }
  set outerHTML(_) { throw new TypeError('markup of text'); }
  insertAdjacentHTML() { throw new TypeError('markup of text'); }
  addEventListener(name, listener) { this.listeners.push([name, listener]); }
  click() {
    if (this.type === 'checkbox') { this.checked = !this.checked; }
    if (!this.disabled) { this.listeners.filter(([name]) => name === 'click').forEach(([, listener]) => listener({ isTrusted: true })); }
  }
  boxes() { return this.children.flatMap((c) => (!(c instanceof Element) ? [] : c.type === 'checkbox' ? [c] : c.boxes())); }
}

const elements = {};
const document = {
  documentElement: { dataset: {} },
  getElementById: (id) => elements[id] ?? null,
  createElement: (tag) => new Element(tag),
};
const location = { replace: (address) => browser.navigate(String(address)) };
const history = { replaceState: (_, __, address) => browser.rename(String(address)) };
const sessionStorage = {
  getItem: (name) => browser.kept(name),
  setItem: (name, value) => browser.keep(name, String(value)),
  removeItem: (name) => browser.forget(name),
};
const crypto = {
  getRandomValues: (bytes) => { bytes.set(new Uint8Array(browser.random(bytes.length))); return bytes; },
  subtle: { digest: async (name, bytes) => browser.digest(name, bytes.buffer) },
};
const { btoa, atob } = browser;

class TextEncoder {
  encode(text) { return Uint8Array.from([...unescape(encodeURIComponent(text))], (c) => c.charCodeAt(0)); }
}

class URLSearchParams {
  constructor(from) {
    this.pairs = typeof from === 'string'
      ? from.replace(/^\?/, '').split('&').filter((p) => p !== '').map((p) => {
        const [name, ...value] = p.split('=').map((s) => decodeURIComponent(s.replaceAll('+', ' ')));
        return [name, value.join('=')];
      })
      : Object.entries(from);
  }
  has(name) { return this.pairs.some(([n]) => n === name); }
  get(name) { return this.pairs.find(([n]) => n === name)?.[1] ?? null; }
  toString() { return this.pairs.map((p) => p.map(encodeURIComponent).join('=')).join('&'); }
}

async function fetch(address, { method = 'GET', headers = {}, body = '', credentials, redirect } = {}) {
  const type = body instanceof URLSearchParams ? { 'Content-Type': 'application/x-www-form-urlencoded' } : {};
  const { status, text } = browser.send(String(address), method, { ...type, ...headers }, String(body), credentials === 'omit', redirect === 'error');
  return { status, ok: status >= 200 && status < 300, json: async () => JSON.parse(text) };
}
