# Logs alice in. usage: ruby alice.rb URL APP_ID TICKET (TIM_LIB names the library)
require "fiddle/import"
require "json"

module Tim
  extend Fiddle::Importer
  dlload ENV["TIM_LIB"] || "libtim.so.0"
  Event = struct(["unsigned int size", "int type", "int code", "int connection_status", "int login_status",
                  "int is_retryable", "unsigned long long login_id", "long long seconds_left",
                  "void *user_data", "char *message"])
  extern "int tim_client_create(const char *, void *, void *, size_t)"
  extern "int tim_login(unsigned long long, const char *, const char *, void *, void *)"
  extern "int tim_poll_event(unsigned long long, int, void *)"
  extern "const char *tim_error_message(int)"

  def self.check(code, said = tim_error_message(code)) = code.zero? || abort("alice: #{said}")
end

url, app, ticket = ARGV
out, error, event = "\0" * 8, "\0" * 256, Tim::Event.malloc(Fiddle::RUBY_FREE)
config = { server_url: url, sdk_app_id: app.to_i, event_delivery: "poll" }.to_json
Tim.check(Tim.tim_client_create(config, out, error, error.size), error.unpack1("Z*"))
client = out.unpack1("Q")
Tim.check(Tim.tim_login(client, "alice", ticket, nil, nil))
begin
  event.size = Tim::Event.size
  Tim.check(Tim.tim_poll_event(client, -1, event))
end until event.type == 1 # the completion of the login
Tim.check(event.code)
puts "alice: logged in"
