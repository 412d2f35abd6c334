// The consent page (ADR 26). It comes twice: from the app, with what that asks for; and
// back from our own sign-in, with a code. In between the tab's sessionStorage holds what
// the service has said of the request, so that nobody's code meets another request.
// The access token is in a variable of this script, and nowhere else. All that is
// shown is set as text.
'use strict';

(() => {
  const settings = document.documentElement.dataset;
  const here = location.origin + location.pathname; // where the sign-in returns to
  const api = here.slice(0, -'/authorize'.length);
  const kept = 'fitvault.authorize';
  const words = {
    unknown: 'This app is not known, or is switched off, or this is not its address. Nothing has been given.',
    wrong: 'The app has not asked as it should. Nothing has been given.',
    signIn: 'The sign-in did not belong to this page, or has failed. Nothing has been given. Please begin again in the app.',
    consent: 'Your account does not let apps in. First agree to collection and to sharing in fitvault itself, then begin again in the app.',
    none: 'Choose at least one kind of data, or say no.',
    failed: 'This did not work. Nothing has been given. Please try again later.',
  };
  const element = (id) => document.getElementById(id);

  function say(text) {
    element('question').hidden = true;
    element('message').textContent = text;
  }

  const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
  const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
  const request = (address, more) => fetch(address, { credentials: 'omit', cache: 'no-store', redirect: 'error', ...more });

  // begin has the service judge what the app asks for, and leads to our own sign-in.
  async function begin(search) {
    const answer = await request(here + '/request' + search);
    if (!answer.ok) {
      return say(answer.status === 404 ? words.unknown : answer.status === 422 ? words.wrong : words.failed);
    }
    const asked = await answer.json();
    const state = random();
    const verifier = random();
    sessionStorage.setItem(kept, JSON.stringify({ state, verifier, asked }));
    const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier));
    location.replace(settings.signIn + '/oauth2/authorize?' + new URLSearchParams({
      response_type: 'code', client_id: settings.client, redirect_uri: here, scope: 'openid email fitvault/sharing.manage',
      state, code_challenge: base64url(new Uint8Array(digest)), code_challenge_method: 'S256',
    }));
  }

  // back takes the code of the sign-in that this tab has begun, and of no other: each once.
  async function back(query) {
    const begun = JSON.parse(sessionStorage.getItem(kept));
    sessionStorage.removeItem(kept);
    if (begun === null || query.get('state') !== begun.state || !query.get('code')) {
      return say(words.signIn);
    }
    const answer = await request(settings.signIn + '/oauth2/token', {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'authorization_code', client_id: settings.client, redirect_uri: here,
        code: query.get('code'), code_verifier: begun.verifier,
      }),
    });
    if (!answer.ok) {
      return say(words.signIn);
    }
    const tokens = await answer.json();
    ask(begun.asked, tokens.access_token, email(tokens.id_token));
  }

  // email is whose token it is, to be shown to him. It comes from the pool itself, over
  // TLS, and decides nothing, so its signature is not looked at.
  function email(token) {
    const claims = atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/'));
    return JSON.parse(claims).email;
  }

  function ask(asked, token, who) {
    const boxes = asked.types.map(({ type, label }) => {
      const box = document.createElement('input');
      box.type = 'checkbox';
      box.checked = true;
      box.value = type;
      const line = document.createElement('label');
      line.append(box, ' ' + label);
      element('types').append(line);
      return box;
    });
    const shown = {
      who, name: asked.name, client: asked.client, host: asked.host, purpose: asked.purpose,
      access: asked.access.join(' and '), until: asked.until.slice(0, 10),
    };
    for (const [id, text] of Object.entries(shown)) {
      element(id).textContent = text;
    }
    const enable = (on) => { element('yes').disabled = element('no').disabled = !on; };
    element('no').addEventListener('click', () => {
      enable(false);
      location.replace(asked.refuse);
    });
    element('yes').addEventListener('click', async () => {
      const types = boxes.filter((box) => box.checked).map((box) => box.value);
      if (types.length === 0) {
        element('message').textContent = words.none;
        return;
      }
      enable(false);
      try {
        const answer = await request(api + '/users/me/apps/' + asked.client, {
          method: 'PUT',
          headers: { 'Authorization': 'Bearer ' + token, 'x-api-key': settings.key, 'Content-Type': 'application/json' },
          body: JSON.stringify({ types, access: asked.access, purpose: asked.purpose, until: asked.until }),
        });
        if (answer.ok) {
          location.replace(asked.accept);
        } else {
          say(answer.status === 403 ? words.consent : words.failed);
        }
      } catch {
        say(words.failed);
      }
    });
    element('message').textContent = '';
    element('question').hidden = false;
  }

  async function start() {
    const search = location.search;
    const query = new URLSearchParams(search);
    history.replaceState(null, '', location.pathname); // a code and a request stay in no history
    try {
      await (query.has('client_id') ? begin(search) : back(query));
    } catch {
      say(words.failed);
    }
  }

  start();
})();
