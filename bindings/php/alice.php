<?php
// Logs alice in. usage: php alice.php URL APP_ID TICKET (TIM_LIB names the library)
$tim = FFI::cdef(<<<C
    typedef struct { uint32_t size; int32_t type, code, connection_status, login_status, is_retryable;
                     uint64_t login_id; int64_t seconds_left; uintptr_t user_data; const char *message; } event;
    int32_t tim_client_create(const char *config, uint64_t *out, char *error, size_t capacity);
    int32_t tim_login(uint64_t client, const char *user_id, const char *user_sig, void *callback, uintptr_t user_data);
    int32_t tim_poll_event(uint64_t client, int32_t timeout_ms, event *out);
    const char *tim_error_message(int32_t code);
    C, getenv('TIM_LIB') ?: 'libtim.so.0');
$check = fn ($code, $said = '') => $code === 0 or throw new RuntimeException($said ?: $tim->tim_error_message($code));

[, $url, $app, $ticket] = $argv;
[$client, $error, $event] = [$tim->new('uint64_t[1]'), $tim->new('char[256]'), $tim->new('event')];
$config = json_encode(['server_url' => $url, 'sdk_app_id' => (int) $app, 'event_delivery' => 'poll']);
$check($tim->tim_client_create($config, $client, $error, 256), FFI::string($error));
$check($tim->tim_login($client[0], 'alice', $ticket, null, 0));
do {
    $event->size = FFI::sizeof($event);
    $check($tim->tim_poll_event($client[0], -1, FFI::addr($event)));
} while ($event->type !== 1); // the completion of the login
$check($event->code);
echo "alice: logged in\n";
