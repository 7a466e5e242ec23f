'use strict';
// Processes and workers that end while clients are open.

const assert = require('node:assert');
const { spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const { after, before } = require('node:test');
const { setImmediate: turn } = require('node:timers/promises');
const { Worker } = require('node:worker_threads');
const { Client } = require('timlogin');
const { test } = require('./bounded.js');
const { Server } = require('./server.js');

const server = new Server();
before(() => server.start());
after(() => server.stop());

const alice = () => JSON.stringify(server.ticket('alice'));

// Runs a program with a client, and says how it ended.
function run(body, config = server.config()) {
  const program = `const { Client } = require('timlogin');
    const client = new Client(${JSON.stringify(config)});
    ${body}`;
  const { status, signal, stdout, stderr } =
    spawnSync(process.execPath, ['-e', program], { cwd: __dirname, encoding: 'utf8', timeout: 60_000 });
  return { status, signal, stdout, stderr };
}

test('a process ends when its clients are closed', () => {
  const { status, stderr } = run(`client.login('alice', ${alice()}).then(() => client.close());`);
  assert.strictEqual(status, 0, stderr);
});

test('a process ends when what is open is not referenced', () => {
  const { status, stderr } = run(`client.login('alice', ${alice()}).then(() => client.unref());`);
  assert.strictEqual(status, 0, stderr);
});

test('a client that is referenced again keeps its process alive', () => {
  const { status, stdout, stderr } = run(`client.unref().ref();
    client.login('alice', ${alice()}).then(() => { console.log(client.user); client.close(); });`);
  assert.strictEqual(stdout, 'alice\n');
  assert.strictEqual(status, 0, stderr);
});

test('a process may exit at once, in a login and in a listener', () => {
  for (const body of [
    'process.exit(3);',
    `client.login('alice', ${alice()}); process.exit(3);`,
    `client.login('alice', ${alice()}); client.on('connection', () => process.exit(3));`,
    `client.login('alice', ${alice()}).then(() => process.exit(3));`,
    "client.close(); client.on('closed', () => process.exit(3));",
  ]) {
    const { status, signal, stderr } = run(body);
    assert.strictEqual(status, 3, `${body}: ${signal} ${stderr}`);
  }
});

test('what a listener throws ends the process with its words', () => {
  for (const body of [
    `client.on('connection', () => { throw new Error('of the app'); }); client.login('alice', ${alice()});`,
    `client.login('alice', ${alice()}).then(() => { throw new Error('of the app'); });`,
    "client.on('closed', () => { throw new Error('of the app'); }); client.close();",
  ]) {
    const { status, signal, stderr } = run(body);
    assert.strictEqual(status, 1, `${body}: ${signal}`);
    assert.match(stderr, /Error: of the app/);
  }
});

test('a refusal that nobody handles ends the process with its words', () => {
  const { status, stderr } = run(`client.login('bob', ${alice()});`);
  assert.strictEqual(status, 1);
  assert.match(stderr, /TimError: the ticket belongs to another user/);
});

test('a listener that throws does not keep what follows from a process that goes on', () => {
  // A kick and the end of its connection have both happened when the first of them is taken.
  const { status, stdout, stderr } = run(`const thrown = [];
    process.on('uncaughtException', ({ message }) => {
      console.log(message);
      if (thrown.push(message) === 2) client.close();
    });
    const tablet = new Client(${JSON.stringify(server.config())});
    client.login('alice', ${alice()}).then(() => {
      client.on('kickedOffline', () => { throw new Error('kicked'); });
      client.on('connection', ({ status }) => {
        if (status === 'disconnected') throw new Error(status);
      });
      tablet.login('alice', ${alice()}).then(() => tablet.close());
      while (client.status === 'loggedIn');
    });`);
  assert.strictEqual(status, 0, stderr);
  assert.deepStrictEqual(stdout.split('\n').sort(), ['', 'disconnected', 'kicked']);
});

const phone = () => JSON.stringify(server.config({ name: 'alice', device_id: 'phone' }));

// Runs this in a worker until it says something; then the worker exits by itself or is terminated.
async function inWorker(body, { exits = false } = {}) {
  const worker = new Worker(`const { parentPort } = require('node:worker_threads');
    const { Client } = require('timlogin');
    ${body}`, { eval: true });
  const exit = once(worker, 'exit');
  const [said] = await once(worker, 'message');
  await (exits ? exit : worker.terminate());
  return said;
}

test('a client outlives its worker, and is found by its name', async (t) => {
  const descriptors = () => fs.readdirSync('/proc/self/fd').length;
  const before = descriptors();
  assert.strictEqual(Client.find('alice'), null);
  await inWorker(`new Client(${phone()}).login('alice', ${alice()}).then(() => parentPort.postMessage('logged in'));`);
  assert.throws(() => server.client({ device_id: 'phone' }), { codeName: 'TIM_ERR_DEVICE_IN_USE' });
  const client = Client.find('alice');
  t.after(() => client.close());
  assert.strictEqual(client.status, 'loggedIn');
  assert.strictEqual(client.user, 'alice');
  await client.login('bob', server.ticket('bob'));
  assert.strictEqual(client.user, 'bob');
  client.close();
  assert.strictEqual(Client.find('alice'), null);
  server.client({ name: 'alice', device_id: 'phone' }).close();
  while (descriptors() > before) await turn();
});

test('a worker may exit with its client open, and another one closes it', async () => {
  await inWorker(`const client = new Client(${phone()});
    client.login('alice', ${alice()}).then(() => {
      client.unref();
      parentPort.postMessage('logged in');
    });`, { exits: true });
  const user = await inWorker(`const client = Client.find('alice');
    parentPort.postMessage(client.user);
    client.close();`, { exits: true });
  assert.strictEqual(user, 'alice');
  assert.strictEqual(Client.find('alice'), null);
});

test('who finds a client gets the events that its worker has not taken', async (t) => {
  // The worker has read the wake-up when it is terminated, and taken the end of the login but not the connection.
  await inWorker(`const client = new Client(${phone()});
    client.login('alice', ${alice()}).then(() => {
      parentPort.postMessage('busy');
      for (;;);
    });
    while (client.connection !== 'connected');`);
  const client = Client.find('alice');
  t.after(() => client.close());
  const [{ status }] = await once(client, 'connection');
  assert.strictEqual(status, 'connected');
});

test('who finds a client does not get the ends of calls that its worker made', async () => {
  await inWorker(`const client = new Client(${phone()});
    client.login('alice', ${alice()});
    while (client.status !== 'loggedIn');
    parentPort.postMessage('busy');
    for (;;);`);
  const code = await inWorker(`const client = Client.find('alice');
    client.renewUserSig(${JSON.stringify(server.ticket('bob'))})
      .then(() => 'renewed', (error) => error.codeName)
      .then((code) => {
        client.close();
        parentPort.postMessage(code);
      });`);
  assert.strictEqual(code, 'TIM_ERR_USER_SIG_OTHER_USER');
});

test('a name that is no text is refused', () => {
  for (const name of [undefined, 'a\0b']) assert.throws(() => Client.find(name), { message: /^invalid name: expected/ });
});
