'use strict';
// The functions of libtim that this package calls, for koffi.

const koffi = require('koffi');

const Event = koffi.struct('tim_event', {
  size: 'uint32_t',
  type: 'int32_t',
  code: 'int32_t',
  connectionStatus: 'int32_t',
  loginStatus: 'int32_t',
  isRetryable: 'int32_t',
  loginId: 'uint64_t',
  secondsLeft: 'int64_t',
  userData: 'size_t',
  message: 'const char *',
});

function load(file) {
  try {
    return koffi.load(file);
  } catch (cause) {
    throw new Error(`cannot load ${file}: install libtim, or set TIM_LIB to the path of the library`, { cause });
  }
}

const lib = load(process.env.TIM_LIB || 'libtim.so.0');
const fcntl = koffi.load(null).func('int fcntl(int fd, int command, ...)');
const F_DUPFD_CLOEXEC = 1030;

// No callback is ever passed: events are polled. user_data carries a number.
const textOut = 'uint64_t client, _Out_ uint8_t *buffer, size_t capacity, _Out_ size_t *length';

module.exports = {
  Event,
  eventSize: koffi.sizeof(Event),
  create: lib.func(
    'int32_t tim_client_create(const char *config, _Out_ uint64_t *out, _Out_ uint8_t *error, size_t capacity)'),
  find: lib.func('int32_t tim_client_find(const char *name, _Out_ uint64_t *out)'),
  destroy: lib.func('int32_t tim_client_destroy(uint64_t client, int32_t timeout_ms)'),
  login: lib.func(
    'int32_t tim_login(uint64_t client, const char *user_id, const char *user_sig, void *callback, size_t user_data)'),
  logout: lib.func('int32_t tim_logout(uint64_t client, void *callback, size_t user_data)'),
  renewUserSig: lib.func(
    'int32_t tim_renew_user_sig(uint64_t client, const char *user_sig, void *callback, size_t user_data)'),
  notify: lib.func('int32_t tim_notify(uint64_t client, int32_t hint)'),
  poll: lib.func('int32_t tim_poll_event(uint64_t client, int32_t timeout_ms, _Inout_ tim_event *event)'),
  wakeupFd: lib.func('int32_t tim_get_wakeup_fd(uint64_t client, _Out_ int32_t *fd)'),
  loginStatus: lib.func('int32_t tim_get_login_status(uint64_t client)'),
  connectionStatus: lib.func('int32_t tim_get_connection_status(uint64_t client)'),
  loginUser: lib.func(`int32_t tim_get_login_user(${textOut})`),
  kickInfo: lib.func(`int32_t tim_get_kick_info(${textOut})`),
  lastError: lib.func(`int32_t tim_get_last_error(${textOut})`),
  serverTimeMs: lib.func('int32_t tim_get_server_time_ms(uint64_t client, _Out_ int64_t *out)'),
  errorName: lib.func('const char *tim_error_name(int32_t code)'),
  errorMessage: lib.func('const char *tim_error_message(int32_t code)'),
  errorIsRetryable: lib.func('int32_t tim_error_is_retryable(int32_t code)'),
  // Programs that are started do not get the copy, and it is none of the standard streams.
  duplicate: (fd) => fcntl(fd, F_DUPFD_CLOEXEC, 'int', 3),
};
