/*
 * libtim for C++17: clients that close themselves, calls with futures or lambdas.
 *
 *     tim::client client("{\"server_url\": \"http://127.0.0.1:7700\", \"sdk_app_id\": 1400000001}");
 *     client.on_kicked_offline([](const tim::ended &event) { std::puts(event.message); });
 *     tim::result result = client.login("alice", ticket).get();
 *     if (!result) std::puts(result.message);
 *
 * This header only wraps tim.h, which is the manual: what it says of threads, order and codes holds here, too.
 * Handlers run on the client's network thread. An exception that leaves a handler ends the program, as with
 * std::thread.
 */

#ifndef TIM_HPP
#define TIM_HPP

#include "tim.h"
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>

namespace tim {

/** Thrown by the constructor of a client and by calls that are rejected. */
class error : public std::runtime_error {
public:
    explicit error(int32_t code) : error(code, tim_error_message(code)) {}
    error(int32_t code, const std::string &what) : std::runtime_error(what), code_(code) {}

    int32_t code() const noexcept { return code_; }
    const char *name() const noexcept { return tim_error_name(code_); }
    bool is_retryable() const noexcept { return tim_error_is_retryable(code_) == 1; }

private:
    int32_t code_;
};

/** How a call ended: true if it succeeded. */
struct result {
    int32_t code = TIM_OK;
    const char *message = ""; /**< static */

    explicit operator bool() const noexcept { return code == TIM_OK; }
    bool is_retryable() const noexcept { return tim_error_is_retryable(code) == 1; }
};

/** The status of the connection changed. */
struct connection {
    int32_t status; /**< TIM_CONNECTION_STATUS_* */
    int32_t code;   /**< TIM_OK, or the cause */
    const char *message;
    uint64_t login_id;
};

/** The ticket has expired, or the session was taken over or ended. */
struct ended {
    int32_t code;
    const char *message;
    uint64_t login_id;
};

/** The ticket expires soon. */
struct expiring {
    int64_t seconds_left;
    uint64_t login_id;
};

/** A client. It can be moved but not copied, and its destructor waits until no handler runs. */
class client {
public:
    using completion = std::function<void(const result &)>;

    /** Creates a client from its JSON configuration. Throws error, which names a wrong key. */
    explicit client(const std::string &config_json) {
        char text[512];
        tim_client handle = 0;
        const int32_t code = tim_client_create(config_json.c_str(), &handle, text, sizeof text);
        if (code != TIM_OK) throw error(code, text);
        state_ = new (std::nothrow) state{handle};
        if (!state_) {
            while (tim_client_destroy(handle, 1000) == TIM_ERR_BUSY) {}
            throw std::bad_alloc();
        }
        (void)tim_set_closed_callback(handle, &client::closed, state_);
    }

    client(client &&other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    client &operator=(client &&other) noexcept {
        if (this != &other) {
            close();
            state_ = std::exchange(other.state_, nullptr);
        }
        return *this;
    }
    client(const client &) = delete;
    client &operator=(const client &) = delete;
    ~client() { close(); }

    /**
     * Closes the client: pending calls complete with TIM_ERR_INTERRUPTED. Does not log out. Waits until no
     * handler runs; inside a handler it does not wait, and the client closes when the handler has returned.
     */
    void close() noexcept {
        if (!state_) return;
        state *const closing = std::exchange(state_, nullptr);
        while (tim_client_destroy(closing->handle, 1000) == TIM_ERR_BUSY) {}
        release(closing);
    }

    /** Logs a user in. Throws error if the call is rejected. */
    std::future<result> login(const std::string &user_id, const std::string &user_sig) {
        return promised([&](completion done) { login(user_id, user_sig, std::move(done)); });
    }
    void login(const std::string &user_id, const std::string &user_sig, completion done) {
        start(std::move(done), [&](tim_result_callback callback, void *data) {
            return tim_login(handle(), text(user_id), text(user_sig), callback, data);
        });
    }

    /** Logs the user out. */
    std::future<result> logout() {
        return promised([&](completion done) { logout(std::move(done)); });
    }
    void logout(completion done) {
        start(std::move(done), [&](tim_result_callback callback, void *data) {
            return tim_logout(handle(), callback, data);
        });
    }

    /** Replaces the ticket of the session, without interrupting it. */
    std::future<result> renew_user_sig(const std::string &user_sig) {
        return promised([&](completion done) { renew_user_sig(user_sig, std::move(done)); });
    }
    void renew_user_sig(const std::string &user_sig, completion done) {
        start(std::move(done), [&](tim_result_callback callback, void *data) {
            return tim_renew_user_sig(handle(), text(user_sig), callback, data);
        });
    }

    /** Tells the library what it cannot see for itself: TIM_HINT_*. */
    void notify(int32_t hint) { check(tim_notify(handle(), hint)); }

    /** Sets the handlers of events; an empty function removes one. Set them before the first login. */
    void on_connection(std::function<void(const connection &)> handler) {
        set(&state::on_connection, std::move(handler), [this](bool on) {
            return tim_set_connection_callback(handle(), on ? &client::connection_changed : nullptr, state_);
        });
    }
    void on_user_sig_expired(std::function<void(const ended &)> handler) {
        set(&state::on_expired, std::move(handler), [this](bool on) {
            return tim_set_user_sig_expired_callback(handle(), on ? &client::expired : nullptr, state_);
        });
    }
    void on_kicked_offline(std::function<void(const ended &)> handler) {
        set(&state::on_kicked, std::move(handler), [this](bool on) {
            return tim_set_kicked_offline_callback(handle(), on ? &client::kicked : nullptr, state_);
        });
    }
    void on_user_sig_expiring(std::function<void(const expiring &)> handler) {
        set(&state::on_expiring, std::move(handler), [this](bool on) {
            return tim_set_user_sig_expiring_callback(handle(), on ? &client::expires : nullptr, state_);
        });
    }

    /** TIM_LOGIN_STATUS_*, or 0 once the client is closed. */
    int32_t login_status() const noexcept { return state_ ? tim_get_login_status(state_->handle) : 0; }
    /** TIM_CONNECTION_STATUS_*, or 0 once the client is closed. */
    int32_t connection_status() const noexcept {
        return state_ ? tim_get_connection_status(state_->handle) : 0;
    }
    /** The user who is logged in, or the empty string. */
    std::string login_user() const { return copied(&tim_get_login_user); }
    /** JSON: who last took a session over. See tim_get_kick_info. */
    std::string kick_info() const { return copied(&tim_get_kick_info); }
    /** JSON: the latest error. See tim_get_last_error. */
    std::string last_error() const { return copied(&tim_get_last_error); }
    /** The server's Unix time in milliseconds. */
    int64_t server_time_ms() const {
        int64_t time = 0;
        check(tim_get_server_time_ms(handle(), &time));
        return time;
    }
    /** The handle for the functions of tim.h; 0 once the client is closed or moved from. */
    tim_client handle() const noexcept { return state_ ? state_->handle : 0; }

private:
    struct state {
        tim_client handle;
        std::mutex setting{};
        std::function<void(const connection &)> on_connection{};
        std::function<void(const ended &)> on_expired{};
        std::function<void(const ended &)> on_kicked{};
        std::function<void(const expiring &)> on_expiring{};
        std::atomic<bool> released{false};
    };

    /* The closed event and close() both let go of the state; the second one deletes it. */
    static void release(state *which) noexcept {
        if (which->released.exchange(true)) delete which;
    }

    static void check(int32_t code) {
        if (code != TIM_OK) throw error(code);
    }

    /* A text for C, which a NUL would end early. */
    static const char *text(const std::string &value) noexcept {
        return value.find('\0') == std::string::npos ? value.c_str() : "\xff";
    }

    template <class Start> void start(completion done, Start call) {
        auto data = std::make_unique<completion>(std::move(done));
        check(call(&client::completed, data.get()));
        (void)data.release(); /* completed() deletes it */
    }

    template <class Start> static std::future<result> promised(Start call) {
        auto promise = std::make_shared<std::promise<result>>();
        std::future<result> future = promise->get_future();
        call([promise](const result &how) { promise->set_value(how); });
        return future;
    }

    /* The old handler must not run when the new one takes its place. */
    template <class Handler, class Set>
    void set(Handler state::*which, Handler handler, Set callback) {
        if (!state_) throw error(TIM_ERR_NO_SUCH_CLIENT);
        const std::lock_guard<std::mutex> lock(state_->setting);
        check(callback(false));
        const bool on = static_cast<bool>(handler);
        state_->*which = std::move(handler);
        if (on) check(callback(true));
    }

    template <class CopyOut> std::string copied(CopyOut copy_out) const {
        std::size_t length = 0;
        std::string value;
        int32_t code;
        while ((code = copy_out(handle(), &value[0], value.size(), &length)) == TIM_ERR_BUFFER_TOO_SMALL)
            value.resize(length + 1);
        check(code);
        value.resize(length);
        return value;
    }

    static void completed(int32_t code, const char *message, void *data) noexcept {
        const std::unique_ptr<completion> done(static_cast<completion *>(data));
        if (*done) (*done)(result{code, message});
    }
    static void connection_changed(tim_client, int32_t status, int32_t code, const char *message,
                                   uint64_t login_id, void *data) noexcept {
        static_cast<state *>(data)->on_connection(connection{status, code, message, login_id});
    }
    static void expired(tim_client, int32_t code, const char *message, uint64_t login_id, void *data) noexcept {
        static_cast<state *>(data)->on_expired(ended{code, message, login_id});
    }
    static void kicked(tim_client, int32_t code, const char *message, uint64_t login_id, void *data) noexcept {
        static_cast<state *>(data)->on_kicked(ended{code, message, login_id});
    }
    static void expires(tim_client, int64_t seconds_left, uint64_t login_id, void *data) noexcept {
        static_cast<state *>(data)->on_expiring(expiring{seconds_left, login_id});
    }
    static void closed(tim_client, void *data) noexcept { release(static_cast<state *>(data)); }

    state *state_ = nullptr;
};

} // namespace tim

#endif /* TIM_HPP */
