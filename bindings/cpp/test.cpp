// Tests of tim.hpp against a real server. The driver is bindings/run.
#include "tim.hpp"
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

static int checks = 0;

#define CHECK(condition)                                                                  \
    do {                                                                                  \
        checks++;                                                                         \
        if (!(condition)) {                                                               \
            std::fprintf(stderr, "%s:%d: expected %s\n", __FILE__, __LINE__, #condition); \
            std::_Exit(1);                                                                \
        }                                                                                 \
    } while (0)

static std::string given(const char *name) {
    const char *value = std::getenv(name);
    if (!value) {
        std::fprintf(stderr, "%s is not set: run this by `make test`\n", name);
        std::exit(2);
    }
    return value;
}

static std::string config(const std::string &more = "") {
    return "{\"server_url\": \"" + given("TIM_TEST_SERVER_URL") + "\", \"sdk_app_id\": " +
           given("TIM_TEST_APP_ID") + more + "}";
}

static std::string run(const std::string &command) {
    std::string out;
    FILE *pipe = popen(command.c_str(), "r");
    for (int c; (c = std::fgetc(pipe)) != EOF;)
        if (c != '\n') out += static_cast<char>(c);
    CHECK(pclose(pipe) == 0);
    return out;
}

static std::string ticket(const std::string &user, int seconds = 3600) {
    return run(given("TIM_TEST_TICKET") + " --user-id " + user + " --expire " + std::to_string(seconds));
}

/* A value that a handler sets and a test waits for. */
template <class T> class awaited {
public:
    void set(const T &value) {
        const std::lock_guard<std::mutex> lock(mutex_);
        values_.push_back(value);
        changed_.notify_all();
    }
    T wait(const std::function<bool(const T &)> &wanted) {
        std::unique_lock<std::mutex> lock(mutex_);
        std::size_t next = 0;
        T found{};
        CHECK(changed_.wait_for(lock, std::chrono::seconds(60), [&] {
            for (; next < values_.size(); next++)
                if (wanted(values_[next])) {
                    found = values_[next];
                    return true;
                }
            return false;
        }));
        return found;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<T> values_;
};

static void a_login_makes_the_user_and_a_logout_ends_it() {
    tim::client client(config());
    awaited<int32_t> status;
    client.on_connection([&](const tim::connection &event) { status.set(event.status); });
    CHECK(client.login_status() == TIM_LOGIN_STATUS_LOGGED_OUT && client.login_user().empty());
    CHECK(client.login("alice", ticket("alice")).get());
    CHECK(client.login_status() == TIM_LOGIN_STATUS_LOGGED_IN);
    CHECK(client.login_user() == "alice");
    CHECK(client.server_time_ms() > 0);
    status.wait([](const int32_t &now) { return now == TIM_CONNECTION_STATUS_CONNECTED; });
    client.notify(TIM_HINT_FOREGROUND);
    CHECK(client.renew_user_sig(ticket("alice")).get());
    CHECK(client.login("bob", ticket("bob")).get());
    CHECK(client.login_user() == "bob");
    CHECK(client.logout().get());
    CHECK(client.login_user().empty());
    CHECK(client.last_error() == "{}" || !client.last_error().empty());
}

static void a_refusal_has_its_code_and_words() {
    tim::client client(config());
    const tim::result refused = client.login("bob", ticket("alice")).get();
    CHECK(!refused && refused.code == TIM_ERR_USER_SIG_OTHER_USER && !refused.is_retryable());
    CHECK(std::string(refused.message).find("another user") != std::string::npos);
    const std::string nul("a\0b", 3);
    for (const std::string &user : {std::string(), nul}) {
        try {
            (void)client.login(user, "x");
            CHECK(false);
        } catch (const tim::error &error) {
            CHECK(error.code() == TIM_ERR_INVALID_USER_ID || error.code() == TIM_ERR_INVALID_UTF8);
        }
    }
    try {
        tim::client wrong("{\"server_url\": \"http://127.0.0.1:1\"}");
        CHECK(false);
    } catch (const tim::error &error) {
        CHECK(std::string(error.what()).find("sdk_app_id: missing") != std::string::npos);
        CHECK(std::string(error.name()) == "TIM_ERR_INVALID_CONFIG" && !error.is_retryable());
    }
}

static void a_kick_says_who_did_it() {
    tim::client phone(config(", \"device_id\": \"phone\"")),
        tablet(config(", \"device_id\": \"tablet\", \"device_name\": \"my tablet\""));
    awaited<int32_t> kicked;
    phone.on_kicked_offline([&](const tim::ended &event) { kicked.set(event.code); });
    CHECK(phone.login("alice", ticket("alice")).get());
    CHECK(tablet.login("alice", ticket("alice")).get());
    kicked.wait([](const int32_t &code) { return code == TIM_ERR_KICKED_OFFLINE; });
    CHECK(phone.kick_info().find("my tablet") != std::string::npos);
    CHECK(phone.login_status() == TIM_LOGIN_STATUS_LOGGED_OUT);
}

static void a_ticket_is_reported_before_and_after_its_end() {
    tim::client client(config());
    awaited<int64_t> left;
    awaited<int32_t> expired;
    client.on_user_sig_expiring([&](const tim::expiring &event) { left.set(event.seconds_left); });
    client.on_user_sig_expired([&](const tim::ended &event) { expired.set(event.code); });
    CHECK(client.login("alice", ticket("alice", 2)).get());
    CHECK(left.wait([](const int64_t &) { return true; }) <= 2);
    CHECK(expired.wait([](const int32_t &) { return true; }) == TIM_ERR_USER_SIG_EXPIRED);
}

static void a_client_can_be_moved_and_closed_at_any_moment() {
    tim::client first("{\"server_url\": \"http://127.0.0.1:1\", \"sdk_app_id\": 1}");
    std::future<tim::result> login = first.login("alice", "ticket");
    tim::client second = std::move(first);
    CHECK(first.handle() == 0 && first.login_status() == 0 && second.handle() != 0);
    second.close();
    CHECK(login.get().code == TIM_ERR_INTERRUPTED);
    second.close();
    try {
        (void)second.logout();
        CHECK(false);
    } catch (const tim::error &error) {
        CHECK(error.code() == TIM_ERR_NO_SUCH_CLIENT);
    }
    second = tim::client(config());
    CHECK(second.login("alice", ticket("alice")).get());
}

static void a_client_may_be_closed_inside_its_own_and_anothers_handler() {
    std::promise<void> done;
    auto owner = std::make_unique<tim::client>(config());
    auto other = std::make_unique<tim::client>(config());
    owner->login("alice", ticket("alice"), [&](const tim::result &) {
        other.reset();
        owner.reset();
        done.set_value();
    });
    done.get_future().get();
}

static void a_thousand_clients_come_and_go() {
    for (int round = 0; round < 1000; round++) tim::client client(config(", \"device_id\": \"same\""));
    checks++;
}

int main() {
    a_login_makes_the_user_and_a_logout_ends_it();
    a_refusal_has_its_code_and_words();
    a_kick_says_who_did_it();
    a_ticket_is_reported_before_and_after_its_end();
    a_client_can_be_moved_and_closed_at_any_moment();
    a_client_may_be_closed_inside_its_own_and_anothers_handler();
    a_thousand_clients_come_and_go();
    std::printf("C++: pass (%d checks)\n", checks);
}
