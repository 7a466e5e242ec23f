'use strict';
// Tests against a real server. TIM_SERVER is the program, TIM_LIB the library.

const assert = require('node:assert');
const { execFileSync, spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, test } = require('node:test');
const { Client, TimError } = require('..');

const program = process.env.TIM_SERVER;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'timlogin-'));
const data = path.join(folder, 'data');
const server = {
  address: '127.0.0.1:0',
  async start() {
    this.process = spawn(program, ['serve', '--listen', this.address, '--data-dir', data],
      { stdio: ['ignore', 'pipe', 'ignore'] });
    const [ready] = await once(this.process.stdout, 'data');
    this.address = /http=(\S+)/.exec(ready)[1];
  },
  async kill() {
    this.process.kill('SIGKILL');
    await once(this.process, 'exit');
  },
};
const ticket = (user, seconds = 3600) => execFileSync(program,
  ['usersig', '--user-id', user, '--expire', String(seconds), '--data-dir', data], { encoding: 'utf8' }).trim();
const config = (more = {}) => ({
  server_url: `http://${server.address}`,
  sdk_app_id: Number(fs.readFileSync(path.join(data, 'sdk_app_id'), 'utf8')),
  reconnect: { first_ms: 10, max_ms: 100 },
  ...more,
});
// Listens all the time: two events may come in one turn of the loop.
function connection(client, status) {
  return new Promise((resolve) => {
    client.on('connection', (event) => {
      if (event.status === status) resolve(event);
    });
  });
}
after(async () => {
  await server.kill();
  fs.rmSync(folder, { recursive: true });
});

test('a server', () => server.start());

test('a login makes the user, and a logout ends it', async () => {
  const client = new Client(config());
  assert.strictEqual(client.status, 'loggedOut');
  const connected = connection(client, 'connected');
  await client.login('alice', ticket('alice'));
  assert.strictEqual(client.status, 'loggedIn');
  assert.strictEqual(client.user, 'alice');
  assert.ok(Math.abs(client.serverTimeMs - Date.now()) < 60_000);
  await connected;
  client.notify('foreground');
  assert.throws(() => client.notify('nothing'), TimError);
  await client.renewUserSig(ticket('alice'));
  await client.login('bob', ticket('bob'));
  assert.strictEqual(client.user, 'bob');
  await client.logout();
  assert.strictEqual(client.user, '');
  client.close();
});

test('a refusal rejects with its code and words', async () => {
  const client = new Client(config());
  await assert.rejects(client.login('bob', ticket('alice')), (error) => {
    assert.strictEqual(error.code, 70013);
    assert.strictEqual(error.codeName, 'TIM_ERR_USER_SIG_OTHER_USER');
    assert.match(error.message, /another user/);
    assert.strictEqual(error.isRetryable, false);
    return error instanceof TimError;
  });
  await assert.rejects(client.login('a\0b', 'x'), { code: 7003 });
  await assert.rejects(client.login('alice', ''), { code: 70002 });
  client.close();
  assert.throws(() => new Client({ server_url: 'http://127.0.0.1:1' }), /sdk_app_id: missing/);
});

test('a kick says who did it', async () => {
  const phone = new Client(config({ device_id: 'phone' }));
  const tablet = new Client(config({ device_id: 'tablet', device_name: 'my tablet' }));
  await phone.login('alice', ticket('alice'));
  const kicked = once(phone, 'kickedOffline');
  await tablet.login('alice', ticket('alice'));
  const [{ code, by }] = await kicked;
  assert.strictEqual(code, 6208);
  assert.strictEqual(by.deviceName, 'my tablet');
  assert.strictEqual(by.cause, 'other_device');
  assert.strictEqual(phone.status, 'loggedOut');
  phone.close();
  tablet.close();
});

test('a ticket is reported before and after its end', async () => {
  const client = new Client(config());
  const expiring = once(client, 'userSigExpiring');
  const expired = once(client, 'userSigExpired');
  await client.login('alice', ticket('alice', 2));
  assert.ok((await expiring)[0].secondsLeft <= 2);
  assert.strictEqual((await expired)[0].code, 70001);
  client.close();
});

test('a restart of the server signs nobody out', async () => {
  const client = new Client(config());
  const connected = connection(client, 'connected');
  await client.login('alice', ticket('alice'));
  await connected;
  const lost = once(client, 'connection');
  await server.kill();
  await lost;
  assert.strictEqual(client.status, 'loggedIn');
  const back = connection(client, 'connected');
  await server.start();
  await back;
  assert.strictEqual(client.user, 'alice');
  client.close();
});

test('close during a login rejects it, and closed is the last event', async () => {
  const client = new Client({ ...config(), server_url: 'http://127.0.0.1:1' });
  const closed = once(client, 'closed');
  const login = client.login('alice', ticket('alice'));
  client.close();
  await closed;
  await assert.rejects(login, { code: 7009 });
  assert.strictEqual(client.status, 'closed');
  await assert.rejects(client.logout(), { code: 7705 });
  client.close();
});

test('a listener may close its client', async () => {
  // No server is there: the login cannot complete before the first event is taken.
  const client = new Client({ ...config(), server_url: 'http://127.0.0.1:1' });
  client.once('connection', () => client.close());
  await assert.rejects(client.login('alice', ticket('alice')), { code: 7009 });
});

test('a thousand clients leave no descriptor', async () => {
  const count = () => fs.readdirSync('/proc/self/fd').length;
  const before = count();
  for (let round = 0; round < 1000; round++) {
    new Client(config({ device_id: 'same' })).close();
    if (round % 50 === 0) await new Promise(setImmediate);
  }
  while (count() > before) await new Promise(setImmediate);
});

test('the process ends when its clients are closed, and at any other moment', () => {
  const begin = `const { Client } = require(${JSON.stringify(path.join(__dirname, '..'))});
    const client = new Client(${JSON.stringify(config())});
    client.login('alice', ${JSON.stringify(ticket('alice'))}).then(() => { END });`;
  for (const end of ['client.close()', 'client.unref()', 'process.exit(0)']) {
    const ended = spawnSync(process.execPath, ['-e', begin.replace('END', end)], { timeout: 60_000 });
    assert.strictEqual(ended.status, 0, `${end}: ${ended.stderr}`);
  }
  const ended = spawnSync(process.execPath, ['-e', begin.replace('END', '') + 'process.exit(0)'], { timeout: 60_000 });
  assert.strictEqual(ended.status, 0, String(ended.stderr));
});
