package org.libtim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What a client does, against a real server. */
@Timeout(60)
class TimClientIT extends ServerTest {
    /** Nothing listens there. */
    private static final String NO_SERVER = "http://127.0.0.1:1";

    private final EventRecorder recorder = new EventRecorder();

    private TimClient client(String device) {
        return new TimClient(server.config(device), recorder);
    }

    private static TimException failure(CompletableFuture<Void> call) {
        return (TimException) assertThrows(ExecutionException.class, call::get).getCause();
    }

    @Test
    void aLoginMakesTheUserAndALogoutEndsIt() throws Exception {
        try (TimClient client = client("phone")) {
            assertEquals(LoginStatus.LOGGED_OUT, client.status());
            assertEquals("", client.user());
            client.login("alice", server.ticket("alice")).get();
            assertEquals(LoginStatus.LOGGED_IN, client.status());
            assertEquals("alice", client.user());
            recorder.await("CONNECTED");
            assertEquals(ConnectionStatus.CONNECTED, client.connection());
            client.notifyForeground();
            client.notifyNetworkChanged();
            client.logout().get();
            assertEquals(LoginStatus.LOGGED_OUT, client.status());
            assertEquals("", client.user());
        }
        recorder.await("CLOSED");
    }

    @Test
    void aLoginOfAnotherUserSwitches() throws Exception {
        try (TimClient client = client("phone")) {
            client.login("alice", server.ticket("alice")).get();
            client.login("鮑勃", server.ticket("鮑勃")).get();
            assertEquals("鮑勃", client.user());
        }
    }

    @Test
    void aRefusalHasItsCodeAndWords() throws Exception {
        try (TimClient client = client("phone")) {
            TimException refused = failure(client.login("bob", server.ticket("alice")));
            assertEquals(70013, refused.code());
            assertEquals("TIM_ERR_USER_SIG_OTHER_USER", refused.codeName());
            assertTrue(refused.getMessage().contains("another user"), refused.getMessage());
            assertFalse(refused.isRetryable());
        }
    }

    @Test
    void aCallThatIsRejectedFailsItsFuture() throws Exception {
        try (TimClient client = client("phone")) {
            assertEquals(7003, failure(client.login("", "x")).code());
            assertEquals(7003, failure(client.login("a\0b", "x")).code());
            assertEquals(70002, failure(client.login("alice", "")).code());
            assertEquals(70003, failure(client.login("alice", "x\0y")).code());
            assertEquals(6014, failure(client.renewUserSig("x")).code());
        }
    }

    @Test
    void aConfigurationThatIsWrongNamesTheKey() {
        TimException missing = rejected(Map.of("server_url", NO_SERVER));
        assertTrue(missing.getMessage().contains("sdk_app_id: missing"), missing.getMessage());
        TimException scheme = rejected(Map.of("server_url", "ftp://127.0.0.1:1", "sdk_app_id", 1));
        assertTrue(scheme.getMessage().contains("server_url: it does not begin"), scheme.getMessage());
        TimException file = rejected(Map.of("server_url", NO_SERVER, "sdk_app_id", 1, "ca_file", folder));
        assertTrue(file.getMessage().contains("ca_file"), file.getMessage());
    }

    private TimException rejected(Map<String, Object> config) {
        return assertThrows(TimException.class, () -> new TimClient(config, recorder));
    }

    @Test
    void aClientWithoutAListenerIsNotCreated() {
        assertThrows(NullPointerException.class, () -> new TimClient(server.config("same"), null));
        client("same").close();
    }

    @Test
    void aServerThatIsNotThereIsARetryableError() throws Exception {
        Map<String, Object> config = server.config("phone");
        config.put("server_url", NO_SERVER);
        config.put("login_timeout_ms", 300);
        try (TimClient client = new TimClient(config, recorder)) {
            TimException failed = failure(client.login("alice", server.ticket("alice")));
            assertEquals(9511, failed.code());
            assertTrue(failed.isRetryable());
            // It is longer than the buffer that is tried first.
            String details = client.lastError();
            assertTrue(details.contains("\"code\":9511") && details.endsWith("}"), details);
        }
    }

    @Test
    void aKickSaysWhoDidIt() throws Exception {
        try (TimClient phone = client("phone");
                TimClient tablet = new TimClient(server.config("tablet"), new EventRecorder())) {
            phone.login("alice", server.ticket("alice")).get();
            tablet.login("alice", server.ticket("alice")).get();
            String kick = recorder.await("KICKED_OFFLINE 6208");
            assertTrue(kick.contains("\"other_device\""), kick);
            assertTrue(kick.contains("my \\\"tablet\\\""), kick);
            assertEquals(LoginStatus.LOGGED_OUT, phone.status());
        }
    }

    @Test
    void aTicketIsReportedBeforeAndAfterItsEndAndRenewed() throws Exception {
        try (TimClient client = client("phone")) {
            client.login("alice", server.ticket("alice", 3)).get();
            recorder.await("USER_SIG_EXPIRING ");
            client.renewUserSig(server.ticket("alice", 3)).get();
            assertEquals(LoginStatus.LOGGED_IN, client.status());
            recorder.await("USER_SIG_EXPIRED 70001");
            assertEquals(LoginStatus.LOGGED_OUT, client.status());
            assertEquals(6014, failure(client.renewUserSig(server.ticket("alice"))).code());
        }
    }

    @Test
    void aRestartOfTheServerSignsNobodyOut() throws Exception {
        try (TimClient client = client("phone")) {
            client.login("alice", server.ticket("alice")).get();
            recorder.await("CONNECTED");
            server.kill();
            // Which status it is depends on how soon it is taken: events are coalesced.
            recorder.awaitOtherThan("CONNECTED");
            assertEquals(LoginStatus.LOGGED_IN, client.status());
            server.start();
            recorder.await("CONNECTED");
            assertEquals("alice", client.user());
        }
    }

    @Test
    void closeDuringALoginFailsItAndALaterCallToo() throws Exception {
        Map<String, Object> config = server.config("phone");
        config.put("server_url", NO_SERVER);
        TimClient client = new TimClient(config, recorder);
        CompletableFuture<Void> login = client.login("alice", "ticket");
        assertEquals(LoginStatus.LOGGING_IN, client.status());
        client.close();
        assertEquals(7009, failure(login).code());
        recorder.await("CLOSED");
        assertEquals(LoginStatus.NONE, client.status());
        assertEquals(ConnectionStatus.NONE, client.connection());
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
        Map<String, Object> config = server.config("phone");
        config.put("server_url", NO_SERVER);
        TimClient client = new TimClient(config, listener);
        created.complete(client);
        CompletableFuture<Void> login = client.login("alice", server.ticket("alice"));
        assertEquals("CLOSED", events.poll(60, TimeUnit.SECONDS));
        assertEquals(7009, failure(login).code());
    }
}
