'use strict';
// Sign-in for instant messaging with libtim. The event loop watches the library's descriptor; no thread of
// the library ever calls into JavaScript.

const { EventEmitter } = require('node:events');
const net = require('node:net');
const { Readable } = require('node:stream');
const { threadId } = require('node:worker_threads');
const library = require('./library.js');

const OK = 0;
const ERR_INVALID_USER_ID = 7003;
const ERR_CLOSING = 7703;
const ERR_NO_SUCH_CLIENT = 7705;
const ERR_BUFFER_TOO_SMALL = 7709;
const ERR_INVALID_ARGUMENT = 7720;
const ERR_SYSTEM = 7725;
const ERR_USER_SIG_UNREADABLE = 70003;

const COMPLETION = 1;
const CONNECTION = 2;
const USER_SIG_EXPIRED = 3;
const KICKED_OFFLINE = 4;
const USER_SIG_EXPIRING = 5;
const CLOSED = 6;

const loginStatuses = ['closed', 'loggedIn', 'loggingIn', 'loggedOut'];
const connectionStatuses = ['closed', 'connected', 'disconnected', 'connecting', 'connectFailed'];
const hints = { networkChanged: 1, foreground: 2 };

// Emitted with every event, and with null at the end.
const ANY = Symbol('any event');

// Unique in the process: a client that was found still completes the calls of the worker that made them.
let lastCall = threadId * 2 ** 32;

class TimError extends Error {
  constructor(code, message, retryAfterMs = 0) {
    const name = library.errorName(code);
    super(`${message || library.errorMessage(code)} (${name}, ${code})`);
    this.name = 'TimError';
    this.code = code;
    this.codeName = name;
    this.isRetryable = library.errorIsRetryable(code) === 1;
    this.retryAfterMs = retryAfterMs;
  }
}

function check(code, message) {
  if (code !== OK) throw new TimError(code, message);
}

function terminated(buffer) {
  return buffer.toString('utf8', 0, Math.max(buffer.indexOf(0), 0));
}

// What a function copies out; empty where it has nothing.
function text(copyOut, handle) {
  for (let capacity = 256; ;) {
    const buffer = Buffer.alloc(capacity);
    const length = [0];
    const code = copyOut(handle, buffer, capacity, length);
    if (code !== ERR_BUFFER_TOO_SMALL) return code === OK ? terminated(buffer) : '';
    capacity = Number(length[0]) + 1;
  }
}

// A text for C, which a NUL would end early.
function cText(value, code, message) {
  if (typeof value !== 'string' || value.includes('\0')) throw new TimError(code, message);
  return value;
}

function create(config) {
  const handle = [0];
  const error = Buffer.alloc(512);
  const json = JSON.stringify({ ...config, event_delivery: 'poll' });
  check(library.create(json, handle, error, error.length), terminated(error));
  return handle[0];
}

// The next completion or event, if there is one.
function take(handle) {
  const event = { size: library.eventSize };
  return library.poll(handle, 0, event) === OK ? event : null;
}

// Closes a client. What is left ends with the closed event, which is there already; taking it frees the client.
function destroy(handle, finish = () => {}) {
  library.destroy(handle, 0);
  for (let event; (event = take(handle)); ) {
    if (event.type === COMPLETION) finish(event);
  }
}

// A socket for the event loop, which closes its descriptor as the library closes its own: it gets a copy.
function watch(handle) {
  const fd = [-1];
  check(library.wakeupFd(handle, fd));
  const copy = library.duplicate(fd[0]);
  if (copy < 0) throw new TimError(ERR_SYSTEM);
  return new net.Socket({ fd: copy, readable: true, writable: false });
}

class Client extends EventEmitter {
  #handle;
  #socket;
  #pending = new Map();

  // `found` is the handle of a client that exists; apps use `find`.
  constructor(config, found) {
    super();
    this.#handle = found ?? create(config);
    try {
      this.#socket = watch(this.#handle);
    } catch (error) {
      if (!found) destroy(this.#handle);
      throw error;
    }
    this.#socket.on('data', () => this.#drain());
  }

  static find(name) {
    const found = [0];
    cText(name, ERR_INVALID_ARGUMENT, 'invalid name: expected a string without NUL');
    const code = library.find(name, found);
    if (code === ERR_CLOSING) destroy(found[0]);
    if (code === ERR_CLOSING || code === ERR_NO_SUCH_CLIENT) return null;
    check(code);
    return new Client(null, found[0]);
  }

  login(userId, userSig) {
    return this.#call((call) => library.login(
      this.#handle, cText(userId, ERR_INVALID_USER_ID), cText(userSig, ERR_USER_SIG_UNREADABLE), null, call));
  }

  logout() {
    return this.#call((call) => library.logout(this.#handle, null, call));
  }

  renewUserSig(userSig) {
    return this.#call((call) => library.renewUserSig(
      this.#handle, cText(userSig, ERR_USER_SIG_UNREADABLE), null, call));
  }

  notify(hint) {
    if (!Object.hasOwn(hints, hint)) {
      throw new TimError(ERR_INVALID_ARGUMENT, `invalid hint ${hint}: expected ${Object.keys(hints).join(' or ')}`);
    }
    check(library.notify(this.#handle, hints[hint]));
  }

  get status() {
    return loginStatuses[library.loginStatus(this.#handle)];
  }

  get connection() {
    return connectionStatuses[library.connectionStatus(this.#handle)];
  }

  get user() {
    return text(library.loginUser, this.#handle);
  }

  get serverTimeMs() {
    const time = [0];
    check(library.serverTimeMs(this.#handle, time));
    return Number(time[0]);
  }

  // Listens from the call on, not only from the first step of the loop.
  events() {
    const push = (event) => events.push(event);
    const events = new Readable({
      objectMode: true,
      read() {},
      destroy: (error, done) => {
        this.off(ANY, push);
        done(error);
      },
    });
    if (this.#socket.destroyed) events.push(null);
    else this.on(ANY, push);
    return events;
  }

  ref() {
    this.#socket.ref();
    return this;
  }

  unref() {
    this.#socket.unref();
    return this;
  }

  close() {
    if (this.#socket.destroyed) return;
    this.#socket.destroy();
    destroy(this.#handle, (completion) => this.#finish(completion));
    // After the calls that just failed, and in time for who listens after this call.
    setImmediate(() => this.emit('closed'));
    this.emit(ANY, null);
  }

  #call(start) {
    return new Promise((resolve, reject) => {
      const call = ++lastCall;
      check(start(call));
      this.#pending.set(call, { resolve, reject });
    });
  }

  // One a turn: who awaits a call or an event runs, and listens, before the next one comes. The next turn is
  // certain, even if a listener throws.
  #drain() {
    const event = take(this.#handle);
    if (!event) return;
    setImmediate(() => this.#drain());
    this.#deliver(event);
  }

  #deliver(event) {
    const { code, message } = event;
    const loginId = Number(event.loginId);
    switch (event.type) {
      case COMPLETION:
        return this.#finish(event);
      case CONNECTION:
        return this.#report({
          type: 'connection', status: connectionStatuses[event.connectionStatus], code, message, loginId,
        });
      case USER_SIG_EXPIRED:
        return this.#report({ type: 'userSigExpired', code, message, loginId });
      case USER_SIG_EXPIRING:
        return this.#report({ type: 'userSigExpiring', secondsLeft: Number(event.secondsLeft), loginId });
      case KICKED_OFFLINE: {
        const info = JSON.parse(text(library.kickInfo, this.#handle) || '{}');
        const by = info.login_id !== loginId ? null : {
          cause: info.cause, platform: info.platform, deviceName: info.device_name, timeMs: info.time_ms,
        };
        return this.#report({ type: 'kickedOffline', code, message, loginId, by });
      }
      // Only a bug of the library closes a client that its app has not closed.
      case CLOSED:
        return this.close();
    }
  }

  #report(event) {
    this.emit(ANY, event);
    this.emit(event.type, event);
  }

  #finish({ userData, code }) {
    const call = this.#pending.get(Number(userData));
    this.#pending.delete(Number(userData));
    if (!call) return;
    if (code === OK) return call.resolve();
    const last = JSON.parse(text(library.lastError, this.#handle) || '{}');
    call.reject(new TimError(code, '', last.code === code ? last.retry_after_ms : 0));
  }
}

module.exports = { Client, TimError };
