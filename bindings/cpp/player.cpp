// Plays bindings/scenario with tim.hpp.
#include "tim.hpp"
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <mutex>
#include <sstream>
#include <vector>

/* Handlers say things on the library's threads while main answers on its own. */
static std::mutex output;
template <class... Fields> static void say(const Fields &...fields) {
    std::ostringstream line;
    const char *separator = "";
    ((line << separator << fields, separator = "\t"), ...);
    const std::lock_guard<std::mutex> lock(output);
    std::cout << line.str() << std::endl;
}

static const char *login_status(int32_t status) {
    switch (status) {
    case TIM_LOGIN_STATUS_LOGGED_IN: return "logged_in";
    case TIM_LOGIN_STATUS_LOGGING_IN: return "logging_in";
    case TIM_LOGIN_STATUS_LOGGED_OUT: return "logged_out";
    default: return "closed";
    }
}

static const char *connection_status(int32_t status) {
    switch (status) {
    case TIM_CONNECTION_STATUS_CONNECTED: return "connected";
    case TIM_CONNECTION_STATUS_DISCONNECTED: return "disconnected";
    case TIM_CONNECTION_STATUS_CONNECTING: return "connecting";
    case TIM_CONNECTION_STATUS_CONNECT_FAILED: return "connect_failed";
    default: return "closed";
    }
}

static tim::client created(const std::string &name, const std::string &config) {
    tim::client client(config);
    client.on_connection([name](const tim::connection &event) {
        say("event", name, "connection", connection_status(event.status), event.code);
    });
    client.on_kicked_offline([name, handle = client.handle()](const tim::ended &event) {
        char by[512] = "";
        (void)tim_get_kick_info(handle, by, sizeof by, nullptr);
        /* Another login's is not this one's. */
        if (!std::strstr(by, ("\"login_id\":" + std::to_string(event.login_id) + ",").c_str())) by[0] = '\0';
        say("event", name, "kicked_offline", event.code, by);
    });
    client.on_user_sig_expiring([name](const tim::expiring &event) {
        say("event", name, "user_sig_expiring", event.seconds_left);
    });
    client.on_user_sig_expired([name](const tim::ended &event) {
        say("event", name, "user_sig_expired", event.code);
    });
    return client;
}

static std::map<std::string, tim::client> clients;

static void call(const std::string &request, const std::string &name, const std::vector<std::string> &fields) {
    const auto done = [=](const tim::result &result) { say("done", name, request, result.code); };
    if (request == "new") {
        clients.insert_or_assign(name, created(name, fields[2]));
        return say("done", name, request, 0);
    }
    tim::client &client = clients.at(name);
    if (request == "login") {
        client.login(fields[2], fields[3], done);
    } else if (request == "logout") {
        client.logout(done);
    } else if (request == "renew_user_sig") {
        client.renew_user_sig(fields[2], done);
    } else if (request == "notify") {
        client.notify(fields[2] == "foreground" ? TIM_HINT_FOREGROUND : TIM_HINT_NETWORK_CHANGED);
        say("done", name, request, 0);
    } else if (request == "close") {
        client.close();
        say("done", name, request, 0);
    } else if (request == "login_status") {
        say(request, name, login_status(client.login_status()));
    } else if (request == "connection_status") {
        say(request, name, connection_status(client.connection_status()));
    } else if (request == "login_user") {
        say(request, name, client.login_user());
    } else {
        throw std::invalid_argument(request);
    }
}

int main() {
    for (std::string line; std::getline(std::cin, line);) {
        std::vector<std::string> fields;
        std::istringstream rest(line);
        for (std::string field; std::getline(rest, field, '\t');) fields.push_back(field);
        fields.resize(4); /* empty fields at the end */
        if (fields[0] == "exit") std::exit(0);
        try {
            call(fields[0], fields[1], fields);
        } catch (const tim::error &error) {
            say("done", fields[1], fields[0], error.code());
        }
    }
}
