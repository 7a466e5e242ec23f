'use strict';
// Tests that fail instead of waiting for ever.

const { test } = require('node:test');

exports.test = (name, body) => test(name, { timeout: 60_000 }, body);
