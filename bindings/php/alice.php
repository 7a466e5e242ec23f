<?php
// Logs alice in. usage: php alice.php URL APP_ID TICKET (TIM_LIB names the library)
// Events are polled: PHP cannot take callbacks from other threads.
$tim = FFI::cdef(<<<C
    typedef struct { uint32_t size; int32_t type, code, connection_status, login_status, is_retryable;
                     uint64_t login_id; int64_t seconds_left; uintptr_t user_data; const char *message; } event;
    int32_t tim_client_create(const char *config, uint64_t *out, char *error, size_t capacity);
    int32_t tim_client_destroy(uint64_t client, int32_t timeout_ms);
    int32_t tim_login(uint64_t client, const char *user_id, const char *ticket, void *callback, uintptr_t user_data);
    int32_t tim_poll_event(uint64_t client, int32_t timeout_ms, event *out);
    C, getenv('TIM_LIB') ?: 'libtim.so.0');

[, $url, $app, $ticket] = $argv;
[$client, $error, $event] = [$tim->new('uint64_t[1]'), $tim->new('char[256]'), $tim->new('event')];
$config = json_encode(['server_url' => $url, 'sdk_app_id' => (int) $app, 'event_delivery' => 'poll']);
if ($tim->tim_client_create($config, $client, $error, 256) !== 0) exit(FFI::string($error) . "\n");
$tim->tim_login($client[0], 'alice', $ticket, null, 0);
$event->size = FFI::sizeof($event);
while ($tim->tim_poll_event($client[0], -1, FFI::addr($event)) === 0 && $event->type !== 6) {
    if ($event->type === 1) { // the completion of the login
        echo 'alice: ' . FFI::string($event->message) . "\n";
        $tim->tim_client_destroy($client[0], 0); // the closed event, 6, ends the loop
    }
    $event->size = FFI::sizeof($event);
}
