'use strict';
// Plays bindings/scenario. usage: node player.js

const readline = require('node:readline');
const { Client, TimError } = require('timlogin');

const clients = new Map();
const say = (...fields) => process.stdout.write(`${fields.join('\t')}\n`);
const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const details = {
  connection: ({ status, code }) => [snake(status), code],
  kickedOffline: ({ code, by }) => [code, by?.deviceName],
  userSigExpiring: ({ secondsLeft }) => [secondsLeft],
  userSigExpired: ({ code }) => [code],
};

async function report(name, client) {
  for await (const event of client.events()) say('event', name, snake(event.type), ...details[event.type](event));
}

function create(name, config) {
  const client = new Client(JSON.parse(config));
  clients.set(name, client);
  report(name, client);
}

const calls = {
  new: create,
  login: (name, userId, userSig) => clients.get(name).login(userId, userSig),
  logout: (name) => clients.get(name).logout(),
  renew_user_sig: (name, userSig) => clients.get(name).renewUserSig(userSig),
  notify: (name, hint) => clients.get(name).notify(hint === 'network_changed' ? 'networkChanged' : hint),
  close: (name) => clients.get(name).close(),
};
const questions = {
  login_status: ({ status }) => snake(status),
  connection_status: ({ connection }) => snake(connection),
  login_user: ({ user }) => user,
};

async function finish(call, name, ...fields) {
  try {
    await calls[call](name, ...fields);
    say('done', name, call, 0);
  } catch (error) {
    if (!(error instanceof TimError)) throw error;
    say('done', name, call, error.code);
  }
}

readline.createInterface({ input: process.stdin })
  .on('line', (line) => {
    const [request, name, ...fields] = line.split('\t');
    if (request === 'exit') process.exit(0);
    if (request in questions) say(request, name, questions[request](clients.get(name)));
    else finish(request, name, ...fields);
  })
  .on('close', () => clients.forEach((client) => client.unref()));
