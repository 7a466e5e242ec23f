/*
 * libtim 0.1.0: sign-in for instant messaging, as a C library.
 *
 * Made by build.rs from include/tim.h.in, src/ffi and src/error.rs: change those, not this file.
 * Licence: MIT OR Apache-2.0.
 *
 *
 * What it is
 * ----------
 *
 * A client logs one user of an app in to a tim-server, keeps that session, and knows at every
 * moment whether the user is logged in and, if not, why. "Logged in" is true only after the server
 * has said so, and it stays true over a lost network: only the server's word ends a session, or
 * yours.
 *
 * A user proves who they are with a ticket (a "UserSig"), a text that your backend makes from the
 * user's id and the app's secret key. `tim-server usersig --user-id alice` makes one for tests. The
 * key never comes near this library.
 *
 *
 * An example
 * ----------
 *
 *     #include <stdio.h>
 *     #include <tim.h>
 *
 *     static void logged_in(int32_t code, const char *message, void *user_data) {
 *         printf("%s: %s (%d)\n", (const char *)user_data, message, (int)code);
 *     }
 *
 *     int main(int argc, char **argv) {                 // arguments: the app's id, alice's ticket
 *         char config[200], error[200];
 *         tim_client client;
 *         if (argc != 3) return 2;
 *         snprintf(config, sizeof config,
 *                  "{\"server_url\": \"http://127.0.0.1:7700\", \"sdk_app_id\": %s}", argv[1]);
 *         if (tim_client_create(config, &client, error, sizeof error) != TIM_OK) {
 *             fprintf(stderr, "%s\n", error);
 *             return 1;
 *         }
 *         tim_login(client, "alice", argv[2], logged_in, "alice");
 *         getchar();                                    // Enter ends the program
 *         while (tim_client_destroy(client, 1000) == TIM_ERR_BUSY) {}
 *         return 0;
 *     }
 *
 *
 * Calls and completions
 * ---------------------
 *
 * Functions return TIM_OK (0) or a code, unless they say otherwise. Calls that talk to the server
 * (tim_login, tim_logout, tim_renew_user_sig) do not wait for it:
 *
 * - TIM_OK means accepted, and then the call's callback runs exactly once, within the time limits
 *   of the configuration, whatever happens: success, refusal, no network, destroy.
 * - Any other code means refused. Nothing has changed, and the callback will not run.
 *
 * The callback may be NULL if you do not care. At most 64 accepted calls of a client may be
 * unfinished; the next is refused with TIM_ERR_TOO_MANY_CALLS.
 *
 *
 * Threads and callbacks
 * ---------------------
 *
 * Every function may be called on any thread at any time, also inside callbacks and at-fork handlers.
 * No function blocks on the network. These wait for something else:
 *
 *   tim_client_destroy          up to timeout_ms, for callbacks that have not returned
 *   setters of callbacks        up to 5 seconds, for the old callback to return
 *   tim_client_create           reads `ca_file` and, with `system_roots`, the system's certificates
 *
 * Before you call one of the first two, release every lock that your callbacks take.
 *
 * Each client has one thread of its own, and all of its callbacks run there, one at a time, with no
 * lock held. A slow callback therefore delays this client's other callbacks and its network, and
 * nothing else; time spent in callbacks, those of the log too, does not count against a call's time
 * limit. A callback never runs inside the call that caused it, but it may run before that call has returned. The
 * thread has 1 MiB of stack.
 *
 * Completions run in the order of their calls, and before the events that they cause. Events carry
 * the number of the login that they belong to (tim_get_login_id); once tim_login has returned
 * TIM_OK, events of earlier logins are not told any more. An event says what was true when it
 * happened; getters tell what is true now.
 *
 * Setting a callback is a barrier: when a setter returns TIM_OK, the old callback is not running and
 * will not run again. Inside a callback a setter cannot wait for that, and says so with
 * TIM_ERR_IN_CALLBACK; if the old callback does not return for 5 seconds, the code is TIM_ERR_BUSY.
 * The new callback is set all the same.
 *
 * A callback must return. Do not leave it by an exception, longjmp, pthread_exit or cancellation: the
 * process would be ended. A longjmp within it, such as a signal handler's siglongjmp, is fine.
 *
 *
 * Ownership
 * ---------
 *
 * A tim_client is a number and not a pointer. It is never given twice, so a number that is not, or
 * no longer, a client gets TIM_ERR_NO_SUCH_CLIENT, and never crashes.
 *
 * What you pass in is copied or read during the call; free it when the call returns. `user_data` is
 * yours: the library hands it back and never looks at it. You may free it when its completion has
 * run, when the setter of its event has returned TIM_OK, or when the client is closed:
 * tim_client_destroy has returned TIM_OK, or the closed event has run.
 *
 * Text that comes out is of two kinds. `const char *` from a function, and `message` in callbacks, is
 * static: valid for ever, not to be freed. Everything else is copied into a buffer of yours. The one
 * text that lives only during a call is the line of a log callback.
 *
 *
 * Errors
 * ------
 *
 * A code is a stable number: compare it with TIM_ERR_*, show people tim_error_message. Whether it
 * makes sense to try again unchanged is tim_error_is_retryable. What exactly went wrong (which
 * address, how far it came, in which words, how long to wait) is tim_get_last_error.
 *
 * A fault of the library itself is TIM_ERR_PANIC: the client completes its calls with that code, runs
 * the closed event and tells the log where it happened; it takes no call but tim_client_destroy from
 * then on. Please report it.
 *
 * Misuse gets a code too and changes nothing: NULL, bad UTF-8, a handle that is none, a call at the
 * wrong time. Only memory that is not what you say it is (a pointer to nowhere, a text without its
 * NUL, a buffer smaller than its capacity) is beyond checking.
 *
 *
 * Strings
 * -------
 *
 * Strings are UTF-8 and end with a NUL, both ways. Functions that copy text out take a buffer, its
 * capacity in bytes and a place for the length, which does not count the NUL. If the buffer is too
 * small, the length is stored, the buffer is not touched and the code is TIM_ERR_BUFFER_TOO_SMALL;
 * NULL with capacity 0 asks for the length this way.
 *
 * What a file or a form puts around a ticket or a value of the configuration (a line end, blanks, a byte
 * order mark) is no part of it. A user id is taken as it is.
 *
 *
 * Configuration
 * -------------
 *
 * tim_client_create takes a JSON object. A key that is not in this list is refused by name; null is as
 * good as leaving it out.
 *
 *   server_url          required: "http://HOST[:PORT]" or "https://HOST[:PORT]". http:// is used
 *                       only where the address is of this machine, see allow_plaintext.
 *   sdk_app_id          required: the app's number, 1 to 4294967295.
 *   device_id           which device this is: up to 64 bytes without control characters. Keep it in
 *                       your settings: without it every start is a new device. Two clients of one
 *                       process cannot have the same server_url, sdk_app_id and device_id.
 *   platform            "android", "iphone", "ipad", "windows", "mac", "linux" or "web". Default: the
 *                       system that the library was built for.
 *   device_name         what the device calls itself, for people, in any language. Control characters
 *                       are taken out, and what is longer than 64 bytes is cut at a character.
 *   login_timeout_ms    limit of a login, all tries together. Default 15000.
 *   request_timeout_ms  limit of a logout or a renewal. Default 5000.
 *   reconnect           {"first_ms": 1000, "max_ms": 60000}: waits between tries to connect again
 *                       are random, at most first_ms at first, and grow to at most max_ms.
 *   user_sig_expiring_lead_s
 *                       how many seconds ahead of the ticket's end the expiring event comes. Default
 *                       600; for a short ticket, its last tenth.
 *   ca_file             a PEM file of certificate authorities in place of the built-in ones (those of
 *                       Mozilla). A server's certificate that is its own authority, as
 *                       `openssl req -x509` makes it, is trusted if it stands here. Read by
 *                       tim_client_create.
 *   system_roots        true: trust the system's authorities too. Read by tim_client_create.
 *   proxy               "http://[USER:PASSWORD@]HOST:PORT", or "env" for what the environment says:
 *                       https_proxy or HTTPS_PROXY for https://, http_proxy for http://, then all_proxy
 *                       or ALL_PROXY, unless no_proxy or NO_PROXY names the server (names, domains,
 *                       addresses as in 10.0.0.0/8, or *). Without it the environment is not looked at.
 *   allow_plaintext     true: use http:// to other machines too. Tickets can then be read on the way.
 *
 *
 * The process around it
 * ---------------------
 *
 * Signals: the library installs no handlers and raises no SIGPIPE. Its threads block the signals that
 * are for your threads. They do not block what a fault raises (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP,
 * SIGSYS, SIGABRT), so that crash reporters see what your callbacks do. SIGUSR1, SIGUSR2, SIGPWR, SIGXCPU
 * and the real-time signals, by which garbage collectors stop threads, they block if the thread that
 * called tim_client_create does. While a callback runs, the mask is that of tim_client_create's thread:
 * what you spawn there inherits it.
 *
 * Descriptors: the library's are close-on-exec, and never 0, 1 or 2, even where you have closed yours.
 *
 * Output: nothing is written to stdout, stderr or files. Logs go to your tim_set_log_callback.
 *
 * fork: clients belong to the process that created them. In the child their handles answer
 * TIM_ERR_FORKED (the status getters answer 0), and their sockets are closed there, so that the
 * parent's sessions are not disturbed. The child may create clients of its own; the log callback is
 * its own too. A fork inside a callback is for exec: when the callback returns in the child, the child
 * ends, as if by _exit(0).
 *
 * exit: nothing needs to be called before. Clients that live on end with the process; the server
 * keeps their sessions for a while, since a program that went away is not a logout. Callbacks may
 * still run while atexit handlers and static destructors do. If yours use what those take away, destroy
 * the clients first: at the end of main, or in an atexit handler that you register after everything
 * that callbacks use. An exit inside a callback cannot wait for that callback.
 *
 * dlclose: destroy your clients first. The library stays mapped until the process ends, and may be
 * opened again.
 *
 *
 * Binary compatibility
 * --------------------
 *
 * The shared library is libtim.so.0; the number is TIM_ABI_VERSION. It changes only when a
 * program that was linked with an older library would break: functions do not go away or change
 * their parameters, numbers keep their meaning, and structs grow only at their end. A program may
 * run with a newer library than it was compiled for. New codes may appear at any time: treat a code
 * that you do not know as a failure, and ask tim_error_is_retryable.
 */

#ifndef TIM_H
#define TIM_H

#include <stddef.h>
#include <stdint.h>

/** The version of this header. tim_version_number() tells that of the library that is running. */
#define TIM_VERSION_MAJOR 0
#define TIM_VERSION_MINOR 1
#define TIM_VERSION_PATCH 0
/** The version as one number: 0xMMmmpp. */
#define TIM_VERSION_NUMBER (TIM_VERSION_MAJOR << 16 | TIM_VERSION_MINOR << 8 | TIM_VERSION_PATCH)
/** The version as text. */
#define TIM_VERSION_STRING "0.1.0"
/** Whether this header is of the given version or a later one; for #if. */
#define TIM_VERSION_CHECK(major, minor, patch) \
    (TIM_VERSION_NUMBER >= ((major) << 16 | (minor) << 8 | (patch)))
/** The number in the name of the shared library. */
#define TIM_ABI_VERSION 0

/* TIM_API stands before each function. Define TIM_STATIC when you link libtim.a. */
#if defined(TIM_STATIC)
#  define TIM_API
#elif defined(_WIN32) && defined(TIM_BUILDING_LIBRARY)
#  define TIM_API __declspec(dllexport)
#elif defined(_WIN32)
#  define TIM_API __declspec(dllimport)
#elif defined(__GNUC__)
#  define TIM_API __attribute__((visibility("default")))
#else
#  define TIM_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* --------------------------------------------------------------------------------------------
 * Codes: what functions return and callbacks carry
 * -------------------------------------------------------------------------------------------- */

/** success */
#define TIM_OK 0
/** nobody is logged in: log in first */
#define TIM_ERR_NOT_LOGGED_IN 6014
/** the login was ended by a logout */
#define TIM_ERR_LOGGED_OUT_DURING_LOGIN 6023
/** this ticket has expired by the server's clock: log in with a new one */
#define TIM_ERR_USER_SIG_EXPIRED_LOCALLY 6206
/** another device took the session over while this one was away: log in again to take it back */
#define TIM_ERR_KICKED_WHILE_OFFLINE 6208
/** 64 calls of this client are unfinished: wait for a completion (retryable) */
#define TIM_ERR_TOO_MANY_CALLS 6212
/** a user id has 1 to 32 bytes of UTF-8 and no control characters; a line end at its end is one */
#define TIM_ERR_INVALID_USER_ID 7003
/** the client was destroyed before the call finished */
#define TIM_ERR_INTERRUPTED 7009
/** a login of this user is in progress: wait for its completion (retryable) */
#define TIM_ERR_LOGIN_IN_PROGRESS 7501
/** a logout is in progress: wait for its completion (retryable) */
#define TIM_ERR_LOGOUT_IN_PROGRESS 7502
/** a later call took the place of this one */
#define TIM_ERR_SUPERSEDED 7700
/** called inside a callback, which waits for nothing: what was asked is done or has begun, but a callback may still be running */
#define TIM_ERR_IN_CALLBACK 7701
/** a callback has not returned yet: what was asked is done or has begun; call again to wait for the callback (retryable) */
#define TIM_ERR_BUSY 7702
/** the client is being destroyed */
#define TIM_ERR_CLOSING 7703
/** this client belongs to the parent process: create a new one after fork */
#define TIM_ERR_FORKED 7704
/** no such client: the handle is 0, was destroyed or never was one */
#define TIM_ERR_NO_SUCH_CLIENT 7705
/** a client of this process with the same server, app and device_id is alive: destroy it first or use another device_id */
#define TIM_ERR_DEVICE_IN_USE 7706
/** this call does not fit the client's event_delivery */
#define TIM_ERR_WRONG_DELIVERY_MODE 7707
/** nothing happened within the given time (retryable) */
#define TIM_ERR_TIMEOUT 7708
/** the buffer is too small: the needed length was stored */
#define TIM_ERR_BUFFER_TOO_SMALL 7709
/** a text is not valid UTF-8 */
#define TIM_ERR_INVALID_UTF8 7710
/** an argument that must not be NULL is NULL */
#define TIM_ERR_NULL_ARGUMENT 7711
/** libtim failed inside: please report it */
#define TIM_ERR_PANIC 7712
/** the TLS handshake failed (retryable) */
#define TIM_ERR_TLS 7713
/** the server's certificate is not accepted: check the name, the date and the authority, or set ca_file */
#define TIM_ERR_CERTIFICATE 7714
/** an HTTP error of a gateway in front of the server (retryable) */
#define TIM_ERR_HTTP 7715
/** the answer is not from a tim-server: check server_url, and whether the network asks for a sign-in page */
#define TIM_ERR_NOT_TIM_SERVER 7716
/** the proxy did not open a connection to the server (retryable) */
#define TIM_ERR_PROXY 7717
/** the proxy asks for a user name and password: check proxy */
#define TIM_ERR_PROXY_AUTH 7718
/** the configuration is not valid: the error text names the key */
#define TIM_ERR_INVALID_CONFIG 7719
/** an argument is outside its range */
#define TIM_ERR_INVALID_ARGUMENT 7720
/** the server's time is not known before the first login (retryable) */
#define TIM_ERR_SERVER_TIME_UNKNOWN 7721
/** http:// is used on this machine only: use https://, or set allow_plaintext */
#define TIM_ERR_PLAINTEXT_REFUSED 7722
/** this process has the largest number of clients: destroy one first */
#define TIM_ERR_TOO_MANY_CLIENTS 7723
/** the server takes no more logins for now: try again after the time in tim_get_last_error (retryable) */
#define TIM_ERR_SERVER_OVERLOADED 7724
/** the system refused a thread, a socket or memory (retryable) */
#define TIM_ERR_SYSTEM 7725
/** the server does not know the session's token any more (retryable) */
#define TIM_ERR_SESSION_TOKEN_INVALID 7726
/** no connection to the server within the time limit: check the address and firewalls (retryable) */
#define TIM_ERR_CONNECT_TIMEOUT 9510
/** the server's address refused the connection: check that tim-server runs there and the port is right (retryable) */
#define TIM_ERR_CONNECT_REFUSED 9511
/** no route to the server: check the network (retryable) */
#define TIM_ERR_NETWORK_UNREACHABLE 9512
/** the system has no socket or buffer left (retryable) */
#define TIM_ERR_NO_SOCKET 9513
/** the connection was cut (retryable) */
#define TIM_ERR_CONNECTION_RESET 9514
/** the server's name could not be looked up: check server_url and the network (retryable) */
#define TIM_ERR_NAME_NOT_FOUND 9516
/** connected, but no answer within the time limit (retryable) */
#define TIM_ERR_RESPONSE_TIMEOUT 9520
/** the ticket has expired: log in with a new one */
#define TIM_ERR_USER_SIG_EXPIRED 70001
/** the ticket is empty: make one on your backend */
#define TIM_ERR_USER_SIG_EMPTY 70002
/** the ticket cannot be read: check that it is whole and at most 4096 bytes long */
#define TIM_ERR_USER_SIG_UNREADABLE 70003
/** the ticket is not valid: make a new one */
#define TIM_ERR_USER_SIG_UNREADABLE_EX 70005
/** the ticket was not made with this app's key, or was changed: check the key that makes your tickets */
#define TIM_ERR_USER_SIG_WRONG_KEY 70009
/** the ticket was made for another user: make one for this user id */
#define TIM_ERR_USER_SIG_OTHER_USER 70013
/** the ticket was made for another app: check sdk_app_id and the key that makes your tickets */
#define TIM_ERR_USER_SIG_OTHER_APP 70014
/** the server has no key for this app: its operator must add one */
#define TIM_ERR_APP_KEY_NOT_FOUND 70016
/** the server does not know this app: check sdk_app_id */
#define TIM_ERR_APP_NOT_FOUND 70020
/** too many refused tickets: check how tickets are made and try again later (retryable) */
#define TIM_ERR_TOO_MANY_FAILURES 70050
/** the account is banned */
#define TIM_ERR_BANNED 70051
/** the ticket was revoked: log in with a new one */
#define TIM_ERR_USER_SIG_REVOKED 70052
/** the account does not exist */
#define TIM_ERR_ACCOUNT_NOT_FOUND 70107
/** logins too often: wait as long as tim_get_last_error says (retryable) */
#define TIM_ERR_LOGIN_TOO_OFTEN 70114
/** the server ran into a time limit of its own (retryable) */
#define TIM_ERR_SERVER_TIMEOUT 70169
/** the server does not understand this version of libtim */
#define TIM_ERR_BAD_REQUEST 70402
/** the server failed: try again (retryable) */
#define TIM_ERR_SERVER_ERROR 70500

/* --------------------------------------------------------------------------------------------
 * Version of the library
 * -------------------------------------------------------------------------------------------- */
/**
 * The version of the library that is running, as TIM_VERSION_NUMBER is made: 0xMMmmpp.
 *
 * Compare it with TIM_VERSION_NUMBER, which is the version of the header, to find out that a
 * program runs with another library than it was compiled for. Any thread; never blocks.
 */
TIM_API uint32_t tim_version_number(void);

/**
 * The version of the library that is running, as text: "0.1.0". Static, valid forever.
 * Any thread; never blocks.
 */
TIM_API const char *tim_version(void);


/* --------------------------------------------------------------------------------------------
 * Names and texts of codes
 * -------------------------------------------------------------------------------------------- */
/**
 * The name of a code as this header spells it: "TIM_ERR_CONNECT_REFUSED".
 *
 * "TIM_ERR_UNKNOWN" for a number that this version does not know. Static, valid forever, never
 * NULL. Any thread; never blocks; may be called in a callback.
 */
TIM_API const char *tim_error_name(int32_t code);

/**
 * What a code means and what to do about it, in one sentence for people.
 *
 * The same text that callbacks get as `message`. "unknown code" for a number that this version
 * does not know. Static, valid forever, never NULL. Any thread; never blocks; may be called in a
 * callback.
 */
TIM_API const char *tim_error_message(int32_t code);

/**
 * 1 if the same call may succeed later without any change, 0 if something must change first
 * (another ticket, another argument, another configuration) or if the code is not known.
 *
 * Where a server says how long to wait, tim_get_last_error has it as `retry_after_ms`.
 * Any thread; never blocks; may be called in a callback.
 */
TIM_API int32_t tim_error_is_retryable(int32_t code);


/* --------------------------------------------------------------------------------------------
 * Creating and destroying clients
 * -------------------------------------------------------------------------------------------- */
/**
 * A client: one account's login in this process. A plain number below 2^53, never given twice;
 * 0 is never a client. It needs no freeing of its own: tim_client_destroy ends it.
 */
typedef uint64_t tim_client;

/**
 * Creates a client and starts its network thread. Nothing is sent until tim_login.
 *
 * @param config_json  the configuration, see "Configuration" above. Read during the call.
 * @param out          gets the client; written only on success.
 * @param error        NULL, or a buffer for a sentence that says what is wrong with the
 *                     configuration and what would be right. It is cut to fit, is always
 *                     NUL-terminated, and is empty on success.
 * @param error_capacity  size of `error` in bytes.
 *
 * Returns TIM_OK, TIM_ERR_NULL_ARGUMENT (config_json or out), TIM_ERR_INVALID_UTF8,
 * TIM_ERR_INVALID_CONFIG, TIM_ERR_DEVICE_IN_USE, TIM_ERR_TOO_MANY_CLIENTS, or TIM_ERR_SYSTEM
 * when there is no thread or socket to be had.
 *
 * Any thread; may be called in a callback. Reads `ca_file` and the system's authorities if the
 * configuration says so, otherwise never blocks.
 */
TIM_API
int32_t tim_client_create(const char *config_json,
                          tim_client *out,
                          char *error,
                          size_t error_capacity);

/**
 * Destroys a client. It does not log out on the server: see tim_logout.
 *
 * timeout_ms > 0, outside of callbacks: unfinished calls complete with TIM_ERR_INTERRUPTED, the
 * closed event is delivered, and then TIM_OK is returned: no callback of this client runs after
 * that, its thread has ended, and all `user_data` may be freed. If the time passes first, because
 * a callback has not returned: TIM_ERR_BUSY. The client goes on closing; call again, on any thread.
 *
 * timeout_ms = 0: begins the closing and returns TIM_ERR_BUSY. The completions with
 * TIM_ERR_INTERRUPTED follow, and last of all the closed event, after which no callback runs. The
 * client frees itself then, and a later tim_client_destroy gets TIM_ERR_NO_SUCH_CLIENT.
 *
 * Inside a callback of any client: the same, with TIM_ERR_IN_CALLBACK. It does not help to call
 * again there.
 *
 * A client that is closed already is freed by a call of any kind, which returns TIM_OK.
 *
 * Returns TIM_OK, TIM_ERR_BUSY, TIM_ERR_IN_CALLBACK, TIM_ERR_NO_SUCH_CLIENT, TIM_ERR_FORKED, or
 * TIM_ERR_INVALID_ARGUMENT (timeout_ms is negative).
 *
 * Any thread; may be called in a callback. Blocks for up to timeout_ms: release every lock that your
 * callbacks take before you call it.
 */
TIM_API
int32_t tim_client_destroy(tim_client client,
                           int32_t timeout_ms);


/* --------------------------------------------------------------------------------------------
 * Login and logout
 * -------------------------------------------------------------------------------------------- */
/**
 * What the app knows of the world around it.
 */
enum tim_hint
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Another network, or the same one again.
     */
    TIM_HINT_NETWORK_CHANGED = 1,
    /**
     * The app came to the foreground.
     */
    TIM_HINT_FOREGROUND = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tim_hint tim_hint;
#else
typedef int32_t tim_hint;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Runs once when an accepted call has finished.
 *
 * On the client's network thread, never inside the call that caused it, though perhaps before
 * that call has returned. `code` is TIM_OK or what went wrong; `message` is its static text
 * (valid forever, never NULL); `user_data` is what the call was given.
 */
typedef void (*tim_result_callback)(int32_t code, const char *message, void *user_data);

/**
 * Logs a user in.
 *
 * TIM_OK: accepted. The status is TIM_LOGIN_STATUS_LOGGING_IN at once, and `callback` runs
 * exactly once, within the configuration's `login_timeout_ms`: with TIM_OK when the server has
 * accepted the login, with the server's code when it has refused it, or with the network's code
 * (TIM_ERR_CONNECT_REFUSED and such) when it was not reached in time. tim_get_last_error has
 * the details. Any other return value: refused, nothing has changed, and `callback` will not run.
 *
 * While the same user is logging in, the second call completes with TIM_ERR_LOGIN_IN_PROGRESS.
 * While another user is logging in, that login completes with TIM_ERR_SUPERSEDED and this one
 * takes its place. While the same user is logged in, the session goes on with the new ticket if
 * the server accepts it. While another user is logged in, that session ends.
 *
 * @param user_id    1 to 32 bytes of UTF-8 without control characters. Copied.
 * @param user_sig   the ticket, at most 4096 bytes, not opened here; blanks and line ends around it do
 *                   not count. Copied.
 * @param callback   NULL if the result does not matter.
 * @param user_data  handed to `callback`, never looked at.
 *
 * Returns TIM_OK, TIM_ERR_NULL_ARGUMENT, TIM_ERR_INVALID_UTF8, TIM_ERR_INVALID_USER_ID,
 * TIM_ERR_USER_SIG_EMPTY, TIM_ERR_USER_SIG_UNREADABLE (too long), TIM_ERR_TOO_MANY_CALLS,
 * TIM_ERR_NO_SUCH_CLIENT, TIM_ERR_CLOSING or TIM_ERR_FORKED.
 *
 * Any thread; may be called in a callback; never blocks.
 */
TIM_API
int32_t tim_login(tim_client client,
                  const char *user_id,
                  const char *user_sig,
                  tim_result_callback callback,
                  void *user_data);

/**
 * Logs the user out.
 *
 * TIM_OK: accepted. The status is TIM_LOGIN_STATUS_LOGGED_OUT at once, and `callback` runs
 * exactly once: with TIM_OK when the server has been told, or with the network's code when it
 * could not be told within the configuration's `request_timeout_ms`; the user is logged out
 * here all the same. A login in progress completes with TIM_ERR_LOGGED_OUT_DURING_LOGIN, and
 * then the logout with TIM_OK. Nobody logged in: TIM_OK. While a logout is in progress, the
 * second completes with TIM_ERR_LOGOUT_IN_PROGRESS.
 *
 * Returns TIM_OK, TIM_ERR_TOO_MANY_CALLS, TIM_ERR_NO_SUCH_CLIENT, TIM_ERR_CLOSING or
 * TIM_ERR_FORKED.
 *
 * Any thread; may be called in a callback; never blocks.
 */
TIM_API int32_t tim_logout(tim_client client, tim_result_callback callback, void *user_data);

/**
 * Gives the session a new ticket, without a gap: the connection stays until the server has accepted
 * the ticket, and nobody else is signed out.
 *
 * TIM_OK: accepted. `callback` runs exactly once, within the configuration's `request_timeout_ms`:
 * with TIM_OK when the session goes on with the new ticket; with the server's code when it has
 * refused it, and the session goes on with the old one; with the network's code when the server was
 * not reached in time, likewise. Without a connection the ticket goes along when the session is
 * resumed. Nobody logged in, or no longer: completes with TIM_ERR_NOT_LOGGED_IN. During a login:
 * TIM_ERR_LOGIN_IN_PROGRESS. A second renewal takes the place of the first, which completes with
 * TIM_ERR_SUPERSEDED.
 *
 * @param user_sig   a ticket of the user who is logged in, at most 4096 bytes. Copied.
 * @param callback   NULL if the result does not matter.
 * @param user_data  handed to `callback`, never looked at.
 *
 * Returns TIM_OK, TIM_ERR_NULL_ARGUMENT, TIM_ERR_INVALID_UTF8, TIM_ERR_USER_SIG_EMPTY,
 * TIM_ERR_USER_SIG_UNREADABLE (too long), TIM_ERR_TOO_MANY_CALLS, TIM_ERR_NO_SUCH_CLIENT,
 * TIM_ERR_CLOSING or TIM_ERR_FORKED.
 *
 * Any thread; may be called in a callback; never blocks.
 */
TIM_API
int32_t tim_renew_user_sig(tim_client client,
                           const char *user_sig,
                           tim_result_callback callback,
                           void *user_data);

/**
 * Tells the library what it cannot see: the connection is tried at once instead of after the rest of
 * its wait, and a connection that looks open is checked. A hint within 2 seconds of an attempt joins
 * it, so calling this often does no harm. Not needed after sleep, which the library notices itself.
 *
 * @param hint  TIM_HINT_NETWORK_CHANGED or TIM_HINT_FOREGROUND.
 *
 * Returns TIM_OK, TIM_ERR_INVALID_ARGUMENT, TIM_ERR_NO_SUCH_CLIENT, TIM_ERR_CLOSING or
 * TIM_ERR_FORKED.
 *
 * Any thread; may be called in a callback; never blocks.
 */
TIM_API
int32_t tim_notify(tim_client client,
                   int32_t hint);


/* --------------------------------------------------------------------------------------------
 * What is true now
 * -------------------------------------------------------------------------------------------- */
/**
 * Whether somebody is logged in.
 */
enum tim_login_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The server accepted the login, and nothing has ended it since. A lost connection does not.
     */
    TIM_LOGIN_STATUS_LOGGED_IN = 1,
    /**
     * A login is in progress.
     */
    TIM_LOGIN_STATUS_LOGGING_IN = 2,
    /**
     * Nobody is logged in.
     */
    TIM_LOGIN_STATUS_LOGGED_OUT = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tim_login_status tim_login_status;
#else
typedef int32_t tim_login_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The connection to the server.
 */
enum tim_connection_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The connection is open.
     */
    TIM_CONNECTION_STATUS_CONNECTED = 1,
    /**
     * There is none, and none is being opened.
     */
    TIM_CONNECTION_STATUS_DISCONNECTED = 2,
    /**
     * One is being opened.
     */
    TIM_CONNECTION_STATUS_CONNECTING = 3,
    /**
     * The last attempt failed. Where somebody is logged in or logging in, another follows.
     */
    TIM_CONNECTION_STATUS_CONNECT_FAILED = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tim_connection_status tim_connection_status;
#else
typedef int32_t tim_connection_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The login status: TIM_LOGIN_STATUS_LOGGED_IN, _LOGGING_IN or _LOGGED_OUT; 0 if there is no such
 * client, if it is being destroyed, or if it belongs to the parent process.
 *
 * Any thread; may be called in a callback; one atomic read.
 */
TIM_API int32_t tim_get_login_status(tim_client client);

/**
 * The connection status: TIM_CONNECTION_STATUS_*; 0 as in tim_get_login_status.
 *
 * Any thread; may be called in a callback; one atomic read.
 */
TIM_API int32_t tim_get_connection_status(tim_client client);

/**
 * Which login the status belongs to: logins of a client are counted from 1, and events carry
 * the number of theirs. 0 before the first login, and where there is no such client.
 *
 * Any thread; may be called in a callback; never blocks.
 */
TIM_API uint64_t tim_get_login_id(tim_client client);

/**
 * The user who is logged in; the empty string unless the status is TIM_LOGIN_STATUS_LOGGED_IN.
 *
 * @param buffer    gets the user id and a NUL; 33 bytes always suffice.
 * @param capacity  size of `buffer` in bytes.
 * @param length    NULL, or gets the length without the NUL, also when the buffer is too small.
 *
 * Returns TIM_OK; TIM_ERR_BUFFER_TOO_SMALL (`buffer` is untouched; buffer NULL with capacity 0
 * asks for the length this way); TIM_ERR_NULL_ARGUMENT; TIM_ERR_NO_SUCH_CLIENT,
 * TIM_ERR_CLOSING or TIM_ERR_FORKED.
 *
 * Any thread; may be called in a callback; never blocks.
 */
TIM_API
int32_t tim_get_login_user(tim_client client,
                           char *buffer,
                           size_t capacity,
                           size_t *length);

/**
 * The server's time in ms of Unix time, kept with a clock that runs through sleep. It is the
 * time that tickets expire by, whatever the device's clock says.
 *
 * @param out  gets the time; written only on success.
 *
 * Returns TIM_OK; TIM_ERR_SERVER_TIME_UNKNOWN before the first accepted login;
 * TIM_ERR_NULL_ARGUMENT; TIM_ERR_NO_SUCH_CLIENT, TIM_ERR_CLOSING or TIM_ERR_FORKED.
 *
 * Any thread; may be called in a callback; never blocks.
 */
TIM_API int32_t tim_get_server_time_ms(tim_client client, int64_t *out);

/**
 * Who took the last session over, as JSON: `login_id` (whose session it was), `cause`
 * ("other_device": a login of the same user elsewhere; "same_device": another login with this
 * device_id; "operator"), `platform` and `device_name` of the device that took over, `time_ms` in
 * ms of Unix time. "{}" if none was.
 *
 * Buffer and return values as in tim_get_login_user.
 *
 * Any thread; may be called in a callback; never blocks.
 */
TIM_API int32_t tim_get_kick_info(tim_client client, char *buffer, size_t capacity, size_t *length);

/**
 * What last went wrong, as JSON: `login_id`, `code`, `name`, `message`, `phase` (how far it came:
 * "local", "resolve", "connect", "proxy", "tls", "send", "response", "stream"), `cause` in words,
 * `address` that was tried, `retry_after_ms`. "{}" if nothing has gone wrong yet.
 *
 * Buffer and return values as in tim_get_login_user.
 *
 * Any thread; may be called in a callback; never blocks.
 */
TIM_API
int32_t tim_get_last_error(tim_client client,
                           char *buffer,
                           size_t capacity,
                           size_t *length);


/* --------------------------------------------------------------------------------------------
 * Events: what happens without a call
 * -------------------------------------------------------------------------------------------- */
/**
 * Runs when the connection to the server changes.
 *
 * `status` is one of TIM_CONNECTION_STATUS_*; `code` is TIM_OK or the cause, `message` its static
 * text. Several changes may be told as one, the newest. `login_id` says which login it belongs to.
 */
typedef void (*tim_connection_callback)(tim_client client,
                                        int32_t status,
                                        int32_t code,
                                        const char *message,
                                        uint64_t login_id,
                                        void *user_data);

/**
 * Runs when the ticket has expired or was revoked, once: the user is logged out, and only a login
 * with a new ticket helps. A login that is refused for its expired ticket completes first, and
 * then this runs too.
 */
typedef void (*tim_user_sig_expired_callback)(tim_client client,
                                              int32_t code,
                                              const char *message,
                                              uint64_t login_id,
                                              void *user_data);

/**
 * Runs when the session was taken over by another login of the same user (TIM_ERR_KICKED_WHILE_OFFLINE;
 * tim_get_kick_info says by whom), or when the server has ended it (TIM_ERR_BANNED,
 * TIM_ERR_ACCOUNT_NOT_FOUND). The user is logged out, and the library does not come back by itself:
 * only tim_login takes the session over again.
 */
typedef void (*tim_kicked_offline_callback)(tim_client client,
                                            int32_t code,
                                            const char *message,
                                            uint64_t login_id,
                                            void *user_data);

/**
 * Runs once ahead of the ticket's end, by the server's clock: time to get a new ticket for
 * tim_renew_user_sig. How far ahead says the configuration's `user_sig_expiring_lead_s`.
 */
typedef void (*tim_user_sig_expiring_callback)(tim_client client,
                                               int64_t seconds_left,
                                               uint64_t login_id,
                                               void *user_data);

/**
 * Runs last of all: the client is closed, and no callback of it runs after this.
 */
typedef void (*tim_closed_callback)(tim_client client, void *user_data);

/**
 * Sets what runs when the connection changes; NULL for nothing.
 *
 * TIM_OK: the old callback is not running and will not run again, its user_data may be freed.
 * For that the call waits for a running one, up to 5 seconds: release every lock that the old callback
 * takes before you call it. If that has not returned by then: TIM_ERR_BUSY. Called inside a callback of
 * any client it does not wait: TIM_ERR_IN_CALLBACK. Either way the new callback is set, but one call of
 * the old one may still be running; set again to wait for it.
 *
 * Returns TIM_OK, TIM_ERR_BUSY, TIM_ERR_IN_CALLBACK, TIM_ERR_NO_SUCH_CLIENT, TIM_ERR_CLOSING or
 * TIM_ERR_FORKED. Any thread; may be called in a callback.
 */
TIM_API
int32_t tim_set_connection_callback(tim_client client,
                                    tim_connection_callback callback,
                                    void *user_data);

/**
 * Sets what runs when the ticket has expired; NULL for nothing. Otherwise as
 * tim_set_connection_callback.
 */
TIM_API
int32_t tim_set_user_sig_expired_callback(tim_client client,
                                          tim_user_sig_expired_callback callback,
                                          void *user_data);

/**
 * Sets what runs when the session was taken over or ended; NULL for nothing. Otherwise as
 * tim_set_connection_callback.
 */
TIM_API
int32_t tim_set_kicked_offline_callback(tim_client client,
                                        tim_kicked_offline_callback callback,
                                        void *user_data);

/**
 * Sets what runs ahead of the ticket's end; NULL for nothing. Otherwise as
 * tim_set_connection_callback.
 */
TIM_API
int32_t tim_set_user_sig_expiring_callback(tim_client client,
                                           tim_user_sig_expiring_callback callback,
                                           void *user_data);

/**
 * Sets what runs when the client is closed; NULL for nothing. Otherwise as
 * tim_set_connection_callback.
 */
TIM_API
int32_t tim_set_closed_callback(tim_client client,
                                tim_closed_callback callback,
                                void *user_data);


/* --------------------------------------------------------------------------------------------
 * Log lines
 * -------------------------------------------------------------------------------------------- */
/**
 * How much a log line matters.
 */
enum tim_log_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * As a least level: no line is told.
     */
    TIM_LOG_LEVEL_OFF = 0,
    /**
     * Every step of a request.
     */
    TIM_LOG_LEVEL_DEBUG = 3,
    /**
     * What one would want to know afterwards.
     */
    TIM_LOG_LEVEL_INFO = 4,
    /**
     * Trouble that the library deals with by itself.
     */
    TIM_LOG_LEVEL_WARN = 5,
    /**
     * A fault of the library: please report it.
     */
    TIM_LOG_LEVEL_ERROR = 6,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum tim_log_level tim_log_level;
#else
typedef int32_t tim_log_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Takes a log line: one line of text without a line end, which never holds a ticket, a token, a
 * password or a user id. `line` is valid during the call only. Runs on the network thread of a
 * client, whose time limits stand still meanwhile; several clients may log at the same time.
 */
typedef void (*tim_log_callback)(int32_t level, const char *line, void *user_data);

/**
 * Sets what takes the log lines of all clients of this process; NULL for nothing, which is how
 * it begins. The library never writes to stdout, stderr or files.
 *
 * @param min_level  the least level that is told: TIM_LOG_LEVEL_*.
 *
 * The same barrier as in tim_set_connection_callback. Returns TIM_OK, TIM_ERR_BUSY,
 * TIM_ERR_IN_CALLBACK or TIM_ERR_INVALID_ARGUMENT (no such level). Any thread; may be called in a
 * callback.
 */
TIM_API int32_t tim_set_log_callback(tim_log_callback callback, void *user_data, int32_t min_level);


#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* TIM_H */
