# Logs alice in. usage: ruby alice.rb URL APP_ID TICKET (TIM_LIB names the library)
# Events are polled: Ruby cannot take callbacks from other threads.
require "fiddle/import"
require "json"

module Tim
  extend Fiddle::Importer
  dlload ENV["TIM_LIB"] || "libtim.so.0"
  Event = struct(["unsigned int size", "int type", "int code", "int connection_status", "int login_status",
                  "int is_retryable", "unsigned long long login_id", "long long seconds_left",
                  "void *user_data", "char *message"])
  extern "int tim_client_create(const char *, void *, void *, size_t)"
  extern "int tim_client_destroy(unsigned long long, int)"
  extern "int tim_login(unsigned long long, const char *, const char *, void *, void *)"
  extern "int tim_poll_event(unsigned long long, int, void *)"
end

url, app, ticket = ARGV
out, error, event = "\0" * 8, "\0" * 256, Tim::Event.malloc(Fiddle::RUBY_FREE)
config = { server_url: url, sdk_app_id: app.to_i, event_delivery: "poll" }.to_json
abort error[/\A[^\0]*/] unless Tim.tim_client_create(config, out, error, 256).zero?
client = out.unpack1("Q")
Tim.tim_login(client, "alice", ticket, nil, nil)
loop do
  event.size = Tim::Event.size
  break unless Tim.tim_poll_event(client, -1, event.to_ptr).zero?
  break if event.type == 6 # closed
  next unless event.type == 1 # the completion of the login
  puts "alice: #{event.message}"
  Tim.tim_client_destroy(client, 0)
end
