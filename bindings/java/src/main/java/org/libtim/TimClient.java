package org.libtim;

import static org.libtim.Library.LOADED;

import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongFunction;

/**
 * A client of libtim, which manages the login of one user. Every method may be called on any thread.
 *
 * <p>Futures complete, and listeners run, on the client's event thread: a daemon thread of Java, which polls
 * the library. No thread of the library ever calls into Java.
 */
public final class TimClient implements AutoCloseable {
    private static final Cleaner CLEANER = Cleaner.create();
    private static final int INVALID_USER_ID = 7003;
    private static final int USER_SIG_UNREADABLE = 70003;

    private final Core core;
    private final Cleaner.Cleanable closing;

    /**
     * Creates a client.
     *
     * @param config the configuration as tim.h describes it, without {@code event_delivery}
     * @throws TimException if the configuration is wrong; its message names the key
     */
    public TimClient(Map<String, ?> config, TimListener listener) {
        Objects.requireNonNull(listener);
        core = new Core(LOADED.create(json(config)), listener);
        // A client that is forgotten is closed: its thread only knows the core.
        long handle = core.handle;
        closing = CLEANER.register(this, () -> LOADED.destroy(handle));
        core.thread.start();
    }

    private static String json(Map<String, ?> config) {
        StringBuilder json = new StringBuilder();
        Json.write(config, json);
        json.insert(1, config.isEmpty() ? "\"event_delivery\":\"poll\"" : "\"event_delivery\":\"poll\",");
        return json.toString();
    }

    /** Logs a user in. */
    public CompletableFuture<Void> login(String userId, String userSig) {
        if (hasNul(userId)) return rejected(INVALID_USER_ID);
        if (hasNul(userSig)) return rejected(USER_SIG_UNREADABLE);
        return call(number -> LOADED.login(core.handle, userId, userSig, number));
    }

    /** Logs the user out. A failure says that the server does not know of it yet. */
    public CompletableFuture<Void> logout() {
        return call(number -> LOADED.logout(core.handle, number));
    }

    /** Replaces the ticket of the session, without interrupting it. */
    public CompletableFuture<Void> renewUserSig(String userSig) {
        if (hasNul(userSig)) return rejected(USER_SIG_UNREADABLE);
        return call(number -> LOADED.renewUserSig(core.handle, userSig, number));
    }

    private CompletableFuture<Void> call(LongFunction<Integer> start) {
        CompletableFuture<Void> future = core.call(start);
        // A client is not forgotten, and so not closed, while a call is pending.
        future.whenComplete((nothing, error) -> Reference.reachabilityFence(this));
        return future;
    }

    /** A text that would end early in C. */
    private static boolean hasNul(String text) {
        return text.indexOf('\0') >= 0;
    }

    private static CompletableFuture<Void> rejected(int code) {
        return CompletableFuture.failedFuture(new TimException(code));
    }

    /** Tells the library that the device changed networks. */
    public void notifyNetworkChanged() {
        hint(Library.HINT_NETWORK_CHANGED);
    }

    /** Tells the library that the app came to the foreground. */
    public void notifyForeground() {
        hint(Library.HINT_FOREGROUND);
    }

    private void hint(int hint) {
        int code = LOADED.notify(core.handle, hint);
        if (code != Library.OK) throw new TimException(code);
    }

    public LoginStatus status() {
        return LoginStatus.of(LOADED.loginStatus(core.handle));
    }

    public ConnectionStatus connection() {
        return ConnectionStatus.of(LOADED.connectionStatus(core.handle));
    }

    /** The user who is logged in, or the empty string. */
    public String user() {
        return LOADED.loginUser(core.handle);
    }

    /** The latest error as JSON text, with the address, the phase and {@code retry_after_ms}. */
    public String lastError() {
        return LOADED.lastError(core.handle);
    }

    /**
     * Closes the client: pending calls fail with TIM_ERR_INTERRUPTED. Does not log out. Waits for the event
     * thread, unless it is called there.
     */
    @Override
    public void close() {
        closing.clean();
        if (Thread.currentThread() == core.thread) return;
        boolean interrupted = false;
        while (core.thread.isAlive()) {
            try {
                core.thread.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) Thread.currentThread().interrupt();
    }

    /** What the event thread knows. */
    private static final class Core {
        final long handle;
        final TimListener listener;
        final Thread thread = new Thread(this::takeEvents, "timlogin");
        final Map<Long, CompletableFuture<Void>> pending = new ConcurrentHashMap<>();
        final AtomicLong last = new AtomicLong();

        Core(long handle, TimListener listener) {
            this.handle = handle;
            this.listener = listener;
            thread.setDaemon(true);
        }

        CompletableFuture<Void> call(LongFunction<Integer> start) {
            CompletableFuture<Void> future = new CompletableFuture<>();
            long number = last.incrementAndGet();
            pending.put(number, future);
            int code = start.apply(number);
            if (code != Library.OK) {
                pending.remove(number);
                future.completeExceptionally(new TimException(code));
            }
            return future;
        }

        void takeEvents() {
            Event event;
            do {
                event = LOADED.poll(handle);
                if (event == null) return;
                try {
                    deliver(event);
                } catch (Throwable thrown) {
                    // A listener's fault must not end the thread: it goes where uncaught ones go.
                    thread.getUncaughtExceptionHandler().uncaughtException(thread, thrown);
                }
            } while (event.type != Library.CLOSED);
        }

        void deliver(Event event) {
            switch (event.type) {
                case Library.COMPLETION:
                    CompletableFuture<Void> future = pending.remove(event.number);
                    if (future == null) return;
                    if (event.code == Library.OK) future.complete(null);
                    else future.completeExceptionally(new TimException(event.code));
                    break;
                case Library.CONNECTION:
                    ConnectionStatus status = ConnectionStatus.of(event.connectionStatus);
                    listener.onConnectionChanged(status, event.code, event.message, event.loginId);
                    break;
                case Library.USER_SIG_EXPIRED:
                    listener.onUserSigExpired(event.code, event.message, event.loginId);
                    break;
                case Library.KICKED_OFFLINE:
                    listener.onKickedOffline(event.code, event.message, event.loginId, kickInfo(event.loginId));
                    break;
                case Library.USER_SIG_EXPIRING:
                    listener.onUserSigExpiring(event.secondsLeft, event.loginId);
                    break;
                case Library.CLOSED:
                    listener.onClosed();
                    break;
                default: // of a later version
            }
        }

        /** Who took over the session of this login: what the library keeps may be of an earlier one. */
        String kickInfo(long loginId) {
            String info = LOADED.kickInfo(handle);
            return info.contains("\"login_id\":" + loginId + ",") ? info : "{}";
        }
    }

    /** Writes a configuration; JSON of one level of objects needs no library. */
    private static final class Json {
        private Json() {}

        static void write(Object value, StringBuilder out) {
            if (value instanceof Map) {
                String separator = "{";
                for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
                    out.append(separator);
                    write(entry.getKey().toString(), out);
                    out.append(':');
                    write(entry.getValue(), out);
                    separator = ",";
                }
                out.append(separator.equals("{") ? "{}" : "}");
            } else if (value == null || value instanceof Number || value instanceof Boolean) {
                out.append(value);
            } else {
                out.append('"');
                for (char c : value.toString().toCharArray()) {
                    if (c < ' ' || c == '"' || c == '\\') out.append(String.format("\\u%04x", (int) c));
                    else out.append(c);
                }
                out.append('"');
            }
        }
    }
}
