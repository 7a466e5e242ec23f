'use strict';
// Sign-in for instant messaging with libtim. The event loop watches the library's descriptor; no thread of
// the library ever calls into JavaScript.

const { EventEmitter } = require('node:events');
const net = require('node:net');
const library = require('./library.js');

const OK = 0;
const ERR_BUFFER_TOO_SMALL = 7709;
const COMPLETION = 1;
const CONNECTION = 2;
const USER_SIG_EXPIRED = 3;
const KICKED_OFFLINE = 4;
const USER_SIG_EXPIRING = 5;
const CLOSED = 6;

const loginStatuses = ['closed', 'loggedIn', 'loggingIn', 'loggedOut'];
const connectionStatuses = ['closed', 'connected', 'disconnected', 'connecting', 'connectFailed'];
const hints = { networkChanged: 1, foreground: 2 };

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
function cText(value, code) {
  if (typeof value !== 'string' || value.includes('\0')) throw new TimError(code);
  return value;
}

class Client extends EventEmitter {
  #handle;
  #socket;
  #pending = new Map();
  #lastCall = 0;
  #event = { size: library.eventSize };

  constructor(config) {
    super();
    const handle = [0];
    const error = Buffer.alloc(512);
    const json = JSON.stringify({ ...config, event_delivery: 'poll' });
    const code = library.create(json, handle, error, error.length);
    if (code !== OK) throw new TimError(code, terminated(error));
    this.#handle = handle[0];
    const fd = [-1];
    library.wakeupFd(this.#handle, fd);
    const copy = library.dup(fd[0]);
    if (copy < 0) {
      library.destroy(this.#handle, 0);
      this.#drain();
      throw new TimError(7725);
    }
    this.#socket = new net.Socket({ fd: copy, readable: true, writable: false });
    this.#socket.on('data', () => this.#drain());
  }

  login(userId, userSig) {
    return this.#call((call) => library.login(this.#handle, cText(userId, 7003), cText(userSig, 70003), null, call));
  }

  logout() {
    return this.#call((call) => library.logout(this.#handle, null, call));
  }

  renewUserSig(userSig) {
    return this.#call((call) => library.renewUserSig(this.#handle, cText(userSig, 70003), null, call));
  }

  notify(hint) {
    const code = library.notify(this.#handle, hints[hint] ?? 0);
    if (code !== OK) throw new TimError(code);
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
    const code = library.serverTimeMs(this.#handle, time);
    if (code !== OK) throw new TimError(code);
    return Number(time[0]);
  }

  // Lets the process end while this client is open.
  unref() {
    this.#socket.unref();
    return this;
  }

  close() {
    if (this.#socket.destroyed) return;
    this.#socket.destroy();
    library.destroy(this.#handle, 0);
    this.#drain();
  }

  #call(start) {
    return new Promise((resolve, reject) => {
      const call = ++this.#lastCall;
      this.#pending.set(call, { resolve, reject });
      let code;
      try {
        code = start(call);
      } catch (error) {
        this.#pending.delete(call);
        throw error;
      }
      if (code !== OK) {
        this.#pending.delete(call);
        reject(new TimError(code));
      }
    });
  }

  // Takes what there is. After destroy that ends with the closed event, which is there already.
  #drain() {
    const event = this.#event;
    for (;;) {
      event.size = library.eventSize;
      if (library.poll(this.#handle, 0, event) !== OK) return;
      this.#deliver({ ...event });
      if (event.type === CLOSED) return;
    }
  }

  #deliver(event) {
    const { code, message } = event;
    const loginId = Number(event.loginId);
    switch (event.type) {
      case COMPLETION: {
        const call = this.#pending.get(Number(event.userData));
        this.#pending.delete(Number(event.userData));
        if (!call) return;
        if (code === OK) return call.resolve();
        const last = JSON.parse(text(library.lastError, this.#handle) || '{}');
        return call.reject(new TimError(code, '', last.code === code ? last.retry_after_ms : 0));
      }
      case CONNECTION:
        return this.emit('connection', { status: connectionStatuses[event.connectionStatus], code, message, loginId });
      case USER_SIG_EXPIRED:
        return this.emit('userSigExpired', { code, message, loginId });
      case USER_SIG_EXPIRING:
        return this.emit('userSigExpiring', { secondsLeft: Number(event.secondsLeft), loginId });
      case KICKED_OFFLINE: {
        const info = JSON.parse(text(library.kickInfo, this.#handle) || '{}');
        const by = info.login_id !== loginId ? null : {
          cause: info.cause, platform: info.platform, deviceName: info.device_name, timeMs: info.time_ms,
        };
        return this.emit('kickedOffline', { code, message, loginId, by });
      }
      case CLOSED:
        return this.emit('closed');
    }
  }
}

module.exports = { Client, TimError };
