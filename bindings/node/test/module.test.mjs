// The package: how it is loaded.

import assert from 'node:assert';
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { Client, TimError } from 'timlogin';

test('import and require give the same classes', () => {
  assert.deepStrictEqual({ ...createRequire(import.meta.url)('timlogin') }, { Client, TimError });
});

test('a library that is missing is named, with what to do', () => {
  const { stderr } = spawnSync(process.execPath, ['-e', "require('timlogin')"], {
    cwd: new URL('.', import.meta.url), encoding: 'utf8', env: { TIM_LIB: '/nowhere/libtim.so' },
  });
  assert.match(stderr, /Error: cannot load \/nowhere\/libtim.so: install libtim, or set TIM_LIB/);
});
