'use strict';
// What the delivery of events costs in Node.js, with koffi and the binding.

const koffi = require('koffi');
const library = require('./library.js');
const { Client } = require('./index.js');

const BATCH = 64, BATCHES = 500, KICKS = 300;
const nobody = 'http://127.0.0.1:1';
const url = process.env.TIM_URL;
const floor = koffi.load(process.env.FLOOR_LIB);
const floorPoll = floor.func('int32_t floor_poll_event(uint64_t client, int32_t timeout_ms, _Inout_ tim_event *event)');
const floorCallBack = floor.func('int32_t floor_call_back(void *function, int32_t times)');
const setKickedOffline = koffi.load(process.env.TIM_LIB).func(
  'int32_t tim_set_kicked_offline_callback(uint64_t client, void *callback, void *user_data)');
const OnResult = koffi.proto('void on_result(int32_t code, const char *message, size_t user_data)');
const OnKicked = koffi.proto(
  'void on_kicked(uint64_t client, int32_t code, const char *message, uint64_t login_id, size_t user_data)');

const now = () => process.hrtime.bigint();
const print = (what, value) => process.stdout.write(`${what} ${value}\n`);
const sleeper = new Int32Array(new SharedArrayBuffer(4));

function must(ok, what) {
  if (!ok) throw new Error(what);
}

function create(server, delivery) {
  const handle = [0];
  const config = JSON.stringify({ server_url: server, sdk_app_id: 1, event_delivery: delivery });
  must(library.create(config, handle, Buffer.alloc(512), 512) === 0, 'create');
  return handle[0];
}

function drain(what, poll, client) {
  const event = {};
  let seen = 0;
  Atomics.wait(sleeper, 0, 0, 1); // the network thread, which every call wakes, has gone back to sleep
  const start = now();
  for (let i = 0; i < BATCH; i++) {
    event.size = library.eventSize;
    must(poll(client, 0, event) === 0, 'an event is missing');
    seen += event.type + event.code + Number(event.userData);
  }
  print(what, Number(now() - start) / BATCH);
  return seen;
}

function byPoll() {
  const client = create(nobody, 'poll');
  library.wakeupFd(client, [0]);
  for (let i = 0; i < BATCHES; i++) {
    drain('floor_pull', floorPoll, client);
    for (let j = 0; j < BATCH; j++) must(library.logout(client, null, 0) === 0, 'logout');
    drain('pull', library.poll, client);
  }
}

// Callbacks run on this thread, so the whole batch is pending before the first.
async function byCallback() {
  const client = create(nobody, 'callback');
  let delivered = 0, first, finish;
  const callback = koffi.register(() => {
    if (delivered === 0) first = now();
    if (++delivered === BATCH) {
      const last = now();
      delivered = 0;
      finish(Number(last - first) / (BATCH - 1));
    }
  }, koffi.pointer(OnResult));
  const batch = (what) => new Promise((resolve) => { finish = resolve; }).then((ns) => print(what, ns));
  for (let i = 0; i < BATCHES; i++) {
    let done = batch('floor_callback');
    must(floorCallBack(callback, BATCH) === 0, 'thread');
    await done;
    done = batch('callback');
    for (let j = 0; j < BATCH; j++) must(library.logout(client, callback, 0) === 0, 'logout');
    await done;
  }
}

async function kicksByCallback() {
  const client = create(url, 'callback');
  let kicked;
  const callback = koffi.register(() => kicked(now()), koffi.pointer(OnKicked));
  setKickedOffline(client, callback, null);
  for (let i = 0; i < KICKS; i++) {
    const at = await new Promise((resolve) => {
      kicked = resolve;
      must(library.login(client, 'alice', 'ticket', null, 0) === 0, 'login');
    });
    const info = Buffer.alloc(500);
    const length = [0];
    must(library.kickInfo(client, info, info.length, length) === 0, 'kick info');
    print('latency_callback', (Number(at) - JSON.parse(info.toString('utf8', 0, Number(length[0]))).time_ms) / 1000);
  }
}

async function byBinding() {
  const client = new Client({ server_url: nobody, sdk_app_id: 1 });
  for (let i = 0; i < BATCHES; i++) {
    const start = now();
    await Promise.all(Array.from({ length: BATCH }, () => client.logout()));
    print('binding', Number(now() - start) / BATCH);
  }
  client.close();
  const kicked = new Client({ server_url: url, sdk_app_id: 1 });
  for (let i = 0; i < KICKS; i++) {
    await new Promise((resolve) => {
      kicked.once('kickedOffline', ({ by }) => {
        print('latency_pull', (Number(now()) - by.timeMs) / 1000);
        resolve();
      });
      kicked.login('alice', 'ticket').catch(() => process.exit(1));
    });
  }
  kicked.close();
}

// A callback that is awaited does not keep Node.js running.
setInterval(() => {}, 1000);
byPoll();
byBinding().then(byCallback).then(kicksByCallback).then(() => process.exit(0));
