#!/usr/bin/env node
// Prints tickets of the npm package tls-sig-api-v2 as JSON lines.
//
// Arguments and fields are those of generate.py. The userbuf is one that the package itself makes:
// for a numeric room, and for a room with a name.
'use strict';

const fs = require('fs');
const path = require('path');
const { parseArgs } = require('util');

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    packages: { type: 'string' },
    time: { type: 'string' },
    expire: { type: 'string', multiple: true, default: ['86400'] },
  },
});
const [appId, keyFile, ...userIds] = positionals;
if (!values.packages || userIds.length === 0) {
  console.error('usage: generate.js --packages DIR [--time SECONDS] [--expire SECONDS]... SDK_APP_ID KEY_FILE USER_ID...');
  process.exit(2);
}

const packageDir = path.resolve(values.packages, 'node_modules', 'tls-sig-api-v2');
const { version } = JSON.parse(fs.readFileSync(path.join(packageDir, 'package.json'), 'utf8'));
const now = values.time === undefined ? Math.floor(Date.now() / 1000) : Number(values.time);
// The package reads the clock itself: it gets one that stands still.
Date.now = () => now * 1000;

const key = fs.readFileSync(keyFile, 'utf8').replace(/\r?\n$/, '');
const api = new (require(packageDir).Api)(Number(appId), key);

for (const userId of userIds) {
  for (const expire of values.expire.map(Number)) {
    const numericRoom = api._genUserbuf(userId, 10000, expire, 255, 0, null);
    const namedRoom = api._genUserbuf(userId, 0, expire, 42, 0, 'room-1');
    for (const [userbuf, userSig] of [
      [null, api.genUserSig(userId, expire)],
      [numericRoom, api.genPrivateMapKey(userId, expire, 10000, 255)],
      [namedRoom, api.genPrivateMapKeyWithStringRoomID(userId, expire, 'room-1', 42)],
    ]) {
      console.log(JSON.stringify({
        package: 'npm tls-sig-api-v2',
        version,
        sdk_app_id: Number(appId),
        user_id: userId,
        issued_s: now,
        expire_s: expire,
        userbuf: userbuf && userbuf.toString('base64'),
        user_sig: userSig,
      }));
    }
  }
}
