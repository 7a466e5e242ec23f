package org.libtim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Against a real server: TIM_SERVER is the program, the property tim.library the library. */
@Timeout(120)
class TimClientTest {
    @TempDir Path folder;
    private Process server;
    private String address = "127.0.0.1:0";

    @BeforeEach
    void startServer() throws IOException {
        List<String> command =
                List.of(program(), "serve", "--listen", address, "--data-dir", data().toString());
        server = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
        String ready = new BufferedReader(new InputStreamReader(server.getInputStream())).readLine();
        address = ready.substring(ready.lastIndexOf("http=") + 5);
    }

    @AfterEach
    void killServer() throws InterruptedException {
        server.destroyForcibly().waitFor();
    }

    private static String program() {
        return System.getenv("TIM_SERVER");
    }

    private Path data() {
        return folder.resolve("data");
    }

    private String ticket(String user, int seconds) throws IOException {
        List<String> command =
                List.of(program(), "usersig", "--user-id", user, "--expire", "" + seconds, "--data-dir", "" + data());
        return new String(new ProcessBuilder(command).start().getInputStream().readAllBytes()).trim();
    }

    private Map<String, Object> config(String device) throws IOException {
        Map<String, Object> config = new HashMap<>();
        config.put("server_url", "http://" + address);
        config.put("sdk_app_id", Long.parseLong(Files.readString(data().resolve("sdk_app_id")).trim()));
        config.put("device_id", device);
        config.put("device_name", "my \"" + device + "\"");
        config.put("reconnect", Map.of("first_ms", 10, "max_ms", 100));
        return config;
    }

    /** Records events as text. */
    private static final class Recorder implements TimListener {
        final BlockingQueue<String> events = new LinkedBlockingQueue<>();

        @Override
        public void onConnectionChanged(ConnectionStatus status, int code, String message, long loginId) {
            events.add(status.toString());
        }

        @Override
        public void onKickedOffline(int code, String message, long loginId, String kickInfo) {
            events.add("KICKED " + code + " " + kickInfo);
        }

        @Override
        public void onUserSigExpiring(long secondsLeft, long loginId) {
            events.add("EXPIRING " + secondsLeft);
        }

        @Override
        public void onUserSigExpired(int code, String message, long loginId) {
            events.add("EXPIRED " + code);
        }

        @Override
        public void onClosed() {
            events.add("CLOSED");
        }

        String await(String begin) throws InterruptedException {
            while (true) {
                String event = events.poll(60, TimeUnit.SECONDS);
                if (event == null) throw new AssertionError("no " + begin);
                if (event.startsWith(begin)) return event;
            }
        }
    }

    private static TimException failure(CompletableFuture<Void> call) {
        return (TimException) assertThrows(ExecutionException.class, call::get).getCause();
    }

    @Test
    void aLoginMakesTheUserAndALogoutEndsIt() throws Exception {
        Recorder recorder = new Recorder();
        try (TimClient client = new TimClient(config("phone"), recorder)) {
            assertEquals(LoginStatus.LOGGED_OUT, client.status());
            client.login("alice", ticket("alice", 3600)).get();
            assertEquals(LoginStatus.LOGGED_IN, client.status());
            assertEquals("alice", client.user());
            recorder.await("CONNECTED");
            assertEquals(ConnectionStatus.CONNECTED, client.connection());
            client.notifyForeground();
            client.renewUserSig(ticket("alice", 3600)).get();
            client.login("bob", ticket("bob", 3600)).get();
            assertEquals("bob", client.user());
            client.logout().get();
            assertEquals("", client.user());
        }
        recorder.await("CLOSED");
    }

    @Test
    void aRefusalHasItsCodeAndWords() throws Exception {
        try (TimClient client = new TimClient(config("phone"), new Recorder())) {
            TimException refused = failure(client.login("bob", ticket("alice", 3600)));
            assertEquals(70013, refused.code());
            assertEquals("TIM_ERR_USER_SIG_OTHER_USER", refused.codeName());
            assertTrue(refused.getMessage().contains("another user"));
            assertFalse(refused.isRetryable());
            assertEquals(7003, failure(client.login("", "x")).code());
            assertEquals(7003, assertThrows(TimException.class, () -> client.login("a\0b", "x")).code());
        }
        Map<String, Object> wrong = Map.of("server_url", "http://127.0.0.1:1");
        TimException error = assertThrows(TimException.class, () -> new TimClient(wrong, new Recorder()));
        assertTrue(error.getMessage().contains("sdk_app_id: missing"), error.getMessage());
    }

    @Test
    void aKickSaysWhoDidIt() throws Exception {
        Recorder recorder = new Recorder();
        try (TimClient phone = new TimClient(config("phone"), recorder);
                TimClient tablet = new TimClient(config("tablet"), new Recorder())) {
            phone.login("alice", ticket("alice", 3600)).get();
            tablet.login("alice", ticket("alice", 3600)).get();
            String kick = recorder.await("KICKED 6208");
            assertTrue(kick.contains("my \\\"tablet\\\""), kick);
            assertEquals(LoginStatus.LOGGED_OUT, phone.status());
        }
    }

    @Test
    void aTicketIsReportedBeforeAndAfterItsEnd() throws Exception {
        Recorder recorder = new Recorder();
        try (TimClient client = new TimClient(config("phone"), recorder)) {
            client.login("alice", ticket("alice", 2)).get();
            recorder.await("EXPIRING");
            recorder.await("EXPIRED 70001");
        }
    }

    @Test
    void aRestartOfTheServerSignsNobodyOut() throws Exception {
        Recorder recorder = new Recorder();
        try (TimClient client = new TimClient(config("phone"), recorder)) {
            client.login("alice", ticket("alice", 3600)).get();
            recorder.await("CONNECTED");
            killServer();
            // Which status it is depends on how soon it is taken: events are coalesced.
            while (recorder.events.take().equals("CONNECTED")) {}
            assertEquals(LoginStatus.LOGGED_IN, client.status());
            startServer();
            recorder.await("CONNECTED");
            assertEquals("alice", client.user());
        }
    }

    @Test
    void closeDuringALoginFailsItAndALaterCallToo() throws Exception {
        Map<String, Object> config = config("phone");
        config.put("server_url", "http://127.0.0.1:1");
        Recorder recorder = new Recorder();
        TimClient client = new TimClient(config, recorder);
        CompletableFuture<Void> login = client.login("alice", "ticket");
        client.close();
        assertEquals(7009, failure(login).code());
        recorder.await("CLOSED");
        assertEquals(LoginStatus.NONE, client.status());
        assertEquals(7705, failure(client.logout()).code());
        client.close();
    }

    @Test
    void aListenerMayThrowAndCloseItsClient() throws Exception {
        CompletableFuture<TimClient> created = new CompletableFuture<>();
        BlockingQueue<String> events = new LinkedBlockingQueue<>();
        TimListener listener = new TimListener() {
            @Override
            public void onConnectionChanged(ConnectionStatus status, int code, String message, long loginId) {
                created.join().close();
                throw new IllegalStateException("the app's fault, on purpose");
            }

            @Override
            public void onClosed() {
                events.add("CLOSED");
            }
        };
        // No server is there: the login cannot complete before the first event is taken.
        Map<String, Object> config = config("phone");
        config.put("server_url", "http://127.0.0.1:1");
        TimClient client = new TimClient(config, listener);
        created.complete(client);
        CompletableFuture<Void> login = client.login("alice", ticket("alice", 3600));
        assertEquals("CLOSED", events.poll(60, TimeUnit.SECONDS));
        assertEquals(7009, failure(login).code());
    }

    @Test
    void aThousandClientsComeAndGo() throws Exception {
        Map<String, Object> config = config("same");
        for (int round = 0; round < 1000; round++) new TimClient(config, new Recorder()).close();
    }

    @Test
    void aClientThatIsForgottenIsClosed() throws Exception {
        Map<String, Object> config = config("same");
        new TimClient(config, new Recorder()).login("alice", ticket("alice", 3600)).get();
        while (true) {
            System.gc();
            try {
                new TimClient(config, new Recorder()).close();
                return;
            } catch (TimException error) {
                assertEquals(7706, error.code());
                Thread.yield();
            }
        }
    }
}
