package org.libtim;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A process ends at any moment, its client open. */
class ProcessEndIT {
    @TempDir Path folder;

    @ParameterizedTest
    @CsvSource({
        "logging_in, return", "logging_in, exit", "logging_in, halt",
        "logged_in, return", "logged_in, exit", "logged_in, halt",
        "in_a_listener, exit", "in_a_listener, halt"
    })
    void aProcessEndsAtAnyMoment(String moment, String end) throws Exception {
        TestServer server = new TestServer(folder);
        try {
            Map<String, Object> config = server.config("phone");
            String url = config.get("server_url").toString();
            String appId = config.get("sdk_app_id").toString();
            String ffi = "-Dtim.ffi=" + System.getProperty("tim.ffi");
            String library = "-Dtim.library=" + System.getProperty("tim.library");
            JavaProgram program = new JavaProgram(ffi, library).withNativeAccess();
            int status = program.run(LeavesItsClientOpen.class, moment, end, url, appId, server.ticket("alice"));
            assertEquals("", program.output());
            assertEquals(end.equals("return") ? 0 : 3, status);
        } finally {
            server.kill();
        }
    }

    static final class LeavesItsClientOpen {
        public static void main(String[] args) throws Exception {
            String moment = args[0];
            String end = args[1];
            CompletableFuture<Void> never = new CompletableFuture<>();
            TimListener listener = new TimListener() {
                @Override
                public void onConnectionChanged(ConnectionStatus status, int code, String message, long loginId) {
                    if (moment.equals("in_a_listener")) end(end);
                }
            };
            TimClient client =
                    new TimClient(Map.of("server_url", args[2], "sdk_app_id", Long.parseLong(args[3])), listener);
            CompletableFuture<Void> login = client.login("alice", args[4]);
            if (moment.equals("in_a_listener")) never.get();
            if (moment.equals("logged_in")) login.get();
            end(end);
        }

        private static void end(String end) {
            if (end.equals("exit")) System.exit(3);
            if (end.equals("halt")) Runtime.getRuntime().halt(3);
        }
    }
}
