'use strict';
// What the client makes of the library, against a real server. bindings/scenario has the rules of login.

const assert = require('node:assert');
const { spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const { after, before } = require('node:test');
const { setImmediate: turn } = require('node:timers/promises');
const { Client, TimError } = require('timlogin');
const { test } = require('./bounded.js');
const { Server } = require('./server.js');

const server = new Server();
before(() => server.start());
after(() => server.stop());

// No server is there: a login cannot complete.
const nowhere = { server_url: 'http://127.0.0.1:1' };
const alice = () => server.ticket('alice');

test('calls are promises, and the state is in properties', async () => {
  const client = server.client();
  assert.throws(() => client.serverTimeMs, { codeName: 'TIM_ERR_SERVER_TIME_UNKNOWN' });
  assert.strictEqual(await client.login('alice', alice()), undefined);
  assert.strictEqual(client.status, 'loggedIn');
  assert.strictEqual(client.user, 'alice');
  assert.ok(Math.abs(client.serverTimeMs - Date.now()) < 60_000);
  client.notify('foreground');
  await client.renewUserSig(alice());
  await client.logout();
  assert.strictEqual(client.status, 'loggedOut');
  client.close();
  assert.strictEqual(client.status, 'closed');
  assert.strictEqual(client.connection, 'closed');
  assert.strictEqual(client.user, '');
});

test('a refusal rejects with its code and words', async () => {
  const client = server.client();
  await assert.rejects(client.login('bob', alice()), (error) => {
    assert.ok(error instanceof TimError && error instanceof Error);
    assert.strictEqual(error.code, 70013);
    assert.strictEqual(error.codeName, 'TIM_ERR_USER_SIG_OTHER_USER');
    assert.match(error.message, /^the ticket belongs to another user: .* \(TIM_ERR_USER_SIG_OTHER_USER, 70013\)$/);
    assert.strictEqual(error.isRetryable, false);
    assert.strictEqual(error.retryAfterMs, 0);
    return true;
  });
  client.close();
});

test('an argument of another type or with a NUL rejects like one that is wrong', async () => {
  const client = server.client();
  for (const userId of ['', 'a\0b', 7, undefined]) {
    await assert.rejects(client.login(userId, alice()), { codeName: 'TIM_ERR_INVALID_USER_ID' });
  }
  await assert.rejects(client.login('alice', 'a\0b'), { codeName: 'TIM_ERR_USER_SIG_UNREADABLE' });
  await assert.rejects(client.renewUserSig(undefined), { codeName: 'TIM_ERR_USER_SIG_UNREADABLE' });
  assert.throws(() => client.notify('sleep'),
    { codeName: 'TIM_ERR_INVALID_ARGUMENT', message: /^invalid hint sleep: expected networkChanged or foreground/ });
  client.close();
});

test('a configuration that is wrong throws the name of the key', () => {
  assert.throws(() => new Client({ server_url: 'http://127.0.0.1:1' }),
    { codeName: 'TIM_ERR_INVALID_CONFIG', message: /^sdk_app_id: missing/ });
  assert.throws(() => new Client(), { message: /^server_url: missing/ });
});

test('a kick says who did it, and when', async () => {
  const phone = server.client({ device_id: 'phone' });
  const tablet = server.client({ device_id: 'tablet', device_name: 'my tablet', platform: 'ipad' });
  await phone.login('alice', alice());
  const kicked = once(phone, 'kickedOffline');
  await tablet.login('alice', alice());
  const [{ type, code, message, by }] = await kicked;
  assert.strictEqual(type, 'kickedOffline');
  assert.strictEqual(code, 6208);
  assert.match(message, /took this session over/);
  assert.ok(Math.abs(by.timeMs - Date.now()) < 60_000);
  assert.deepStrictEqual({ ...by, timeMs: 0 },
    { cause: 'other_device', platform: 'ipad', deviceName: 'my tablet', timeMs: 0 });
  phone.close();
  tablet.close();
});

test('a ticket is reported before and after its end', async () => {
  const client = server.client();
  await client.login('alice', server.ticket('alice', 2));
  const [{ secondsLeft }] = await once(client, 'userSigExpiring');
  assert.ok(secondsLeft <= 2);
  const [{ code }] = await once(client, 'userSigExpired');
  assert.strictEqual(code, 70001);
  client.close();
});

test('an event that follows a call comes when its awaiter listens', async () => {
  const client = server.client();
  await client.login('alice', alice());
  const [{ status, code }] = await once(client, 'connection');
  assert.strictEqual(status, 'connected');
  assert.strictEqual(code, 0);
  client.close();
});

test('events are an async iterable from the call on, which ends with the client', async () => {
  const client = server.client();
  const all = client.events();
  const others = client.events();
  await client.login('alice', alice());
  for await (const event of others) {
    if (event.type === 'connection' && event.status === 'connected') break;
  }
  let last;
  for await (const event of all) {
    last = event;
    if (event.status === 'connected') client.close();
  }
  assert.deepStrictEqual(last, { type: 'connection', status: 'connected', code: 0, message: 'success', loginId: 1 });
  for await (const event of client.events()) assert.fail(`of a closed client: ${event.type}`);
});

test('close rejects a login in progress, and closed is the last event', async () => {
  const client = server.client(nowhere);
  const order = [];
  const login = client.login('alice', alice()).catch((error) => order.push(error.codeName));
  client.on('connection', () => order.push('connection'));
  client.close();
  client.close();
  await once(client, 'closed');
  await login;
  assert.deepStrictEqual(order, ['TIM_ERR_INTERRUPTED']);
  await assert.rejects(client.logout(), { codeName: 'TIM_ERR_NO_SUCH_CLIENT' });
});

test('a listener may close its client', async () => {
  const client = server.client(nowhere);
  client.once('connection', () => client.close());
  await assert.rejects(client.login('alice', alice()), { codeName: 'TIM_ERR_INTERRUPTED' });
});

test('a client and its calls are kept while they are pending, and collected when it has closed', async () => {
  let login;
  const client = (() => {
    const forgotten = new Client(server.config());
    login = forgotten.login('alice', alice()).then(() => forgotten.close());
    return new WeakRef(forgotten);
  })();
  globalThis.gc();
  await login;
  login = null;
  while (client.deref()) {
    await turn();
    globalThis.gc();
  }
});

test('a thousand clients leave no thread and no descriptor', async () => {
  const count = () => [fs.readdirSync('/proc/self/task').length, fs.readdirSync('/proc/self/fd').length];
  const before = count();
  for (let round = 0; round < 1000; round++) {
    const client = new Client(server.config({ ...nowhere, device_id: 'same' }));
    if (round % 2 === 0) client.login('alice', 'a ticket').catch(() => {});
    client.close();
    if (round % 50 === 0) await turn();
  }
  while (count().some((number, index) => number > before[index])) await turn();
});

test('a program that is started gets no descriptor of a client', () => {
  const list = () => spawnSync('ls', ['/proc/self/fd'], { encoding: 'utf8' }).stdout;
  const before = list();
  const client = server.client();
  const during = list();
  client.close();
  assert.strictEqual(during, before);
});
