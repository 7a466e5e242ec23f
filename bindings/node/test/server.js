'use strict';
// A tim-server for tests, with tickets and clients for it. TIM_SERVER is the program.

const { execFileSync, spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { Client } = require('timlogin');

const program = process.env.TIM_SERVER;

class Server {
  #folder = fs.mkdtempSync(path.join(os.tmpdir(), 'timlogin-'));
  #data = path.join(this.#folder, 'data');
  #process;
  #clients = [];

  async start() {
    this.#process = spawn(program, ['serve', '--listen', '127.0.0.1:0', '--data-dir', this.#data],
      { stdio: ['ignore', 'pipe', 'ignore'] });
    const [ready] = await once(this.#process.stdout, 'data');
    this.url = `http://${/http=(\S+)/.exec(ready)[1]}`;
    this.appId = Number(fs.readFileSync(path.join(this.#data, 'sdk_app_id'), 'utf8'));
  }

  // Also closes the clients that a test that failed has left open.
  async stop() {
    this.#clients.forEach((client) => client.close());
    this.#process.kill('SIGKILL');
    await once(this.#process, 'exit');
    fs.rmSync(this.#folder, { recursive: true });
  }

  ticket(userId, seconds = 3600) {
    return execFileSync(program,
      ['usersig', '--user-id', userId, '--expire', String(seconds), '--data-dir', this.#data],
      { encoding: 'utf8' }).trim();
  }

  config(more = {}) {
    return { server_url: this.url, sdk_app_id: this.appId, ...more };
  }

  client(more) {
    const client = new Client(this.config(more));
    this.#clients.push(client);
    return client;
  }
}

module.exports = { Server };
